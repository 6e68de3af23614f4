// SPDX-License-Identifier: Apache-2.0
// The k best hits of those offered so far: a heap whose root is the worst of them.
#ifndef EL_VECTORS_BEST_H
#define EL_VECTORS_BEST_H

#include <stdbool.h>

#include "base/arena.h"
#include "vectors/exact.h"

struct el_best {
    struct el_hit *hits; // [capacity], the caller's memory
    int64_t capacity, count;
};

// `count` empty ones for k hits each, of the arena's memory. EL_ENOMEM.
int el_best_alloc(struct el_arena *arena, int64_t count, int64_t k, struct el_best **ret_bests);

// The score that a hit must reach; -INFINITY until there are k.
float el_best_least(const struct el_best *best);

// Takes the hit if it is one of the k best; one whose score is not a number is not.
void el_best_offer(struct el_best *best, struct el_hit hit);

// Sorts the hits and copies them, then hits of row -1 and score -INFINITY until there are `wanted`.
void el_best_list(struct el_best *best, int64_t wanted, struct el_hit *ret_hits);

#endif
