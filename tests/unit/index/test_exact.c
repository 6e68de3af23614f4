// SPDX-License-Identifier: Apache-2.0
// Exact search against a plain search in long double that sorts all rows: same rows, same scores, same order,
// for every instruction set of this processor and 1 to 4 threads.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/exact.h"
#include "ops/ops.h"

enum { MOST_THREADS = 4 };

static struct el_team *teams[MOST_THREADS + 1]; // by size; 1 stays NULL

static int open_teams(void **state) {
    (void)state;
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        if (el_team_open(threads, false, &teams[threads]) < 0) return -1;
    return 0;
}

static int close_teams(void **state) {
    (void)state;
    unsetenv("ELEANOR_SIMD");
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        el_team_close(teams[threads]);
    return 0;
}

// ---- data ----

// Every kind but UNIT is made of few values, so that its sums are exact in any order and ties are many.
enum kind { UNIT, FEW_VALUES, DUPLICATES, HUGE_VALUES, TINY_VALUES, FAR_AWAY, NOT_FINITE, KINDS };
static const char *const kind_text[KINDS] = {"unit", "few values", "duplicates", "huge",
                                             "tiny", "far away",   "not finite"};

static uint64_t seed;

static uint32_t draw(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static int draw_below(int limit) {
    return (int)(draw() % (uint32_t)limit);
}

static void draw_unit(float *row, int dim) {
    double square = 1e-30;
    for (int i = 0; i < dim; i++) {
        row[i] = (float)draw() * 0x1p-30f - 1;
        square += (double)row[i] * row[i];
    }
    for (int i = 0; i < dim; i++)
        row[i] = (float)(row[i] / sqrt(square));
}

static void draw_row(enum kind kind, float *row, int dim) {
    static const float scale[KINDS] = {[FEW_VALUES] = 1,          [DUPLICATES] = 1, [HUGE_VALUES] = 0x1p100f,
                                       [TINY_VALUES] = 0x1p-100f, [FAR_AWAY] = 1,   [NOT_FINITE] = 1};
    if (kind == UNIT) {
        draw_unit(row, dim);
        return;
    }
    for (int i = 0; i < dim; i++)
        row[i] = (float)(draw_below(5) - 2) * scale[kind] + (kind == FAR_AWAY ? 4096 : 0);
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    if (kind == NOT_FINITE && draw_below(3) == 0) row[draw_below(dim)] = odd[draw_below(3)];
}

static float *new_rows(enum kind kind, int64_t count, int dim) {
    float *rows;
    assert_int_equal(el_alloc((size_t)count * (size_t)dim, sizeof *rows, &rows), 0);
    for (int64_t i = 0; i < count; i++) {
        float *row = rows + i * dim;
        if (kind == DUPLICATES && i >= 5)
            memcpy(row, rows + draw_below(5) * dim, (size_t)dim * sizeof *row);
        else
            draw_row(kind, row, dim);
    }
    return rows;
}

enum filter { NO_FILTER, HALF, ONE_IN_99, RUNS, NONE_ALLOWED, FILTERS };

static uint64_t *new_filter(enum filter filter, int64_t count) {
    uint64_t *allowed = NULL;
    if (filter == NO_FILTER) return NULL;
    assert_int_equal(el_zalloc((size_t)(count + 63) / 64, sizeof *allowed, &allowed), 0);
    bool in_run = false;
    for (int64_t row = 0; row < count; row++) {
        if (draw_below(150) == 0) in_run = !in_run;
        const bool yes[FILTERS] = {
            [HALF] = draw_below(2), [ONE_IN_99] = draw_below(99) == 0, [RUNS] = in_run};
        if (yes[filter]) allowed[row / 64] |= UINT64_C(1) << row % 64;
    }
    return allowed;
}

// ---- the reference ----

static float plain_score(const struct el_vector_set *set, const float *query, const float *row) {
    long double sum = 0;
    for (int i = 0; i < set->dim; i++) {
        const long double difference = (long double)query[i] - row[i];
        sum += set->metric == EL_METRIC_L2 ? -difference * difference : (long double)query[i] * row[i];
    }
    return (float)sum;
}

static int compare_hits(const void *a, const void *b) {
    const struct el_hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void plain_search(const struct el_vector_set *set, const float *query, int k,
                         struct el_hit *ret_hits) {
    struct el_hit *all;
    int64_t found = 0;
    assert_int_equal(el_alloc((size_t)set->count, sizeof *all, &all), 0);
    for (int64_t row = 0; row < set->count; row++) {
        const float score = plain_score(set, query, set->rows + row * set->dim);
        const bool allowed = !set->allowed || (set->allowed[row / 64] >> row % 64 & 1);
        if (allowed && !isnan(score)) all[found++] = (struct el_hit){row, score};
    }
    qsort(all, (size_t)found, sizeof *all, compare_hits);
    for (int i = 0; i < k; i++)
        ret_hits[i] = i < found ? all[i] : (struct el_hit){-1, -INFINITY};
    el_free(all);
}

// ---- the comparison ----

struct search {
    enum kind kind;
    enum filter filter;
    enum el_metric metric;
    int64_t rows;
    int dim, queries, k;
};

static void assert_same_hits(const struct search *s, const char *ops, int threads, const struct el_hit *got,
                             const struct el_hit *want) {
    for (int i = 0; i < s->queries * s->k; i++)
        if (got[i].row != want[i].row || got[i].score != want[i].score)
            fail_msg("%s, %d threads, %s, filter %d, metric %d, %lld rows of %d, %d queries, k %d: hit %d of "
                     "query %d is row %lld with %.9g, not row %lld with %.9g",
                     ops, threads, kind_text[s->kind], s->filter, s->metric, (long long)s->rows, s->dim,
                     s->queries, s->k, i % s->k, i / s->k, (long long)got[i].row, got[i].score,
                     (long long)want[i].row, want[i].score);
}

// One search on every instruction set, each with 1 thread and with 2 to 4.
static void check_search(const struct search *s) {
    float *rows = new_rows(s->kind, s->rows, s->dim);
    float *queries = new_rows(s->kind == NOT_FINITE ? FEW_VALUES : s->kind, s->queries, s->dim);
    uint64_t *allowed = new_filter(s->filter, s->rows);
    const struct el_vector_set set = {
        .dim = s->dim, .metric = s->metric, .count = s->rows, .rows = rows, .allowed = allowed};
    struct el_hit *got, *want;
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *got, &got), 0);
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *want, &want), 0);
    for (int q = 0; q < s->queries; q++)
        plain_search(&set, queries + q * s->dim, s->k, want + q * s->k);
    for (int i = 0; i < el_ops_count(); i++)
        for (int team = 0; team < 2; team++) {
            const int threads = team ? 2 + draw_below(MOST_THREADS - 1) : 1;
            setenv("ELEANOR_SIMD", el_ops_at(i)->name, 1);
            memset(got, 0, (size_t)(s->queries * s->k) * sizeof *got);
            assert_int_equal(el_search_exact(&set, queries, s->queries, s->k, teams[threads], got), 0);
            assert_same_hits(s, el_ops_at(i)->name, threads, got, want);
        }
    el_free(rows);
    el_free(queries);
    el_free(allowed);
    el_free(got);
    el_free(want);
}

