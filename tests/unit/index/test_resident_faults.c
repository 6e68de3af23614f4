// SPDX-License-Identifier: Apache-2.0
// A device that fails under an exact search, on the fake CUDA driver: its error is told, nothing is left
// behind, and the processor still finds the lists. Each program runs in a process of its own (fake_run.h).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>

#include "base/error.h"
#include "fake/fake_run.h"
#include "index/resident.h"

enum { ROWS = 700, DIM = 8, QUERIES = 3, K = 4, MOST_CALLS = 40 };

static int search_on_device(void) {
    static float rows[ROWS * DIM];
    static struct el_hit hits[QUERIES * K], want[QUERIES * K];
    struct el_device *device = NULL;
    struct el_resident *resident = NULL;
    for (int i = 0; i < ROWS * DIM; i++)
        rows[i] = (float)(i * 7919 % 1009) * 0.01f;
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_IP, .count = ROWS, .rows = rows};
    RUN_CHECK(el_search_exact(&set, rows, QUERIES, K, NULL, want) == 0);
    int status = el_device_open("cuda", 0, NULL, &device);
    if (status < 0) return run_exit_code(status);
    status = el_resident_open(device, &set, &resident);
    if (status == 0) status = el_resident_search(resident, NULL, rows, QUERIES, K, NULL, hits);
    for (int i = 0; i < QUERIES * K && status == 0; i++)
        RUN_CHECK(hits[i].row == want[i].row && hits[i].score == want[i].score);
    el_resident_close(resident);
    el_device_close(device);
    return run_exit_code(status);
}

// The N-th call of a kind fails, for every N until a search does without it.
static void fail_every(const char *call, const char *outcome, int status) {
    int failures = 0;
    for (int after = 1; after < MOST_CALLS; after++) {
        char fail[64];
        json_t *report = NULL;
        snprintf(fail, sizeof fail, "0:%s:%d:%s", call, after, outcome);
        const int code = run_on_fake(&(struct fake_run){.fail = fail}, search_on_device, &report);
        if (code != 0 && code != run_exit_code(status)) fail_msg("%s: exit code %d", fail, code);
        if (status == EL_ENOMEM) assert_int_equal(run_left(report), 0);
        failures += code != 0;
        json_decref(report);
        if (code == 0) break;
    }
    assert_true(failures > 0 && failures < MOST_CALLS);
}

static void it_may_be_out_of_memory(void **state) {
    (void)state;
    fail_every("alloc", "oom", EL_ENOMEM);
}

static void it_may_be_lost_at_any_call(void **state) {
    (void)state;
    fail_every("copy", "lost", EL_ELOST);
    fail_every("launch", "lost", EL_ELOST);
    fail_every("sync", "lost", EL_ELOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_may_be_out_of_memory),
        cmocka_unit_test(it_may_be_lost_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
