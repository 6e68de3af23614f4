// SPDX-License-Identifier: Apache-2.0
// Short memory, at every size: from where a GPU's memory (the fake driver) just takes the weights upwards,
// each text is answered, and right, and the steps of the ladder are counted; below, the embedder is refused
// with the bytes that are missing, or goes to the next device where it may choose. On the processor: a limit
// of address space.
//
//     test_memory [STEP]: bytes from one size to the next
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/tiny_model.h"
#include "fake/fake_run.h"
#include "service/embed.h"

enum { TEXTS = 24, MANY = 640, DEADLINE_S = 120, MOST_RAISES = 8 };

static uint64_t size_step = 100003ull * (SKIP > 1 ? 3 : 1); // SKIP: this build is slow
static char *model;
static char machine[] = "/tmp/el-machine-XXXXXX";
static struct el_text texts[MANY];
static float expected[TEXTS][TINY_HIDDEN];

// What a child has to say.
static struct told {
    uint64_t missing;
    struct el_embed_stats stats;
    char device[32], detail[512], notice[640];
    int notices;
} * told;

// ---- the machine: two GPUs of so many bytes each ----

static void write_machine(uint64_t first, uint64_t second) {
    FILE *file = fopen(machine, "w");
    assert_non_null(file);
    fprintf(file,
            "driver: 550.54.15\n"
            "each: {name: small, capability: 86, multiprocessors: 8}\n"
            "gpus:\n"
            "  - {pci: \"00000000:01:00.0\", uuid: GPU-58e2438c-378d-8859-a317-14740b1c98f8, memory: %" PRIu64
            "}\n"
            "  - {pci: \"00000000:02:00.0\", uuid: GPU-eb55b9a5-549d-9604-4768-cfb6f28b449c, memory: %" PRIu64
            "}\n",
            first, second);
    assert_int_equal(fclose(file), 0);
}

// ---- the programs ----

static void note(void *context, const char *text) {
    (void)context;
    if (getenv("EL_VERBOSE")) fprintf(stderr, "    %s\n", text);
    if (told->notices++ == 0) snprintf(told->notice, sizeof told->notice, "%s", text);
}

static int open_on(const char *devices, struct el_embedder **ret_embedder) {
    const struct el_embedder_options options = {.precision = "fp32",
                                                .device = devices,
                                                .threads = 2,
                                                .streams = 2,
                                                .batch_tokens = 1 << 20,
                                                .notice = note};
    int status = el_embedder_open(model, &options, ret_embedder);
    const char *missing = strstr(el_error_detail(), "left: ");
    snprintf(told->detail, sizeof told->detail, "%s", el_error_detail());
    if (status < 0 && missing) told->missing = strtoull(missing + strlen("left: "), NULL, 10);
    return status;
}

static bool are_right(const float *vectors, int count) {
    for (int i = 0; i < count; i++)
        for (int d = 0; d < TINY_HIDDEN; d++)
            if (!(fabsf(vectors[i * TINY_HIDDEN + d] - expected[i % TEXTS][d]) < 1e-4f)) return false;
    return true;
}

static void tell(struct el_embedder *embedder) {
    struct el_embed_info info;
    el_embedder_drain(embedder); // a batch is counted after its answers
    el_embedder_stats(embedder, &told->stats);
    el_embedder_info(embedder, &info);
    snprintf(told->device, sizeof told->device, "%s", info.place.device);
}

static const char *devices;
static int embed_on_gpu(void) {
    struct el_embedder *embedder = NULL;
    static float vectors[TEXTS * TINY_HIDDEN];
    alarm(DEADLINE_S);
    RUN_TRY(open_on(devices, &embedder));
    RUN_TRY(el_embed(embedder, texts, TEXTS, vectors));
    RUN_CHECK(are_right(vectors, TEXTS));
    tell(embedder);
    el_embedder_close(embedder);
    return 0;
}

static int run(const char *on, uint64_t first, uint64_t second) {
    const struct fake_run fake = {.machine = machine};
    json_t *report = NULL;
    devices = on;
    memset(told, 0, sizeof *told);
    write_machine(first, second);
    const int code = run_on_fake(&fake, embed_on_gpu, &report);
    assert_int_equal(run_left(report), 0);
    json_decref(report);
    return code;
}

// ---- the tests ----

// The least memory that takes the weights, found as a user would: by adding what is said to be missing.
static uint64_t find_least(void) {
    uint64_t size = 4096;
    for (int i = 0; i < MOST_RAISES; i++) {
        if (run("cuda:0", size, 1 << 30) == 0) return size;
        assert_true(told->missing > 0);
        size += told->missing;
    }
    fail_msg("what is said to be missing is never enough: %s", told->detail);
    return 0;
}

static void below_the_weights_it_says_what_is_missing(void **state) {
    (void)state;
    const uint64_t least = find_least();
    print_message("the weights fit into %" PRIu64 " bytes\n", least);
    for (uint64_t missing = 1; missing < least; missing = missing * 3 + 1) {
        assert_int_equal(run("cuda:0", least - missing, 1 << 30), -EL_ENOMEM);
        assert_non_null(strstr(told->detail, "bytes are missing"));
        assert_int_equal(told->missing, missing);
    }
}

