// SPDX-License-Identifier: Apache-2.0
// Torture of exact search: the N-th allocation fails, for every N. Each search ends in EL_ENOMEM or in the
// right list, and nothing leaks: for few queries and many, with a filter, on the best operations of this
// processor and on the reference, whose threads allocate while they compute.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "torture.h"
#include "vectors/codes.h"

enum { ROWS = 300, DIM = 24, QUERIES = 40, K = 5 };

static float rows[ROWS * DIM], queries[QUERIES * DIM];
static uint64_t allowed[(ROWS + 63) / 64];
static struct el_vector_set set = {
    .dim = DIM, .metric = EL_METRIC_L2, .count = ROWS, .rows = rows, .allowed = allowed};
static struct el_team *team;

static int prepare(void **state) {
    (void)state;
    for (int i = 0; i < ROWS * DIM; i++)
        rows[i] = (float)(i * 7919 % 1009) * 0.01f;
    for (int i = 0; i < QUERIES * DIM; i++)
        queries[i] = (float)(i * 104729 % 1013) * 0.01f;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        allowed[i] = 0x5555ffffffffffff;
    return el_team_open(2, false, &team);
}

static int clean(void **state) {
    (void)state;
    unsetenv("ELEANOR_SIMD");
    el_team_close(team);
    return 0;
}

static void assert_same_hits(const struct el_hit *got, const struct el_hit *want, int count) {
    for (int i = 0; i < count; i++) {
        assert_int_equal(got[i].row, want[i].row);
        assert_true(got[i].score == want[i].score);
    }
}

static void search_with_failures(int count, bool and_after) {
    struct el_hit want[QUERIES * K], got[QUERIES * K];
    assert_int_equal(el_search_exact(&set, queries, count, K, team, want), 0);
    struct torture torture = torture_begin(and_after);
    while (torture_next(&torture)) {
        torture_arm(&torture);
        const int status = torture_disarm(&torture, el_search_exact(&set, queries, count, K, team, got));
        if (status == 0) assert_same_hits(got, want, count * K);
    }
    assert_true(torture.refusals > 2);
    assert_int_equal(torture.refusals, torture.nth - 1); // there is none that a search can do without
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char *const fillings[] = {"", "ref"};
    for (int i = 0; i < 2; i++)
        for (int and_after = 0; and_after < 2; and_after++) {
            setenv("ELEANOR_SIMD", fillings[i], 1);
            search_with_failures(1, and_after);
            search_with_failures(QUERIES, and_after);
        }
}

// Bytes that could not be made leave the codes without rows, and a search of bytes fails as one of floats
// does.
static void bytes_fail_whole(void **state) {
    (void)state;
    struct el_codes *codes = NULL;
    struct torture torture = torture_begin(false);
    while (torture_next(&torture)) {
        assert_int_equal(el_codes_open(DIM, &codes), 0);
        torture_arm(&torture);
        const int status = torture_disarm(&torture, el_codes_append(codes, &set, team));
        assert_int_equal(el_codes_count(codes), status < 0 ? 0 : ROWS);
        el_codes_close(codes);
    }
    assert_true(torture.refusals > 3);
    assert_int_equal(el_codes_open(DIM, &codes), 0);
    assert_int_equal(el_codes_append(codes, &set, team), 0);
    unsetenv("ELEANOR_SIMD");
    set.codes = codes;
    search_with_failures(1, true);
    search_with_failures(QUERIES, false);
    set.codes = NULL;
    el_codes_close(codes);
}

// What was begun for many rows, of which the last had no room, is neither forgotten nor in the way of fewer.
static void bytes_of_fewer_rows_may_follow_a_failure(void **state) {
    (void)state;
    enum { RUNS = 3, RUN_ROWS = 1 << 16 }; // at most so many lie end to end
    const int64_t count = (RUNS - 1) * RUN_ROWS + 1;
    struct el_vector_set narrow = {.dim = 1, .metric = EL_METRIC_IP, .count = count};
    struct el_codes *codes = NULL;
    float *values;
    assert_int_equal(el_zalloc((size_t)count, sizeof *values, &values), 0);
    struct torture torture = torture_begin(false);
    narrow.rows = values;
    while (torture_next(&torture)) {
        assert_int_equal(el_codes_open(1, &codes), 0);
        torture_arm(&torture);
        narrow.count = count;
        const int status = torture_disarm(&torture, el_codes_append(codes, &narrow, team));
        narrow.count = status < 0 ? 1 : count;
        assert_int_equal(el_codes_append(codes, &narrow, team), 0);
        assert_int_equal(el_codes_count(codes), narrow.count);
        el_codes_close(codes);
    }
    assert_true(torture.refusals > 3 * RUNS);
    el_free(values);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail),
                                       cmocka_unit_test(bytes_fail_whole),
                                       cmocka_unit_test(bytes_of_fewer_rows_may_follow_a_failure)};
    return cmocka_run_group_tests(tests, prepare, clean);
}
