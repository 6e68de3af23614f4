// SPDX-License-Identifier: Apache-2.0
// A set of byte strings, each with a value, for finding the longest that a text begins with in one walk.
// Edges (node, byte) -> node lie in one open-addressed hash table: no sorting, one cache line per step.
#ifndef EL_FORMAT_TRIE_H
#define EL_FORMAT_TRIE_H

#include <stddef.h>
#include <stdint.h>

enum { EL_TRIE_ROOT = 0, EL_TRIE_NONE = -1 };

struct el_trie_edge {
    uint32_t from; // parent << 8 | byte
    uint32_t to;   // child; 0, which no edge leads to, marks a free slot
};

struct el_trie {
    struct el_trie_edge *edges; // [1 << bits], NULL while empty
    int32_t *values;            // by node; EL_TRIE_NONE: no string ends here
    uint32_t nodes;             // the root counted
    uint32_t capacity;          // of values
    int bits;
};

// A zeroed trie is empty, but must be initialised before use. EL_ENOMEM.
int el_trie_init(struct el_trie *trie);
void el_trie_done(struct el_trie *trie);

// Sets the value (>= 0) of a string; *ret_before is the value that it had. EL_ENOMEM, EL_ETOOBIG (over 2^24
// nodes).
int el_trie_add(struct el_trie *trie, const void *bytes, size_t length, int32_t value, int32_t *ret_before);

// The child of `node` by `byte`, or 0.
static inline uint32_t el_trie_step(const struct el_trie *trie, uint32_t node, uint8_t byte) {
    uint32_t from = node << 8 | byte;
    uint32_t slot = from * 0x9E3779B1u >> (32 - trie->bits); // Fibonacci hashing
    while (trie->edges[slot].to) {
        if (trie->edges[slot].from == from) return trie->edges[slot].to;
        slot = (slot + 1) & ((1u << trie->bits) - 1);
    }
    return 0;
}

// The value of exactly this string, or EL_TRIE_NONE.
int32_t el_trie_find(const struct el_trie *trie, const void *bytes, size_t length);

#endif
