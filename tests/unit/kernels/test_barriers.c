// SPDX-License-Identifier: Apache-2.0
// A test of the test: no kernel gets away without any one of its barriers. Each SYNC of each kernel is taken
// out in turn; in one of the lane orders the result must be another, or the run must end in a message.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unsynced.h"

// ---- barriers ----

struct barrier {
    const char *file;
    int line;
};
static struct barrier met[32], removed;
static int met_count;

void unsynced_sync(const char *file, int line) {
    if (removed.line == line && strcmp(removed.file, file) == 0) return;
    int i = 0;
    while (i < met_count && (met[i].line != line || strcmp(met[i].file, file) != 0))
        i++;
    if (i == met_count) {
        assert_true(met_count < (int)(sizeof met / sizeof *met));
        met[met_count++] = (struct barrier){file, line};
    }
    el_lane_sync(file, line);
}

// ---- a launch of each kernel that has barriers, large enough that each of them matters ----

enum { FLOATS = 70 * 3 * 70 }; // of each block

struct launch {
    const char *symbol;
    int groups[3];
    const char *args; // as in kernels.def; 'o' is an m that comes out
    int numbers[5];   // the i's in order
};
static const struct launch launches[] = {
    {"layer_norm_f32", {3, 1, 1}, "mmmfio", {300}},
    {"embed_norm_f32", {3, 1, 1}, "zzmmmmmfio", {300}},
    {"linear_f32", {2, 2, 1}, "mmmzoiiiii", {70, 70, 70, 1, 0}},
    {"linear_int8_f32", {2, 2, 1}, "mmmmzoiiiii", {70, 70, 70, 1, 0}},
    {"attention_f32", {2, 1, 1}, "msiifo", {1, 70}},
    {"l2_normalize_f32", {3, 1, 1}, "oi", {300}},
    {"inner_products_f32", {3, 1, 1}, "mmomiii", {40, 3, 70}},
    {"top_k_f32", {2, 1, 1}, "miimo", {2000, 400}},
    {"top_products_f32", {1, 2, 1}, "mmmoiiiii", {20, 200, 40, 4, 2}},
    {"top_products_few_f32", {1, 2, 1}, "mmmoiiiii", {5, 200, 40, 4, 2}},
    {"merge_lists_f32", {2, 1, 1}, "miiimo", {2, 100, 7}},
    {"canary_f32", {2, 1, 1}, "oii", {5, 9}},
};

static const struct el_c_kernel *find(const char *symbol) {
    for (const struct el_c_kernel *kernel = unsynced_kernels; kernel->symbol; kernel++)
        if (strcmp(kernel->symbol, symbol) == 0) return kernel;
    fail_msg("there is no kernel %s", symbol);
    return NULL;
}

// What the kernel leaves in its output: [FLOATS].
static float *run(const struct launch *launch, enum el_lane_order order) {
    float scale = 0.25f, *out = NULL;
    int32_t start[2] = {0, 70}, *sequences = start;
    void *params[16], *blocks[16];
    int number = 0, block = 0;
    for (int i = 0; launch->args[i]; i++) {
        float *floats = calloc(FLOATS, sizeof *floats);
        assert_non_null(floats);
        for (int j = 0; j < FLOATS && launch->args[i] != 'z'; j++)
            floats[j] = (float)((j * 37 + i * 11) % 101 - 50) / 50;
        blocks[block] = floats;
        params[i] = &blocks[block++];
        if (launch->args[i] == 'o') out = floats;
        if (launch->args[i] == 's') params[i] = &sequences;
        if (launch->args[i] == 'f') params[i] = &scale;
        if (launch->args[i] == 'i') params[i] = (void *)&launch->numbers[number++];
    }
    el_lanes_set_order(order, 1);
    el_lanes_run(find(launch->symbol), launch->groups, params);
    for (int i = 0; i < block; i++)
        if (blocks[i] != out) free(blocks[i]);
    return out;
}

// 0 in a child that got `want`; anything else when the missing barrier showed.
static int run_apart(const struct launch *launch, enum el_lane_order order, const float *want) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        if (!freopen("/dev/null", "w", stderr)) _exit(2); // what the sanitizers and lanes.c would say
        float *got = run(launch, order);
        _exit(memcmp(got, want, FLOATS * sizeof *got) != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void every_barrier_is_needed(void **state) {
    const struct launch *launch = *state;
    removed.line = 0;
    met_count = 0;
    float *want = run(launch, EL_LANES_FORWARDS);
    struct barrier barriers[sizeof met / sizeof *met];
    int count = met_count;
    assert_true(count > 0);
    memcpy(barriers, met, sizeof met);
    for (int i = 0; i < count; i++) {
        bool shows = false;
        for (int order = EL_LANES_FORWARDS; order <= EL_LANES_SHUFFLED; order++) {
            assert_int_equal(run_apart(launch, (enum el_lane_order)order, want), 0); // not without a reason
            removed = barriers[i];
            shows |= run_apart(launch, (enum el_lane_order)order, want) != 0;
            removed.line = 0;
        }
        if (!shows)
            fail_msg("%s: the barrier at %s:%d is not missed", launch->symbol, barriers[i].file,
                     barriers[i].line);
    }
    free(want);
}

int main(void) {
    struct CMUnitTest tests[sizeof launches / sizeof *launches];
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tests[i] = (struct CMUnitTest){.name = launches[i].symbol,
                                       .test_func = every_barrier_is_needed,
                                       .initial_state = (void *)&launches[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
