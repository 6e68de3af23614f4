// SPDX-License-Identifier: Apache-2.0
// Torture of devices: on a machine with two GPUs (the fake driver), the N-th allocation, copy, launch or wait
// of a model that loads and embeds fails, for every N, in every way a GPU fails. The vectors come all the
// same, and right: from the device opened again, from the other GPU, or from the processor; only memory that
// is short while loading may end in EL_ENOMEM. A GPU that was given up is taken back, whatever fails then.
// Nothing is left behind, nothing hangs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "common/tiny_model.h"
#include "eleanor/eleanor.h"
#include "fake/fake_run.h"
#include "service/embed.h"

enum { MANY = 3, DEADLINE_S = 120, REJOIN_RUNS = SKIP > 1 ? 4 : 16 };

static char *model;
static const struct el_text texts[MANY] = {{"the cat sat on the mat .", 24}, {"a dog", 5}, {"zzz", 3}};
static float expected[MANY * TINY_HIDDEN];

static const char *const contexts[] = {"cuCtxCreate", NULL};
static const char *const allocations[] = {"cuMemAlloc", "cuMemHostAlloc", NULL};
static const char *const copies[] = {"cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", NULL};
static const char *const launches[] = {"cuLaunchKernel", NULL};
static const char *const syncs[] = {"cuStreamSynchronize", NULL};

static int prepare(void **state) {
    (void)state;
    const struct el_embedder_options options = {.precision = "fp32", .device = "cpu", .threads = 1};
    struct el_embedder *embedder = NULL;
    model = tiny_model_write(EL_F32);
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    assert_int_equal(el_embed(embedder, texts, MANY, expected), 0);
    el_embedder_close(embedder);
    return 0;
}

