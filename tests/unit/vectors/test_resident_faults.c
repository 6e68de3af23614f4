// SPDX-License-Identifier: Apache-2.0
// A device that fails under an exact search or while it trains inverted lists, on the fake CUDA driver: its
// error is told, nothing is left behind, and the processor still finds the lists. Each program runs in a
// process of its own (fake_run.h).
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
#include "fake/fake_run.h"
#include "vectors/ivf.h"
#include "vectors/resident.h"
#include "vectors/searcher.h"

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
    if (status == 0) status = el_resident_search(resident, &set, rows, QUERIES, K, NULL, hits);
    for (int i = 0; i < QUERIES * K && status == 0; i++)
        RUN_CHECK(hits[i].row == want[i].row && hits[i].score == want[i].score);
    el_resident_close(resident);
    el_device_close(device);
    return run_exit_code(status);
}

// An index's searches on two GPUs, again and again: whatever fails, the lists are right. Returns 0 where all
// rows are still on the GPUs at the end, else ELOST's code.
static int search_an_index(void) {
    enum { MANY = 3000, SEARCHES = 4 };
    static float rows[MANY * DIM];
    static struct el_hit hits[QUERIES * K], want[QUERIES * K];
    struct el_manager *manager = NULL;
    struct el_searcher *searcher = NULL;
    for (int i = 0; i < MANY * DIM; i++)
        rows[i] = (float)(i * 7919 % 10007) * 0.01f;
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_IP, .count = MANY, .rows = rows};
    RUN_CHECK(el_search_exact(&set, rows, QUERIES, K, NULL, want) == 0);
    RUN_TRY(el_manager_open(&(struct el_manager_options){.devices = "cuda:0,cuda:1"}, &manager));
    RUN_CHECK(el_searcher_open(&(struct el_searcher_options){.manager = manager, .bytes = true}, &searcher) ==
              0);
    for (int n = 0; n < SEARCHES; n++) {
        RUN_CHECK(el_searcher_search(searcher, &set, 1, rows, QUERIES, K, NULL, hits) == 0);
        for (int i = 0; i < QUERIES * K; i++)
            RUN_CHECK(hits[i].row == want[i].row && hits[i].score == want[i].score);
    }
    const int64_t on_devices = el_searcher_stats(searcher).on_devices;
    RUN_CHECK(on_devices == 2944 || on_devices == 1472); // all, or one GPU's half
    el_searcher_close(searcher);
    el_manager_close(manager);
    return run_exit_code(on_devices == 2944 ? 0 : EL_ELOST);
}

static void an_index_is_searched_on_what_is_left(void **state) {
    (void)state;
    static const char *const fails[] = {"1:alloc:1:oom", "1:launch:5:lost", "1:copy:7:off-the-bus",
                                        "0:launch:5:off-the-bus", "0:alloc:1:oom"};
    const struct fake_run whole = {.machine = "dual-3090-nvlink"};
    assert_int_equal(run_on_fake(&whole, search_an_index, NULL), 0);
    for (size_t i = 0; i < sizeof fails / sizeof *fails; i++) {
        const struct fake_run run = {.machine = whole.machine, .fail = fails[i]};
        const int code = run_on_fake(&run, search_an_index, NULL);
        if (code != run_exit_code(EL_ELOST)) fail_msg("%s: exit code %d", fails[i], code);
    }
}

// Inverted lists that are trained on a device, whatever it fails at: all rows are in them.
static int train_lists(void) {
    enum { LISTS = 6, FEW = 192 };
    static float rows[FEW * DIM];
    static struct el_hit hits[QUERIES * K], want[QUERIES * K];
    char path[] = "/tmp/eleanor-faults-XXXXXX";
    struct el_device *device = NULL;
    struct el_ivf *ivf = NULL;
    const int fd = mkstemp(path);
    RUN_CHECK(fd >= 0);
    close(fd);
    for (int i = 0; i < FEW * DIM; i++)
        rows[i] = (float)(i * 7919 % 1009) * 0.01f;
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_L2, .count = FEW, .rows = rows};
    RUN_CHECK(el_search_exact(&set, rows, QUERIES, K, NULL, want) == 0);
    const int opened = el_device_open("cuda", 0, NULL, &device);
    const struct el_ivf_options options = {.lists = LISTS, .device = device};
    RUN_CHECK(el_ivf_build(path, &set, 1, &options) == 0);
    RUN_CHECK(el_ivf_open(path, &ivf) == 0);
    RUN_CHECK(el_ivf_search(ivf, &set, rows, QUERIES, K, LISTS, NULL, hits) == 0);
    for (int i = 0; i < QUERIES * K; i++)
        RUN_CHECK(hits[i].row == want[i].row && hits[i].score == want[i].score);
    el_ivf_close(ivf);
    unlink(path);
    const bool lost = opened == 0 && atomic_load(&device->lost);
    el_device_close(device);
    return run_exit_code(opened < 0 ? opened : lost ? EL_ELOST : 0);
}

static void lists_are_trained_whatever_fails(void **state) {
    (void)state;
    static const char *const calls[] = {"copy", "launch", "sync"};
    static const int after[] = {1, 20};
    assert_int_equal(run_on_fake(&(struct fake_run){0}, train_lists, NULL), 0);
    assert_int_equal(run_on_fake(&(struct fake_run){.fail = "0:alloc:2:oom"}, train_lists, NULL), 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (size_t n = 0; n < sizeof after / sizeof *after; n++) {
            char fail[64];
            snprintf(fail, sizeof fail, "0:%s:%d:lost", calls[i], after[n]);
            const int code = run_on_fake(&(struct fake_run){.fail = fail}, train_lists, NULL);
            if (code != run_exit_code(EL_ELOST)) fail_msg("%s: exit code %d", fail, code);
        }
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
        cmocka_unit_test(an_index_is_searched_on_what_is_left),
        cmocka_unit_test(lists_are_trained_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
