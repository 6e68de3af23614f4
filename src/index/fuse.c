// SPDX-License-Identifier: Apache-2.0
// Reciprocal rank fusion.
#include "index/fuse.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct sum {
    int64_t row;
    double score;
};

static struct sum *put_ranks(const struct el_ranking *ranking, struct sum *sums) {
    enum { SMOOTHING = 60 }; // of the paper: what keeps the first ranks from deciding alone
    for (int i = 0; i < ranking->count; i++)
        *sums++ = (struct sum){ranking->hits[i].row, 1.0 / (SMOOTHING + 1 + i)};
    return sums;
}

static int by_row(const void *a, const void *b) {
    const int64_t x = ((const struct sum *)a)->row, y = ((const struct sum *)b)->row;
    return (x > y) - (x < y);
}

static int by_score(const void *a, const void *b) {
    const double x = ((const struct sum *)a)->score, y = ((const struct sum *)b)->score;
    return x == y ? by_row(a, b) : (x < y) - (x > y);
}

int el_fuse(const struct el_ranking *a, const struct el_ranking *b, int k, struct el_hit *ret_hits,
            int *ret_count) {
    struct sum *sums el_auto_free = NULL;
    const size_t all = (size_t)a->count + (size_t)b->count;
    size_t different = 0;
    EL_TRY(el_alloc(all, sizeof *sums, &sums));
    put_ranks(b, put_ranks(a, sums));
    qsort(sums, all, sizeof *sums, by_row);
    for (size_t i = 0; i < all; i++) {
        if (different && sums[different - 1].row == sums[i].row)
            sums[different - 1].score += sums[i].score;
        else
            sums[different++] = sums[i];
    }
    qsort(sums, different, sizeof *sums, by_score);
    *ret_count = (int)EL_MIN(different, (size_t)k);
    for (int i = 0; i < *ret_count; i++)
        ret_hits[i] = (struct el_hit){.row = sums[i].row, .score = (float)sums[i].score};
    return 0;
}
