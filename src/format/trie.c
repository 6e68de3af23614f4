// SPDX-License-Identifier: Apache-2.0
// The hashed trie: growing it and filling it.
#include "format/trie.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_BITS = 10, MAX_NODES = 1 << 24 }; // a node number leaves 8 of its edges' 32 bits to the byte

int el_trie_init(struct el_trie *trie) {
    *trie = (struct el_trie){.bits = FIRST_BITS, .nodes = 1, .capacity = 1 << FIRST_BITS};
    EL_TRY(el_zalloc((size_t)1 << trie->bits, sizeof *trie->edges, &trie->edges));
    EL_TRY(el_alloc(trie->capacity, sizeof *trie->values, &trie->values));
    trie->values[EL_TRIE_ROOT] = EL_TRIE_NONE;
    return 0;
}

void el_trie_done(struct el_trie *trie) {
    el_free(trie->edges);
    el_free(trie->values);
    *trie = (struct el_trie){0};
}

static void put_edge(struct el_trie *trie, struct el_trie_edge edge) {
    uint32_t slot = edge.from * 0x9E3779B1u >> (32 - trie->bits);
    while (trie->edges[slot].to)
        slot = (slot + 1) & ((1u << trie->bits) - 1);
    trie->edges[slot] = edge;
}

// Keeps the edge table at most half full, so that a step mostly ends at its first slot.
static int grow(struct el_trie *trie) {
    struct el_trie bigger = *trie;
    bigger.bits++;
    bigger.capacity = 1u << (bigger.bits - 1);
    EL_TRY(el_realloc(&trie->values, bigger.capacity, sizeof *trie->values));
    bigger.values = trie->values;
    EL_TRY(el_zalloc((size_t)1 << bigger.bits, sizeof *bigger.edges, &bigger.edges));
    for (size_t i = 0; i < (size_t)1 << trie->bits; i++)
        if (trie->edges[i].to) put_edge(&bigger, trie->edges[i]);
    el_free(trie->edges);
    *trie = bigger;
    return 0;
}

int el_trie_add(struct el_trie *trie, const void *bytes, size_t length, int32_t value, int32_t *ret_before) {
    const uint8_t *text = bytes;
    uint32_t node = EL_TRIE_ROOT;
    for (size_t i = 0; i < length; i++) {
        uint32_t next = el_trie_step(trie, node, text[i]);
        if (!next) {
            if (trie->nodes == MAX_NODES)
                return el_fail(EL_ETOOBIG, "the vocabulary is over %d nodes", MAX_NODES);
            if (trie->nodes == 1u << (trie->bits - 1)) EL_TRY(grow(trie));
            next = trie->nodes++;
            trie->values[next] = EL_TRIE_NONE;
            put_edge(trie, (struct el_trie_edge){.from = node << 8 | text[i], .to = next});
        }
        node = next;
    }
    *ret_before = trie->values[node];
    trie->values[node] = value;
    return 0;
}

int32_t el_trie_find(const struct el_trie *trie, const void *bytes, size_t length) {
    const uint8_t *text = bytes;
    uint32_t node = EL_TRIE_ROOT;
    for (size_t i = 0; i < length; i++) {
        node = el_trie_step(trie, node, text[i]);
        if (!node) return EL_TRIE_NONE;
    }
    return trie->values[node];
}
