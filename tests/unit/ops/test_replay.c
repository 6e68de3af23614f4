// SPDX-License-Identifier: Apache-2.0
// Work that comes again, on the fake CUDA driver: recorded the second time, replayed with new numbers, made
// anew when sizes or addresses change, done all the same where the driver has no graphs. Each program runs in
// a process of its own (fake_run.h).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "fake/fake_run.h"
#include "ops/ops.h"
#include "ops/replay.h"

enum { COLUMNS = 8, MOST_ROWS = 100 };

struct work {
    struct el_tensor rows;    // [n][COLUMNS]
    int calls;                // of `normalize`
    bool takes_much, starves; // of temporaries
};

// Each row to length 1, by way of a temporary that nobody sees.
static int normalize(void *context, struct el_exec *exec) {
    struct work *work = context;
    struct el_tensor temporary;
    work->calls++;
    if (work->starves) return el_fail(EL_ENOMEM, "as the test wants it");
    EL_TRY(el_exec_alloc(exec, EL_F32, work->takes_much ? 1 << 20 : 1, COLUMNS, &temporary));
    return exec->ops->l2_normalize(exec, &work->rows);
}

// Uploads `rows` rows of `value`, has them normalised, and looks at what comes back.
static int go(struct el_exec *exec, struct work *work, int rows, float value) {
    const struct el_exec_mark mark = el_exec_mark(exec);
    static float numbers[MOST_ROWS * COLUMNS];
    for (int i = 0; i < rows * COLUMNS; i++)
        numbers[i] = i % COLUMNS == 0 ? value : 0;
    const struct el_tensor host = el_tensor_2d(EL_F32, numbers, rows, COLUMNS);
    RUN_TRY(el_exec_upload(exec, &host, &work->rows));
    const struct el_replay_key key = {.fn = normalize, .memory = {work->rows.data}, .size = {rows}};
    RUN_TRY(el_exec_replay(exec, &key, work));
    RUN_TRY(el_exec_download(exec, &work->rows, numbers));
    for (int i = 0; i < rows * COLUMNS; i++)
        RUN_CHECK(numbers[i] == (i % COLUMNS == 0 ? copysignf(1, value) : 0));
    el_exec_release(exec, mark);
    return 0;
}

static struct el_device *device;
static int open_exec(struct el_exec *exec) {
    struct el_target target;
    RUN_TRY(el_device_open("cuda", 0, NULL, &device));
    RUN_TRY(el_target_init(device, EL_PRECISION_FP32, &target));
    RUN_TRY(el_exec_open(&target, NULL, exec));
    return 0;
}

static int close_exec(struct el_exec *exec) {
    el_exec_close(exec);
    el_device_close(device);
    return 0;
}

#define GO(...)                     \
    do {                            \
        int code = go(__VA_ARGS__); \
        if (code) return code;      \
    } while (0)

static int same_work_again(void) {
    struct el_exec exec;
    struct work work = {0};
    RUN_TRY(open_exec(&exec));
    for (int i = 0; i < 5; i++)
        GO(&exec, &work, 3, i % 2 ? 2.0f : -3.0f);
    RUN_CHECK(work.calls == 2); // once by itself, once to record
    GO(&exec, &work, 4, 5);     // another size is other work
    GO(&exec, &work, 3, 7);     // which leaves the first where it was
    RUN_CHECK(work.calls == 3 && device->replays == 5);
    return close_exec(&exec);
}

static int addresses_that_change(void) {
    struct el_exec exec;
    struct work work = {0};
    RUN_TRY(open_exec(&exec));
    for (int i = 0; i < 3; i++)
        GO(&exec, &work, 3, 1);
    RUN_CHECK(work.calls == 2);
    el_exec_trim(&exec); // the graph's memory is gone
    work.takes_much = true;
    GO(&exec, &work, 3, 2);
    RUN_CHECK(work.calls == 3);
    for (int i = 0; i < 4; i++)
        GO(&exec, &work, 3, 2);
    RUN_CHECK(work.calls <= 5); // the first of them found the arena as it grew
    return close_exec(&exec);
}

static int more_work_than_places(void) {
    struct el_exec exec;
    struct work work = {0};
    RUN_TRY(open_exec(&exec));
    for (int round = 0; round < 2; round++)
        for (int rows = 1; rows <= MOST_ROWS; rows++)
            GO(&exec, &work, rows, (float)rows);
    return close_exec(&exec);
}

static int memory_is_short(void) {
    struct el_exec exec;
    struct work work = {0};
    RUN_TRY(open_exec(&exec));
    GO(&exec, &work, 3, 1);
    work.starves = true;
    const struct el_replay_key key = {.fn = normalize, .memory = {work.rows.data}, .size = {3}};
    RUN_CHECK(el_exec_replay(&exec, &key, &work) == EL_ENOMEM);
    work.starves = false;
    for (int i = 0; i < 3; i++)
        GO(&exec, &work, 3, 1);
    RUN_CHECK(device->replays > 0); // it was not the driver who refused
    return close_exec(&exec);
}

static int no_graphs(void) {
    struct el_exec exec;
    struct work work = {0};
    RUN_TRY(open_exec(&exec));
    for (int i = 0; i < 4; i++)
        GO(&exec, &work, 3, 1);
    RUN_CHECK(work.calls == 4 && device->replays == 0);
    return close_exec(&exec);
}

// The machine fails a launch: the first, the one recorded, or one replayed.
static int lost_on_the_way(void) {
    struct el_exec exec;
    struct work work = {0};
    int code = 0;
    RUN_TRY(open_exec(&exec));
    for (int i = 0; i < 4 && code == 0; i++)
        code = go(&exec, &work, 3, 1);
    close_exec(&exec);
    return code;
}

// Runs a program that leaves nothing behind; returns its exit code and how often it recorded.
static int run(int (*program)(void), const char *fail, long *ret_captures) {
    const struct fake_run run = {.fail = fail};
    json_t *report = NULL;
    const int code = run_on_fake(&run, program, &report);
    assert_non_null(report);
    assert_int_equal(run_left(report), 0);
    if (ret_captures) *ret_captures = run_calls(report, "cuStreamBeginCapture");
    json_decref(report);
    return code;
}

static void what_comes_again_is_replayed(void **state) {
    (void)state;
    long captures = 0;
    assert_int_equal(run(same_work_again, NULL, &captures), 0);
    assert_int_equal(captures, 1);
    assert_int_equal(run(addresses_that_change, NULL, NULL), 0);
    assert_int_equal(run(more_work_than_places, NULL, NULL), 0);
}

static void failures_are_those_of_the_work(void **state) {
    (void)state;
    assert_int_equal(run(memory_is_short, NULL, NULL), 0);
    for (int nth = 1; nth <= 5; nth++) {
        char fail[32];
        snprintf(fail, sizeof fail, "0:launch:%d:lost", nth);
        assert_int_equal(run(lost_on_the_way, fail, NULL), nth <= 4 ? -EL_ELOST : 0);
    }
}

static void a_driver_without_graphs(void **state) {
    (void)state;
    long captures = 0;
    setenv("EL_FAKE_NO_GRAPHS", "1", 1);
    assert_int_equal(run(no_graphs, NULL, &captures), 0);
    unsetenv("EL_FAKE_NO_GRAPHS");
    assert_int_equal(captures, 1); // it is asked once
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_again_is_replayed),
        cmocka_unit_test(failures_are_those_of_the_work),
        cmocka_unit_test(a_driver_without_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
