// SPDX-License-Identifier: Apache-2.0
// A walk over the allowed rows of a set in blocks that lie end to end: the rows as they are where a filter
// leaves most of them, copies of those it leaves where they are few.
#ifndef EL_VECTORS_BLOCKS_H
#define EL_VECTORS_BLOCKS_H

#include <stdbool.h>

#include "vectors/exact.h"

struct el_block {
    const float *rows; // [count][dim]
    int64_t count;
    int64_t first;          // number of rows[0] in the set, where they are as they are
    const int64_t *numbers; // [count] of copies, all of them allowed; else NULL
};

static inline int64_t el_block_row(const struct el_block *block, int64_t i) {
    return block->numbers ? block->numbers[i] : block->first + i;
}

static inline bool el_is_allowed(const struct el_vector_set *set, int64_t row) {
    return !set->allowed || (set->allowed[row / 64] >> row % 64 & 1);
}

struct el_block_walk {
    const struct el_vector_set *set;
    int64_t next, end; // rows that are left
    int64_t run;       // no block crosses a multiple of this; 0: all may
    float *copies;     // [most][dim], and
    int64_t *numbers;  // [most]: room for copies; NULL: none are made
};

int64_t el_allowed_count(const struct el_vector_set *set); // rows

// The next block, of 1 to `most` rows; false when no allowed row is left. It is good until the next call.
bool el_block_next(struct el_block_walk *walk, int64_t most, struct el_block *ret_block);

#endif
