// SPDX-License-Identifier: Apache-2.0
// Exact search, one row after the other.
#include "index/exact.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/best.h"
#include "index/score.h"

static bool is_allowed(const struct el_vector_set *set, int64_t row) {
    return !set->allowed || (set->allowed[row / 64] >> row % 64 & 1);
}

static bool is_finite(const float *values, int count) {
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

struct job {
    const struct el_vector_set *set;
    const float *queries;
    int k;
    struct el_hit *hits;
};

static void search_one(void *context, int task, int worker) {
    (void)worker;
    const struct job *job = context;
    const struct el_vector_set *set = job->set;
    const float *query = job->queries + (int64_t)task * set->dim;
    struct el_best best = {.hits = job->hits + (int64_t)task * job->k, .capacity = job->k};
    for (int64_t row = 0; row < set->count; row++)
        if (is_allowed(set, row))
            el_best_offer(&best, (struct el_hit){row, el_exact_score(set->metric, query,
                                                                     set->rows + row * set->dim, set->dim)});
    qsort(best.hits, (size_t)best.count, sizeof *best.hits, el_hit_compare);
    for (int64_t i = best.count; i < job->k; i++)
        best.hits[i] = (struct el_hit){-1, -INFINITY};
}

int el_search_exact(const struct el_vector_set *set, const float *queries, int count, int k,
                    struct el_team *team, struct el_hit *ret_hits) {
    if (k < 1) return el_fail(EL_EINVAL, "a search for %d rows; ask for at least 1", k);
    for (int i = 0; i < count; i++)
        if (!is_finite(queries + (int64_t)i * set->dim, set->dim))
            return el_fail(EL_EINVAL, "query %d holds a number that is not finite", i);
    struct job job = {.set = set, .queries = queries, .k = k, .hits = ret_hits};
    el_team_run(team, count, search_one, &job);
    return 0;
}
