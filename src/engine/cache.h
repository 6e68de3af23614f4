// SPDX-License-Identifier: Apache-2.0
// The embedding cache of one model: vectors of texts seen before, in the host's memory, and texts being
// computed just now, so that whoever asks for one of them meanwhile waits for it instead of computing it
// again. Any number of threads may call at once. Where a cache may be NULL it finds nothing, and every claim
// leads.
#ifndef EL_ENGINE_CACHE_H
#define EL_ENGINE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"

struct el_cache;

// A cache of at most `limit` bytes of vectors of `dim` floats; it takes them as it fills. EL_EINVAL: not even
// one vector fits. EL_EIO, EL_ENOMEM.
int el_cache_open(size_t limit, int dim, struct el_cache **ret_cache);
void el_cache_close(struct el_cache *cache); // no claim may be pending

// Begins the key of a text, or of token ids, whose bytes el_siphash_add and _end then make it. Keys of texts
// and of ids never meet. With a NULL cache the key means nothing.
enum el_cache_kind { EL_CACHE_TEXT, EL_CACHE_IDS, EL_CACHE_KINDS };
void el_cache_key_init(const struct el_cache *cache, enum el_cache_kind kind, struct el_siphash *hash);

// True when the vector of `key` is kept: writes it, and the tokens it was kept with. A hit.
bool el_cache_get(struct el_cache *cache, const struct el_hash128 *key, float *ret_vector,
                  int64_t *ret_tokens);

// One who wants a vector that el_cache_get did not find. The caller fills the first group, and keeps it until
// it is answered: a hit at once, a leader when it calls el_cache_settle, who waits by his leader's.
struct el_cache_claim {
    struct el_hash128 key;
    bool urgent; // waits for no leader that is not: that one may stand in a long queue
    void *owner;

    bool abandoned; // atomic; all who wanted it have left: a leader need not compute it

    // The cache's:
    struct el_cache_claim *leader; // whom it waits for, or itself; NULL when it is answered
    struct el_cache_claim *next;   // of the leaders of a bucket, or of those who wait for one leader
    struct el_cache_claim *waiters;
    size_t wanted; // of a leader: who wait for it and have not left, itself among them
    uint64_t epoch;
};

enum el_cache_answer {
    EL_CACHE_HIT,   // it has come meanwhile; *ret_vector is written
    EL_CACHE_LEADS, // the caller computes it, and then calls el_cache_settle, whatever came of it
    EL_CACHE_WAITS, // another computes it, and its el_cache_settle returns this claim
};
enum el_cache_answer el_cache_claim(struct el_cache *cache, struct el_cache_claim *claim, float *ret_vector);

// A leader is through. `vector` is kept with its `tokens`; NULL: it failed. Returns those who waited, linked
// by next, for the caller to answer.
struct el_cache_claim *el_cache_settle(struct el_cache *cache, struct el_cache_claim *claim,
                                       const float *vector, int64_t tokens);

// Says that this claim's vector is not wanted any more: once per claim at most, also when it is answered.
void el_cache_leave(struct el_cache *cache, struct el_cache_claim *claim);

// Gives all memory back and forgets every vector, also those being computed when they come. What waits is
// answered all the same. Returns the bytes.
size_t el_cache_drop(struct el_cache *cache);

struct el_cache_stats {
    uint64_t hits, misses, coalesced; // each input is one of them: found, computed, waited for
    uint64_t evictions;
    uint64_t bytes, entries; // now
};
void el_cache_stats(struct el_cache *cache, struct el_cache_stats *ret_stats); // NULL: zeroes

#endif
