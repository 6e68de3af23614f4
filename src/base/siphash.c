// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4-128, as its authors' reference; words are little-endian.
#include "base/siphash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

int el_siphash_draw_key(struct el_siphash_key *ret_key) {
    struct el_siphash_key key;
    if (getentropy(&key, sizeof key) != 0)
        return el_fail(EL_EIO, "the system gives no random bits: %s", strerror(errno));
    *ret_key = key;
    return 0;
}

static uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static void half_round(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, int b_bits, int d_bits) {
    *a += *b;
    *c += *d;
    *b = rotate(*b, b_bits) ^ *a;
    *d = rotate(*d, d_bits) ^ *c;
    *a = rotate(*a, 32);
}

static void mix(uint64_t v[4], int rounds) {
    for (int i = 0; i < rounds; i++) {
        half_round(&v[0], &v[1], &v[2], &v[3], 13, 16);
        half_round(&v[2], &v[1], &v[0], &v[3], 17, 21);
    }
}

static void add_word(struct el_siphash *hash, uint64_t word) {
    hash->v[3] ^= word;
    mix(hash->v, 2);
    hash->v[0] ^= word;
}

void el_siphash_init(struct el_siphash *hash, const struct el_siphash_key *key) {
    *hash =
        (struct el_siphash){.v = {key->word[0] ^ 0x736f6d6570736575, key->word[1] ^ 0x646f72616e646f6d ^ 0xee,
                                  key->word[0] ^ 0x6c7967656e657261, key->word[1] ^ 0x7465646279746573}};
}

static void add_byte(struct el_siphash *hash, unsigned char byte) {
    hash->tail |= (uint64_t)byte << 8 * (hash->length++ % 8);
    if (hash->length % 8) return;
    add_word(hash, hash->tail);
    hash->tail = 0;
}

void el_siphash_add(struct el_siphash *hash, const void *bytes, size_t size) {
    if (size == 0) return; // bytes may be NULL, which takes no offset
    const unsigned char *at = bytes, *const end = at + size;
    while (at < end && hash->length % 8)
        add_byte(hash, *at++);
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        add_word(hash, word);
        hash->length += 8;
    }
    while (at < end)
        add_byte(hash, *at++);
}

struct el_hash128 el_siphash_end(struct el_siphash *hash) {
    struct el_hash128 result;
    uint64_t *v = hash->v;
    add_word(hash, hash->length << 56 | hash->tail);
    v[2] ^= 0xee;
    mix(v, 4);
    result.word[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    mix(v, 4);
    result.word[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
    return result;
}

struct el_hash128 el_siphash_of(const struct el_siphash_key *key, const void *bytes, size_t size) {
    static const struct el_siphash_key none = {{0, 0}};
    struct el_siphash hash;
    el_siphash_init(&hash, key ? key : &none);
    el_siphash_add(&hash, bytes, size);
    return el_siphash_end(&hash);
}
