// SPDX-License-Identifier: Apache-2.0
// Blocks of allowed rows. The filter is read a word at a time, so that what it excludes costs little.
#include "index/blocks.h"

#include <string.h>

#include "base/mem.h"

enum { WORD = 64, LONG_RUN = 64 }; // bits; neighbours that are worth a block of their own

// The first row of row .. end - 1 that is allowed, or is not; end if there is none.
static int64_t find(const uint64_t *allowed, int64_t row, int64_t end, bool wanted) {
    while (row < end) {
        const uint64_t word = (wanted ? allowed[row / WORD] : ~allowed[row / WORD]) >> row % WORD;
        if (word) return EL_MIN(row + __builtin_ctzll(word), end);
        row = (row / WORD + 1) * WORD;
    }
    return end;
}

// Where the run of allowed rows that begins at `row` ends, or `most` rows later.
static int64_t run_end(const struct el_block_walk *walk, int64_t row, int64_t most) {
    const int64_t end = EL_MIN(walk->end, row + most);
    return walk->set->allowed ? find(walk->set->allowed, row, end, false) : end;
}

static int64_t next_allowed(const struct el_block_walk *walk, int64_t row) {
    return walk->set->allowed ? find(walk->set->allowed, row, walk->end, true) : row;
}

// Copies short runs until `most` rows are there or a long run comes.
static int64_t copy_runs(struct el_block_walk *walk, int64_t most) {
    const int64_t dim = walk->set->dim;
    int64_t count = 0;
    while (count < most && (walk->next = next_allowed(walk, walk->next)) < walk->end) {
        const int64_t run = run_end(walk, walk->next, most - count) - walk->next;
        if (run >= LONG_RUN && count > 0) break;
        memcpy(walk->copies + count * dim, walk->set->rows + walk->next * dim,
               (size_t)(run * dim) * sizeof(float));
        for (int64_t i = 0; i < run; i++)
            walk->numbers[count++] = walk->next++;
    }
    return count;
}

bool el_block_next(struct el_block_walk *walk, int64_t most, struct el_block *ret_block) {
    walk->next = next_allowed(walk, walk->next);
    if (walk->next >= walk->end) return false;
    const int64_t first = walk->next, run = run_end(walk, first, most) - first;
    if (run >= EL_MIN(LONG_RUN, most) || first + run == walk->end) {
        walk->next += run;
        *ret_block = (struct el_block){walk->set->rows + first * walk->set->dim, run, first, NULL};
    } else {
        const int64_t count = copy_runs(walk, most);
        *ret_block = (struct el_block){walk->copies, count, first, walk->numbers};
    }
    return true;
}