// Shapes around the edges of lanes, panels, blocks of rows and words of the filter, all drawn from one seed.
static void every_list_is_the_plain_one(void **state) {
    (void)state;
    static const int dims[] = {1, 3, 16, 31, 32, 37, 130}, ks[] = {1, 2, 10, 100, 1500};
    static const int64_t row_counts[] = {0, 1, 5, 63, 64, 65, 300, 1111};
    static const int query_counts[] = {1, 2, 7, 8, 9, 31, 33, 70};
    seed = 20261121;
    for (int round = 0; round < 10 * KINDS; round++)
        for (int metric = EL_METRIC_IP; metric <= EL_METRIC_L2; metric++)
            check_search(&(struct search){
                .kind = (enum kind)(round % KINDS),
                .filter = (enum filter)draw_below(FILTERS),
                .metric = (enum el_metric)metric,
                .rows = row_counts[draw_below((int)EL_COUNT(row_counts))],
                .dim = dims[draw_below((int)EL_COUNT(dims))],
                .queries = query_counts[draw_below((int)EL_COUNT(query_counts))],
                .k = ks[draw_below((int)EL_COUNT(ks))],
            });
}

static void bad_input_is_refused_and_touches_nothing(void **state) {
    (void)state;
    float rows[4] = {1, 2, 3, 4}, queries[4] = {1, 2, 3, NAN};
    const struct el_vector_set set = {.dim = 2, .count = 2, .rows = rows};
    struct el_hit hits[4], before[4];
    memset(hits, 7, sizeof hits);
    memcpy(before, hits, sizeof hits);
    assert_int_equal(el_search_exact(&set, queries, 1, 0, NULL, hits), EL_EINVAL);
    assert_int_equal(el_search_exact(&set, queries, 2, 1, NULL, hits), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "query 1"));
    queries[3] = INFINITY;
    assert_int_equal(el_search_exact(&set, queries, 2, 1, NULL, hits), EL_EINVAL);
    assert_memory_equal(hits, before, sizeof hits);
    assert_int_equal(el_search_exact(&set, queries, 0, 1, NULL, hits), 0);
    assert_memory_equal(hits, before, sizeof hits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_list_is_the_plain_one),
        cmocka_unit_test(bad_input_is_refused_and_touches_nothing),
    };
    return cmocka_run_group_tests(tests, open_teams, close_teams);
}