static void check_counts(uint64_t size) {
    const struct el_embed_stats *stats = &told->stats;
    const bool was_short = stats->oom_count > 0;
    assert_true(was_short ==
                (stats->oom_halved + stats->oom_trimmed + stats->oom_caches_dropped + stats->oom_moved > 0));
    assert_int_equal(told->notices, was_short ? 1 : 0);
    if (was_short) assert_non_null(strstr(told->notice, "cuda:0: no memory for a batch of"));
    if (stats->oom_moved > 0) assert_true(stats->oom_trimmed > 0);
    assert_true((stats->batch_tokens < 1 << 20) == (stats->oom_halved > 0));
    assert_int_equal(stats->failures, 0);
    assert_string_equal(told->device, "cuda:0");
    (void)size;
}

static void from_the_weights_up_all_is_answered(void **state) {
    (void)state;
    const uint64_t least = find_least();
    uint64_t moved = 0, halved = 0, sizes = 0;
    int enough = 0; // sizes in a row at which nothing was short
    for (uint64_t size = least; enough < 3; size += size_step) {
        const int code = run("cuda:0", size, 1 << 30);
        if (code != 0) print_error("%" PRIu64 " bytes: exit code %d, %s\n", size, code, told->detail);
        assert_int_equal(code, 0);
        check_counts(size);
        enough = told->stats.oom_count == 0 ? enough + 1 : 0;
        moved += told->stats.oom_moved > 0;
        halved += told->stats.oom_moved == 0 && told->stats.oom_halved > 0;
        sizes++;
    }
    print_message("%" PRIu64 " sizes: at %" PRIu64 " batches were moved, at %" PRIu64 " halved\n", sizes,
                  moved, halved);
    assert_true(moved > 0);
    assert_true(halved > 0);
}

static void auto_goes_to_the_next_device(void **state) {
    (void)state;
    assert_int_equal(run(NULL, 4096, 1 << 30), 0);
    assert_string_equal(told->device, "cuda:1");
    assert_non_null(strstr(told->notice, "cuda:0 has no room for the model"));
    assert_int_equal(run(NULL, 4096, 4096), 0);
    assert_string_equal(told->device, "cpu:0");
    assert_int_equal(run("cuda:0,cuda:1", 1 << 30, 4096), -EL_ENOMEM);
}

// ---- the processor ----

static uint64_t spare_bytes;
static int embed_under_limit(void) {
    struct el_embedder *embedder = NULL;
    static float vectors[MANY * TINY_HIDDEN];
    unsigned long pages = 0;
    alarm(DEADLINE_S);
    RUN_TRY(open_on("cpu", &embedder));
    RUN_TRY(el_embed(embedder, texts, 1, vectors)); // threads have their stacks and heaps now
    FILE *file = fopen("/proc/self/statm", "r");
    RUN_CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    const uint64_t limit = pages * (uint64_t)sysconf(_SC_PAGESIZE) + spare_bytes;
    RUN_CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    int status = el_embed(embedder, texts, MANY, vectors);
    RUN_CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, RLIM_INFINITY}) == 0 || true);
    if (status == 0) RUN_CHECK(are_right(vectors, MANY));
    tell(embedder);
    el_embedder_close(embedder);
    return status < 0 ? run_exit_code(status) : 0;
}

static void the_processor_keeps_a_limit(void **state) {
    (void)state;
    if (SANITIZED) skip(); // sanitizers take terabytes of address space
    int answered = 0, in_parts = 0, refused = 0;
    for (spare_bytes = 0; spare_bytes < 32 << 20; spare_bytes += 2 << 20) {
        memset(told, 0, sizeof *told);
        const int code = run_on_fake(&(struct fake_run){0}, embed_under_limit, NULL);
        if (code != 0 && code != -EL_ENOMEM) print_error("%" PRIu64 " bytes: %d\n", spare_bytes, code);
        assert_true(code == 0 || code == -EL_ENOMEM);
        answered += code == 0;
        refused += code != 0;
        in_parts += code == 0 && told->stats.oom_count > 0;
    }
    print_message("%d limits: %d answered, %d of them in parts; %d refused\n", answered + refused, answered,
                  in_parts, refused);
    assert_true(in_parts > 0);
    assert_true(refused < answered);
}

static void make_texts(void) {
    static char bytes[TEXTS][256];
    for (int i = 0; i < TEXTS; i++) {
        int used = 0;
        for (int w = 0; w < 4 + i % 32; w++)
            used +=
                snprintf(bytes[i] + used, sizeof bytes[i] - (size_t)used, "%s ", (i + w) % 3 ? "the" : "cat");
        for (int k = i; k < MANY; k += TEXTS)
            texts[k] = (struct el_text){bytes[i], (size_t)used};
    }
}

static int prepare(void **state) {
    (void)state;
    const struct el_embedder_options options = {.precision = "fp32", .device = "cpu", .threads = 1};
    struct el_embedder *embedder = NULL;
    int file = mkstemp(machine);
    assert_true(file >= 0);
    close(file);
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    model = tiny_model_write(EL_F32);
    make_texts();
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    assert_int_equal(el_embed(embedder, texts, TEXTS, expected[0]), 0);
    el_embedder_close(embedder);
    return 0;
}

static int clean(void **state) {
    (void)state;
    tiny_model_remove(model);
    unlink(machine);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_weights_it_says_what_is_missing),
        cmocka_unit_test(from_the_weights_up_all_is_answered),
        cmocka_unit_test(auto_goes_to_the_next_device),
        cmocka_unit_test(the_processor_keeps_a_limit),
    };
    if (argc > 1) size_step = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("memory", tests, prepare, clean);
}
