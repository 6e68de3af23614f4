// SPDX-License-Identifier: Apache-2.0
// The team: every task runs once, on a worker of its own, for any number of threads and back-to-back runs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"

enum { MAX_TASKS = 1000, MAX_WORKERS = 8 };

struct count {
    atomic_int calls[MAX_TASKS];
    atomic_int inside[MAX_WORKERS];
    atomic_int shared_workers;
};

static void count_task(void *context, int task, int worker) {
    struct count *count = context;
    if (atomic_fetch_add(&count->inside[worker], 1) != 0) atomic_fetch_add(&count->shared_workers, 1);
    atomic_fetch_add(&count->calls[task], 1);
    atomic_fetch_sub(&count->inside[worker], 1);
}

static void check_run(struct el_team *team, int tasks) {
    struct count count;
    memset(&count, 0, sizeof count);
    el_team_run(team, tasks, count_task, &count);
    for (int i = 0; i < MAX_TASKS; i++)
        assert_int_equal(count.calls[i], i < tasks ? 1 : 0);
    assert_int_equal(count.shared_workers, 0);
}

static void every_task_runs_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        struct el_team *team = NULL;
        assert_int_equal(el_team_open(threads, false, &team), 0);
        assert_int_equal(el_team_size(team), threads);
        for (int round = 0; round < 300; round++)
            check_run(team, round % 7 == 0 ? MAX_TASKS : round % 13);
        el_team_close(team);
    }
}

static void helpers_wake_after_sleep(void **state) {
    (void)state;
    struct el_team *team = NULL;
    assert_int_equal(el_team_open(3, true, &team), 0);
    for (int round = 0; round < 20; round++) {
        usleep(2000); // longer than helpers spin
        check_run(team, 50);
    }
    el_team_close(team);
}

static void no_team_runs_on_the_caller(void **state) {
    (void)state;
    check_run(NULL, 17);
    assert_int_equal(el_team_size(NULL), 1);
    el_team_close(NULL);
}

static void a_team_of_none_is_refused(void **state) {
    (void)state;
    struct el_team *team = NULL;
    assert_int_equal(el_team_open(0, false, &team), EL_EINVAL);
    assert_null(team);
    assert_string_equal(el_error_detail(), "a team needs at least 1 thread, not 0");
}

// What the kernel says it heard; kernels that do not heed it say 0.
static uint64_t slice(void) {
    uint64_t attributes[7] = {0}; // size and policy, flags, nice and priority, runtime, ...
    assert_true(syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0) == 0);
    return attributes[3];
}

static void a_thread_asks_for_short_turns(void **state) {
    (void)state;
    const uint64_t usual = slice();
    if (usual == 0) skip(); // Linux before 6.12
    el_thread_slice(300000);
    assert_int_equal(slice(), 300000);
    el_thread_slice(3000000);
    assert_int_equal(slice(), 3000000);
    el_thread_slice(1); // out of range: the least there is
    assert_in_range(slice(), 100000, 3000000);
    el_thread_slice(0);
    assert_int_equal(slice(), usual);
}

static void a_wait_ends_by_the_clock(void **state) {
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    el_cond_init(&cond);
    pthread_mutex_lock(&lock);
    const uint64_t until = el_now_ns() + 20000000;
    while (el_cond_wait_until(&cond, &lock, until)) {
    }
    assert_true(el_now_ns() >= until);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),          cmocka_unit_test(helpers_wake_after_sleep),
        cmocka_unit_test(no_team_runs_on_the_caller),    cmocka_unit_test(a_team_of_none_is_refused),
        cmocka_unit_test(a_thread_asks_for_short_turns), cmocka_unit_test(a_wait_ends_by_the_clock),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
