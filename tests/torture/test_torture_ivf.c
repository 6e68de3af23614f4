// SPDX-License-Identifier: Apache-2.0
// Torture of inverted lists: the N-th allocation fails, for every N, while they are made, opened and
// searched. Each ends in EL_ENOMEM or as it should, nothing leaks, and a file that was there stays whole.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "torture.h"
#include "vectors/ivf.h"

enum { ROWS = 400, DIM = 12, QUERIES = 20, K = 5, LISTS = 8, PROBES = 3 };

static float rows[ROWS * DIM], queries[QUERIES * DIM];
static const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_L2, .count = ROWS, .rows = rows};
static struct el_team *team;
static struct el_ivf_options options = {.lists = LISTS, .seed = 3};
static char folder[] = "/tmp/eleanor-ivf-XXXXXX", path[64];

static int prepare(void **state) {
    (void)state;
    for (int i = 0; i < ROWS * DIM; i++)
        rows[i] = (float)(i * 7919 % 1009) * 0.01f;
    for (int i = 0; i < QUERIES * DIM; i++)
        queries[i] = (float)(i * 104729 % 1013) * 0.01f;
    if (!mkdtemp(folder) || el_team_open(2, false, &team) < 0) return -1;
    snprintf(path, sizeof path, "%s/i", folder);
    options.team = team;
    return el_ivf_build(path, &set, 1, &options);
}

static int clean(void **state) {
    (void)state;
    el_team_close(team);
    unlink(path);
    return rmdir(folder);
}

static void making(void **state) {
    (void)state;
    for (int and_after = 0; and_after < 2; and_after++) {
        struct torture torture = torture_begin(and_after);
        while (torture_next(&torture)) {
            torture_arm(&torture);
            torture_disarm(&torture, el_ivf_build(path, &set, 1, &options));
            struct el_ivf *ivf;
            assert_int_equal(el_ivf_open(path, &ivf), 0);
            assert_int_equal(el_ivf_verify(ivf), 0);
            el_ivf_close(ivf);
        }
        assert_true(torture.refusals > 10);
    }
}

static void opening(void **state) {
    (void)state;
    for (int and_after = 0; and_after < 2; and_after++) {
        struct torture torture = torture_begin(and_after);
        while (torture_next(&torture)) {
            struct el_ivf *ivf = NULL;
            torture_arm(&torture);
            const int status = el_ivf_open(path, &ivf);
            el_ivf_close(ivf);
            torture_disarm(&torture, status);
        }
        assert_true(torture.refusals > 3);
    }
}

static void searching(void **state) {
    (void)state;
    struct el_hit want[QUERIES * K], got[QUERIES * K];
    struct el_ivf *ivf;
    assert_int_equal(el_ivf_open(path, &ivf), 0);
    assert_int_equal(el_ivf_search(ivf, &set, queries, QUERIES, K, PROBES, team, want), 0);
    for (int and_after = 0; and_after < 2; and_after++) {
        struct torture torture = torture_begin(and_after);
        while (torture_next(&torture)) {
            torture_arm(&torture);
            const int status =
                torture_disarm(&torture, el_ivf_search(ivf, &set, queries, QUERIES, K, PROBES, team, got));
            for (int i = 0; status == 0 && i < QUERIES * K; i++)
                assert_true(got[i].row == want[i].row && got[i].score == want[i].score);
        }
        assert_true(torture.refusals > 3);
    }
    el_ivf_close(ivf);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(making), cmocka_unit_test(opening),
                                       cmocka_unit_test(searching)};
    return cmocka_run_group_tests(tests, prepare, clean);
}