static int clean(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

static void note(void *context, const char *text) {
    (void)context;
    if (getenv("EL_VERBOSE")) fprintf(stderr, "    %s\n", text);
}

static bool is_right(const float *vectors) {
    for (int i = 0; i < MANY * TINY_HIDDEN; i++)
        if (!(fabsf(vectors[i] - expected[i]) < 1e-4f)) return false;
    return true;
}

static int embed_on(const char *devices) {
    const struct el_embedder_options options = {
        .precision = "fp32", .device = devices, .threads = 1, .streams = 2, .notice = note};
    struct el_embedder *embedder = NULL;
    float got[MANY * TINY_HIDDEN] = {0};
    alarm(DEADLINE_S);
    RUN_TRY(el_embedder_open(model, &options, &embedder));
    int status = 0;
    for (int i = 0; i < 2 && status == 0; i++) {
        status = el_embed(embedder, texts, MANY, got);
        if (status == 0) RUN_CHECK(is_right(got));
    }
    el_embedder_close(embedder);
    return status < 0 ? run_exit_code(status) : 0;
}

// ---- a GPU that comes back ----

static char trip_path[] = "/tmp/el-trip-XXXXXX"; // failures that hold while it says so
static bool trip(const char *text) {
    FILE *file = fopen(trip_path, "w");
    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

static bool comes_back(const struct el_embedder *embedder) {
    struct el_embed_device device;
    for (int i = 0; i < DEADLINE_S * 1000; i++) { // longer than alarm() allows
        el_embedder_device(embedder, 0, &device);
        if (device.in_use) return true;
        usleep(1000);
    }
    return false;
}

// The only GPU goes; the processor computes, until it comes back.
static int embed_and_rejoin(void) {
    const struct el_embedder_options options = {.precision = "fp32",
                                                .device = "cuda:0",
                                                .threads = 1,
                                                .streams = 1,
                                                .notice = note,
                                                .rejoin_ms = 1,
                                                .rejoin_longest_ms = 4};
    struct el_embedder *embedder = NULL;
    float got[MANY * TINY_HIDDEN] = {0};
    const char *const happenings[] = {"", "0 off-the-bus\n", ""};
    alarm(DEADLINE_S);
    RUN_CHECK(trip(""));
    RUN_TRY(el_embedder_open(model, &options, &embedder));
    for (int i = 0; i < 3; i++) {
        RUN_CHECK(trip(happenings[i]));
        RUN_CHECK(i < 2 || comes_back(embedder));
        RUN_TRY(el_embed(embedder, texts, MANY, got));
        RUN_CHECK(is_right(got));
    }
    el_embedder_close(embedder);
    return 0;
}

static int embed_on_two(void) {
    return embed_on("cuda:0,cuda:1");
}

static long count(const json_t *report, const char *const *functions) {
    long sum = 0;
    for (; *functions; functions++)
        sum += run_calls(report, *functions);
    return sum;
}

// Calls of a run in which nothing fails, and the contexts it opens.
static long opened;
static long count_calls(const char *const *functions) {
    const struct fake_run run = {.machine = "dual-3090-nvlink"};
    json_t *report = NULL;
    assert_int_equal(run_on_fake(&run, embed_on_two, &report), 0);
    const long calls = count(report, functions);
    opened = count(report, contexts);
    assert_int_equal(run_left(report), 0);
    json_decref(report);
    assert_true(calls > 0);
    return calls;
}

// Fails call `what` number N of GPU 0 with `outcome`, for all N up to `calls`; a build that is slow takes
// every SKIP-th. That a GPU was lost shows in a context that was opened, or tried, again.
static void torture(const char *what, const char *outcome, long calls) {
    const long step = calls > SKIP ? SKIP : 1;
    long refused = 0, recovered = 0;
    for (long nth = 1; nth <= calls; nth += step) {
        char fail[64];
        json_t *report = NULL;
        snprintf(fail, sizeof fail, "0:%s:%ld:%s", what, nth, outcome);
        const struct fake_run run = {.machine = "dual-3090-nvlink", .fail = fail};
        const int code = run_on_fake(&run, embed_on_two, &report);
        const long left = run_left(report);
        recovered += code == 0 && count(report, contexts) > opened;
        json_decref(report);
        const bool may_refuse = code == -EL_ENOMEM || code == -EL_ELOST; // while opening: nothing moves yet
        if ((code != 0 && !may_refuse) || left > 0)
            print_error("%s: exit code %d, %ld left\n", fail, code, left);
        assert_true(code == 0 || may_refuse);
        assert_int_equal(left, 0);
        refused += code != 0;
    }
    print_message("%s %s: %ld calls, every %ld. failed: %ld recovered, %ld refused\n", what, outcome, calls,
                  step, recovered, refused);
    // Memory that is short loses no device.
    assert_true(recovered > 0 || strncmp(outcome, "oom", 3) == 0);
}

static void allocations_that_fail(void **state) {
    (void)state;
    const long calls = count_calls(allocations);
    torture("alloc", "oom:1", calls); // once: the pool gives back what it keeps, and asks again
    torture("alloc", "oom", calls);
}

static void copies_that_fail(void **state) {
    (void)state;
    const long calls = count_calls(copies);
    torture("copy", "lost", calls);
    torture("copy", "off-the-bus", calls);
}

static void launches_that_fail(void **state) {
    (void)state;
    const long calls = count_calls(launches);
    torture("launch", "lost", calls);
    torture("launch", "off-the-bus", calls);
}

static void waits_that_fail(void **state) {
    (void)state;
    const long calls = count_calls(syncs);
    torture("sync", "lost", calls);
    torture("sync", "ecc", calls);
}

// One failure at a call anywhere before the GPU goes, while it is taken back and after: it comes back all the
// same.
static void torture_rejoin(const char *what, const char *outcome, const char *const *functions) {
    struct fake_run run = {.machine = "dual-3090-nvlink", .trip = trip_path};
    json_t *report = NULL;
    assert_int_equal(run_on_fake(&run, embed_and_rejoin, &report), 0);
    const long calls = count(report, functions), step = calls / REJOIN_RUNS + 1;
    json_decref(report);
    for (long nth = 1; nth <= calls; nth += step) {
        char fail[64];
        snprintf(fail, sizeof fail, "0:%s:%ld:%s", what, nth, outcome);
        run.fail = fail;
        const int code = run_on_fake(&run, embed_and_rejoin, &report);
        const long left = run_left(report);
        json_decref(report);
        const bool may_refuse = code == -EL_ENOMEM; // while opening
        if ((code != 0 && !may_refuse) || left > 0)
            print_error("%s: exit code %d, %ld left\n", fail, code, left);
        assert_true(code == 0 || may_refuse);
        assert_int_equal(left, 0);
    }
    print_message("%s %s: %ld calls, every %ld. failed\n", what, outcome, calls, step);
}

static void rejoins_that_fail(void **state) {
    (void)state;
    const int file = mkstemp(trip_path);
    assert_true(file >= 0);
    close(file);
    torture_rejoin("alloc", "oom:2", allocations);
    torture_rejoin("copy", "lost", copies);
    torture_rejoin("launch", "lost", launches);
    torture_rejoin("sync", "ecc", syncs);
    unlink(trip_path);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_that_fail), cmocka_unit_test(copies_that_fail),
        cmocka_unit_test(launches_that_fail),    cmocka_unit_test(waits_that_fail),
        cmocka_unit_test(rejoins_that_fail),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, prepare, clean);
}
