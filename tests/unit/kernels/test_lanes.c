// SPDX-License-Identifier: Apache-2.0
// The C life's own facts: orders, barriers, poisoned memory, meetings of a warp, and how a wrong kernel ends.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lanes.h"

enum { LANES = 64 };
static const int one_group[3] = {1, 1, 1};

#define RUN(kernel, groups, ...) \
    el_lanes_run(&(struct el_c_kernel){#kernel, LANES, kernel}, groups, (void *[]){__VA_ARGS__})

// ---- orders ----

struct visits {
    int count, lanes[3 * LANES];
};

static void visit(void *const *params) {
    struct visits *v = params[0];
    for (int i = 0; i < 3; i++) {
        v->lanes[v->count++] = el_lane.lane;
        el_lane_sync(__FILE__, __LINE__);
    }
}

static void lanes_take_turns_in_order(void **state) {
    (void)state;
    for (int order = EL_LANES_FORWARDS; order <= EL_LANES_BACKWARDS; order++) {
        struct visits v = {0};
        el_lanes_set_order((enum el_lane_order)order, 0);
        RUN(visit, one_group, &v);
        assert_int_equal(v.count, 3 * LANES);
        for (int i = 0; i < v.count; i++)
            assert_int_equal(v.lanes[i], order == EL_LANES_FORWARDS ? i % LANES : LANES - 1 - i % LANES);
    }
}

static void a_shuffle_is_one_of_its_seed(void **state) {
    (void)state;
    struct visits first = {0}, again = {0}, other = {0};
    el_lanes_set_order(EL_LANES_SHUFFLED, 5);
    RUN(visit, one_group, &first);
    RUN(visit, one_group, &again);
    el_lanes_set_order(EL_LANES_SHUFFLED, 6);
    RUN(visit, one_group, &other);
    assert_memory_equal(&first, &again, sizeof first);
    assert_memory_not_equal(&first, &other, sizeof first);
    assert_memory_not_equal(first.lanes, first.lanes + LANES,
                            LANES * sizeof *first.lanes); // drawn at each barrier
    int seen[LANES] = {0};
    for (int i = 0; i < LANES; i++)
        seen[first.lanes[i]]++;
    for (int i = 0; i < LANES; i++)
        assert_int_equal(seen[i], 1);
}

// ---- groups and their memory ----

static void count_groups(void *const *params) {
    int(*counts)[2][3] = params[0]; // [4][2][3]
    counts[el_lane.group[2]][el_lane.group[1]][el_lane.group[0]]++;
    assert_int_equal(el_lane.groups, 3);
}

static void every_group_runs_once(void **state) {
    (void)state;
    int counts[4][2][3] = {0};
    RUN(count_groups, ((int[3]){3, 2, 4}), counts);
    for (int i = 0; i < 24; i++)
        assert_int_equal((&counts[0][0][0])[i], LANES);
}

// Leaves what it found in the group's memory, then fills it for the next group to find.
static void use_memory(void *const *params) {
    float *found = params[0]; // [groups][LANES]
    char *pad = el_lane_local(3);
    float *mine = el_lane_local(LANES * sizeof *mine);
    assert_true((uintptr_t)mine % 16 == 0 && (char *)mine - pad == 16);
    found[el_lane.group[0] * LANES + el_lane.lane] = mine[el_lane.lane];
    mine[el_lane.lane] = 1;
    int *own = el_lane_own();
    assert_int_equal(own[EL_LANE_OWN / sizeof *own - 1]++, 0);
}

static void memory_of_a_group_begins_as_nan(void **state) {
    (void)state;
    float found[3 * LANES] = {0};
    RUN(use_memory, ((int[3]){3, 1, 1}), found);
    for (int i = 0; i < 3 * LANES; i++)
        assert_true(isnan(found[i]));
}

// ---- warps ----

struct exchange {
    int in, out;
};

static void rotate(void *const items[EL_WARP]) {
    for (int i = 0; i < EL_WARP; i++)
        ((struct exchange *)items[i])->out = ((struct exchange *)items[(i + 1) % EL_WARP])->in;
}

// The second warp meets more often than the first before both come to the barrier.
static void exchange(void *const *params) {
    int *got = params[0]; // [LANES]
    struct exchange x = {.in = el_lane.lane};
    for (int i = 0; i <= el_lane.lane / EL_WARP; i++) {
        el_warp_meet(rotate, &x, __FILE__, __LINE__);
        x.in = x.out;
    }
    el_lane_sync(__FILE__, __LINE__);
    got[el_lane.lane] = x.out;
}

static void a_warp_meets_apart_from_others(void **state) {
    (void)state;
    for (int order = EL_LANES_FORWARDS; order <= EL_LANES_SHUFFLED; order++) {
        int got[LANES];
        el_lanes_set_order((enum el_lane_order)order, 3);
        RUN(exchange, one_group, got);
        for (int i = 0; i < LANES; i++)
            assert_int_equal(got[i], i < EL_WARP ? (i + 1) % EL_WARP : EL_WARP + (i + 2) % EL_WARP);
    }
}

// ---- threads ----

static void sum_up(void *const *params) {
    int *out = params[0], *shared = el_lane_local(LANES * sizeof *shared), sum = 0;
    for (int round = 0; round < 20; round++) {
        shared[el_lane.lane] = round + el_lane.lane;
        el_lane_sync(__FILE__, __LINE__);
        sum = 0;
        for (int i = 0; i < LANES; i++)
            sum += shared[i];
        el_lane_sync(__FILE__, __LINE__);
    }
    out[el_lane.group[0] * LANES + el_lane.lane] = sum;
}

static void *sum_on_a_thread(void *out) {
    RUN(sum_up, ((int[3]){4, 1, 1}), out);
    return NULL;
}

static void threads_run_kernels_beside_each_other(void **state) {
    (void)state;
    enum { THREADS = 3 };
    static int out[THREADS][4 * LANES];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sum_on_a_thread, out[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int j = 0; j < 4 * LANES; j++)
            assert_int_equal(out[i][j], LANES * 19 + LANES * (LANES - 1) / 2);
    }
}

// ---- wrong kernels ----

static void end_early(void *const *params) {
    (void)params;
    if (el_lane.lane == 7) return;
    el_lane_sync(__FILE__, 11);
}

static void part_ways(void *const *params) {
    (void)params;
    if (el_lane.lane < 9)
        el_lane_sync(__FILE__, 11);
    else
        el_lane_sync(__FILE__, 22);
}

static void miss_a_meeting(void *const *params) {
    (void)params;
    if (el_lane.lane != 40) el_warp_meet(rotate, &(struct exchange){0}, __FILE__, 33);
}

static void take_too_much(void *const *params) {
    (void)params;
    el_lane_local(1 << 20);
}

static const struct wrong {
    const char *name;
    void (*call)(void *const *params);
    const char *words[2]; // of the message, beside the name
} wrongs[] = {
    {"end_early", end_early, {"lane 7: has ended, but lane 0 waits at", "test_lanes.c:11"}},
    {"part_ways", part_ways, {"test_lanes.c:22, but lane 0 waits at", "test_lanes.c:11"}},
    {"miss_a_meeting", miss_a_meeting, {"test_lanes.c:33 for its warp", "group (0, 0, 0)"}},
    {"take_too_much", take_too_much, {"more memory of the group than there is", "lane 0"}},
};

// What this program does when it is given a name.
static int run_wrong(const char *name) {
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++)
        if (strcmp(wrongs[i].name, name) == 0)
            el_lanes_run(&(struct el_c_kernel){name, LANES, wrongs[i].call}, one_group, NULL);
    return 0;
}

