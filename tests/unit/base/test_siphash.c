// SPDX-License-Identifier: Apache-2.0
// SipHash against the reference's vectors, in one piece and in many.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

// The reference's: the key is 00 01 ... 0f, message n is 00 01 ... n - 1.
static const struct {
    size_t length;
    unsigned char hash[16];
} vectors[] = {
    {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
    {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
    {7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82, 0x39}},
    {8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
    {9, {0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab, 0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d, 0x71, 0xed}},
    {15, {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9}},
    {16, {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05, 0x77}},
    {63, {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd, 0x7c}},
};

static void make_message(unsigned char message[64], struct el_siphash_key *key) {
    for (int i = 0; i < 64; i++)
        message[i] = (unsigned char)i;
    memcpy(key, message, sizeof *key);
}

static void hashes_are_the_references(void **state) {
    (void)state;
    unsigned char message[64];
    struct el_siphash_key key;
    make_message(message, &key);
    for (size_t i = 0; i < EL_COUNT(vectors); i++) {
        const struct el_hash128 result = el_siphash_of(&key, message, vectors[i].length);
        assert_memory_equal(&result, vectors[i].hash, sizeof result);
    }
}

static void pieces_hash_as_the_whole(void **state) {
    (void)state;
    unsigned char message[64];
    struct el_siphash_key key;
    make_message(message, &key);
    struct el_siphash parts;
    const struct el_hash128 expected = el_siphash_of(&key, message, sizeof message);
    for (size_t first = 0; first <= sizeof message; first++) {
        for (size_t second = first; second <= sizeof message; second++) {
            el_siphash_init(&parts, &key);
            el_siphash_add(&parts, message, first);
            el_siphash_add(&parts, NULL, 0);
            el_siphash_add(&parts, message + first, second - first);
            el_siphash_add(&parts, message + second, sizeof message - second);
            const struct el_hash128 result = el_siphash_end(&parts);
            assert_true(el_hash_equal(&result, &expected));
        }
    }
}

static void keys_differ(void **state) {
    (void)state;
    struct el_siphash_key a, b;
    assert_int_equal(el_siphash_draw_key(&a), 0);
    assert_int_equal(el_siphash_draw_key(&b), 0);
    assert_memory_not_equal(&a, &b, sizeof a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_the_references),
        cmocka_unit_test(pieces_hash_as_the_whole),
        cmocka_unit_test(keys_differ),
    };
    return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
