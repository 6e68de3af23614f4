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
#include "ops/ops.h"
#include "vectors.h"
#include "vectors/codes.h"

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

// The rows as bytes, in two steps.
static struct el_codes *new_codes(struct el_vector_set set) {
    struct el_codes *codes = NULL;
    const int64_t count = set.count;
    assert_int_equal(el_codes_open(set.dim, &codes), 0);
    set.count = count / 3;
    assert_int_equal(el_codes_append(codes, &set, NULL), 0);
    set.count = count;
    assert_int_equal(el_codes_append(codes, &set, teams[2]), 0);
    assert_int_equal(el_codes_count(codes), count);
    return codes;
}

// How a set is searched: as el_search_exact chooses, by floats alone, by bytes that are kept.
enum way { CHOSEN, ONLY_FLOATS, KEPT_BYTES, WAYS };
static const char *const way_texts[WAYS] = {"chosen", "floats", "kept bytes"};

// One search on every instruction set, each way, with 1 thread and with 2 to 4.
static void check_search(const struct search *s) {
    float *rows = new_rows(s->kind, s->rows, s->dim);
    float *queries = new_rows(s->kind == NOT_FINITE ? FEW_VALUES : s->kind, s->queries, s->dim);
    uint64_t *allowed = new_filter(s->filter, s->rows);
    struct el_vector_set set = {
        .dim = s->dim, .metric = s->metric, .count = s->rows, .rows = rows, .allowed = allowed};
    struct el_codes *codes = new_codes(set);
    struct el_hit *got, *want;
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *got, &got), 0);
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *want, &want), 0);
    for (int q = 0; q < s->queries; q++)
        plain_search(&set, queries + q * s->dim, s->k, want + q * s->k);
    for (int i = 0; i < el_ops_count(); i++)
        for (int round = 0; round < 2 * WAYS; round++) {
            const int threads = round % 2 ? 2 + draw_below(MOST_THREADS - 1) : 1;
            const enum way way = (enum way)(round / 2);
            char name[40];
            set.codes = way == KEPT_BYTES ? codes : NULL;
            set.only_floats = way == ONLY_FLOATS;
            setenv("ELEANOR_SIMD", el_ops_at(i)->name, 1);
            memset(got, 0, (size_t)(s->queries * s->k) * sizeof *got);
            assert_int_equal(el_search_exact(&set, queries, s->queries, s->k, teams[threads], got), 0);
            snprintf(name, sizeof name, "%s, %s", el_ops_at(i)->name, way_texts[way]);
            assert_same_hits(s, name, threads, got, want);
        }
    el_codes_close(codes);
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
    static const int row_counts[] = {0, 1, 5, 63, 64, 65, 300, 1111};
    static const int query_counts[] = {1, 2, 7, 16, 17, 31, 33, 70};
    vectors_seed = 20261121;
    for (int round = 0; round < 4 * KINDS; round++)
        for (int metric = EL_METRIC_IP; metric <= EL_METRIC_L2; metric++)
            check_search(&(struct search){
                .kind = (enum kind)(round % KINDS),
                .filter = (enum filter)draw_below(FILTERS),
                .metric = (enum el_metric)metric,
                .rows = draw_from(row_counts, EL_COUNT(row_counts)),
                .dim = draw_from(dims, EL_COUNT(dims)),
                .queries = draw_from(query_counts, EL_COUNT(query_counts)),
                .k = draw_from(ks, EL_COUNT(ks)),
            });
}

// So many rows that bytes are looked at to the end, and that many scores lie closer than bytes tell.
static void bytes_pass_over_no_row_that_belongs(void **state) {
    (void)state;
    vectors_seed = 7;
    for (int metric = EL_METRIC_IP; metric <= EL_METRIC_L2; metric++)
        for (int filter = NO_FILTER; filter <= HALF; filter++)
            check_search(&(struct search){.kind = UNIT,
                                          .filter = (enum filter)filter,
                                          .metric = (enum el_metric)metric,
                                          .rows = 10000,
                                          .dim = 24,
                                          .queries = filter == HALF ? 3 : 33,
                                          .k = 10});
}

// More rows than lie end to end as bytes.
static void runs_of_bytes_are_searched_as_one(void **state) {
    (void)state;
    vectors_seed = 5;
    check_search(&(struct search){.kind = UNIT,
                                  .filter = HALF,
                                  .metric = EL_METRIC_L2,
                                  .rows = (1 << 16) + 70,
                                  .dim = 3,
                                  .queries = 2,
                                  .k = 9});
}

// Bytes of fewer rows than there are can't be used; and what can't be bytes at all is told.
static void bytes_that_do_not_suit_are_left_alone(void **state) {
    (void)state;
    float rows[4] = {1, 2, 3, 4}, query[2] = {1, 2};
    struct el_codes *codes = NULL;
    struct el_vector_set set = {.dim = 2, .count = 1, .rows = rows};
    struct el_hit hit;
    assert_int_equal(el_codes_open(EL_CODES_MOST_DIM + 1, &codes), EL_EINVAL);
    assert_null(codes);
    codes = new_codes(set);
    set.codes = codes;
    set.count = 2;
    assert_int_equal(el_search_exact(&set, query, 1, 1, NULL, &hit), 0);
    assert_int_equal(hit.row, 1);
    el_codes_close(codes);
    el_codes_close(NULL);
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
        cmocka_unit_test(bytes_pass_over_no_row_that_belongs),
        cmocka_unit_test(runs_of_bytes_are_searched_as_one),
        cmocka_unit_test(bytes_that_do_not_suit_are_left_alone),
        cmocka_unit_test(bad_input_is_refused_and_touches_nothing),
    };
    return cmocka_run_group_tests(tests, open_teams, close_teams);
}