// The kernel must end the process that runs it, with its words.
static void a_wrong_kernel_ends_with_a_message(void **state) {
    const struct wrong *wrong = *state;
    int ends[2], status;
    char said[512] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { // a program of its own: the sanitizers know too much of this one
        dup2(ends[1], STDERR_FILENO);
        execl("/proc/self/exe", "test_lanes", wrong->name, NULL);
        _exit(1);
    }
    close(ends[1]);
    for (size_t length = 0; length < sizeof said - 1;) {
        ssize_t n = read(ends[0], said + length, sizeof said - 1 - length);
        if (n <= 0) break;
        length += (size_t)n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!strstr(said, wrong->name) || !strstr(said, wrong->words[0]) || !strstr(said, wrong->words[1]))
        fail_msg("it said: %s", said);
}

#define WRONG_TEST(i)                                                            \
    {                                                                            \
        .name = wrongs[i].name, .test_func = a_wrong_kernel_ends_with_a_message, \
        .initial_state = (void *)&wrongs[i]                                      \
    }

int main(int argc, char **argv) {
    if (argc > 1) return run_wrong(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_take_turns_in_order),
        cmocka_unit_test(a_shuffle_is_one_of_its_seed),
        cmocka_unit_test(every_group_runs_once),
        cmocka_unit_test(memory_of_a_group_begins_as_nan),
        cmocka_unit_test(a_warp_meets_apart_from_others),
        cmocka_unit_test(threads_run_kernels_beside_each_other),
        WRONG_TEST(0),
        WRONG_TEST(1),
        WRONG_TEST(2),
        WRONG_TEST(3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
