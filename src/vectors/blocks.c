// SPDX-License-Identifier: Apache-2.0
// Blocks of allowed rows. The filter is read a word at a time, so that what it excludes costs little.
#include "vectors/blocks.h"

#include <string.h>

#include "base/mem.h"

enum { WORD = 64 };

// The first of rows `row` .. end - 1 that is allowed, or that is not; `end` if there is none.
static int64_t find(const uint64_t *allowed, int64_t row, int64_t end, bool wanted) {
    while (row < end) {
        const uint64_t word = (wanted ? allowed[row / WORD] : ~allowed[row / WORD]) >> row % WORD;
        if (word) return EL_MIN(row + __builtin_ctzll(word), end);
        row = (row / WORD + 1) * WORD;
    }
    return end;
}

static int64_t count_allowed(const uint64_t *allowed, int64_t row, int64_t end) {
    int64_t count = 0;
    while (row < end) {
        const int64_t bits = EL_MIN(WORD - row % WORD, end - row);
        count += __builtin_popcountll(allowed[row / WORD] >> row % WORD << (WORD - bits));
        row += bits;
    }
    return count;
}

int64_t el_allowed_count(const struct el_vector_set *set) {
    return set->allowed ? count_allowed(set->allowed, 0, set->count) : set->count;
}

// Copies the next `most` allowed rows, fewer at the end; returns their number.
static int64_t copy_rows(struct el_block_walk *walk, int64_t most) {
    const struct el_vector_set *set = walk->set;
    int64_t count = 0;
    while (count < most && (walk->next = find(set->allowed, walk->next, walk->end, true)) < walk->end) {
        const int64_t end = EL_MIN(walk->end, walk->next + most - count);
        const int64_t run = find(set->allowed, walk->next, end, false) - walk->next;
        memcpy(walk->copies + count * set->dim, set->rows + walk->next * set->dim,
               (size_t)(run * set->dim) * sizeof(float));
        for (int64_t i = 0; i < run; i++)
            walk->numbers[count++] = walk->next++;
    }
    return count;
}

bool el_block_next(struct el_block_walk *walk, int64_t most, struct el_block *ret_block) {
    const uint64_t *allowed = walk->set->allowed;
    if (allowed) walk->next = find(allowed, walk->next, walk->end, true);
    if (walk->next >= walk->end) return false;
    const int64_t first = walk->next, left = walk->run ? walk->run - first % walk->run : walk->end;
    const int64_t count = EL_MIN(EL_MIN(walk->end - first, left), most);
    if (!allowed || !walk->copies || 2 * count_allowed(allowed, first, first + count) >= count) {
        walk->next += count;
        *ret_block = (struct el_block){walk->set->rows + first * walk->set->dim, count, first, NULL};
    } else {
        const int64_t copied = copy_rows(walk, most);
        *ret_block = (struct el_block){walk->copies, copied, first, walk->numbers};
    }
    return true;
}
