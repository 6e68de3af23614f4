// SPDX-License-Identifier: Apache-2.0
// A walk over the allowed rows of a set in blocks that lie end to end: rows as they are where they are
// neighbours, copies of them where a filter has left few of many.
#ifndef EL_INDEX_BLOCKS_H
#define EL_INDEX_BLOCKS_H

#include <stdbool.h>

#include "index/exact.h"

struct el_block {
    const float *rows; // [count][dim]
    int64_t count;
    int64_t first;          // number of rows[0] in the set, where they are neighbours
    const int64_t *numbers; // [count], or NULL: neighbours
};

static inline int64_t el_block_row(const struct el_block *block, int64_t i) {
    return block->numbers ? block->numbers[i] : block->first + i;
}

struct el_block_walk {
    const struct el_vector_set *set;
    int64_t next, end; // rows that are left
    float *copies;     // [most][dim], and
    int64_t *numbers;  // [most]: room for copies; neither is used without a filter
};

// The next block, of 1 to `most` rows; false when no row is left. It is good until the next call.
bool el_block_next(struct el_block_walk *walk, int64_t most, struct el_block *ret_block);

#endif
