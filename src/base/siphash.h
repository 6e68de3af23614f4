// SPDX-License-Identifier: Apache-2.0
// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein 2012): who does not know the key can't make two
// messages with one hash, so with a random key a hash may stand for its message.
#ifndef EL_BASE_SIPHASH_H
#define EL_BASE_SIPHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_siphash_key {
    uint64_t word[2];
};

struct el_hash128 {
    uint64_t word[2];
};

// A hash on its way; the message comes in pieces of any size.
struct el_siphash {
    uint64_t v[4];
    uint64_t length; // bytes so far
    uint64_t tail;   // the last length % 8 of them
};

// Random bits of the system. EL_EIO.
int el_siphash_draw_key(struct el_siphash_key *ret_key);

void el_siphash_init(struct el_siphash *hash, const struct el_siphash_key *key);
void el_siphash_add(struct el_siphash *hash, const void *bytes, size_t size); // NULL where size is 0
struct el_hash128 el_siphash_end(struct el_siphash *hash);

// The hash of a message that is whole. Without a key (NULL) it is the same in every process and for ever: it
// guards against damage, not against malice.
struct el_hash128 el_siphash_of(const struct el_siphash_key *key, const void *bytes, size_t size);

static inline bool el_hash_equal(const struct el_hash128 *a, const struct el_hash128 *b) {
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

#endif
