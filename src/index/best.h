// SPDX-License-Identifier: Apache-2.0
// The k best hits of those offered so far: a heap whose root is the worst of them.
#ifndef EL_INDEX_BEST_H
#define EL_INDEX_BEST_H

#include <stdbool.h>

#include "index/exact.h"

struct el_best {
    struct el_hit *hits; // [capacity], the caller's memory
    int64_t capacity, count;
};

// Best first: by the larger score, then the lower row. A comparison for qsort.
int el_hit_compare(const void *a, const void *b);

// The score that a hit must reach; -INFINITY until there are k.
float el_best_least(const struct el_best *best);

// Takes the hit if it is one of the k best; one whose score is not a number is not.
void el_best_offer(struct el_best *best, struct el_hit hit);

#endif
