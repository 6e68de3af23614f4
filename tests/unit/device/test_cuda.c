// SPDX-License-Identifier: Apache-2.0
// What is the CUDA back-end's own: facts, the meaning of every failure, and what goes on after one. Each
// program runs on the fake driver in a process of its own (fake_run.h); test_backend runs what all back-ends
// have in common.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cuda_program.h"
#include "device/cuda/api.h"
#include "fake/fake_run.h"

static bool detail_has(const char *text) {
    return strstr(el_error_detail(), text) != NULL;
}

// Runs a program that ends well and leaves nothing behind.
static void runs_well(const struct fake_run *run, int (*program)(void)) {
    json_t *report = NULL;
    assert_int_equal(run_on_fake(run, program, &report), 0);
    assert_non_null(report);
    assert_int_equal(run_left(report), 0);
    json_decref(report);
}

// ---- what there is ----

static int check_mixed(void) {
    struct el_device_facts facts;
    int count = 0;
    RUN_TRY(el_backend_find("cuda")->count(&count));
    RUN_CHECK(count == 3);
    RUN_TRY(el_backend_find("cuda")->describe(0, &facts)); // fastest first
    RUN_CHECK(strcmp(facts.name, "NVIDIA A100-PCIE-40GB") == 0);
    RUN_CHECK(strcmp(facts.uuid, "GPU-46e9b291-e68a-6be0-227b-a8520aed1f55") == 0);
    RUN_CHECK(strcmp(facts.pci, "0000:ca:00.0") == 0);
    RUN_CHECK(strcmp(facts.driver, "CUDA 12.4") == 0);
    RUN_CHECK(facts.memory == (uint64_t)40960 << 20 && facts.capability == 80 && facts.units == 108);
    RUN_CHECK(facts.overlaps_copies && !facts.is_processor && !facts.unfit[0]);
    RUN_TRY(el_backend_find("cuda")->describe(2, &facts));
    RUN_CHECK(strcmp(facts.name, "Tesla P100-PCIE-16GB") == 0 && strstr(facts.unfit, "6.0"));
    return 0;
}

static int open_too_old(void) {
    struct el_device *device = NULL;
    RUN_CHECK(el_device_open("cuda", 2, NULL, &device) == EL_EUNSUPPORTED);
    RUN_CHECK(detail_has("compute capability 6.0") && detail_has("7.0"));
    return 0;
}

static void facts_are_those_of_the_machine(void **state) {
    (void)state;
    runs_well(&(struct fake_run){.machine = "mixed"}, check_mixed);
    runs_well(&(struct fake_run){.machine = "mixed"}, open_too_old);
}

static int check_one_3090(void) {
    struct el_device_facts facts;
    int count = 0;
    RUN_TRY(el_backend_find("cuda")->count(&count));
    RUN_TRY(el_backend_find("cuda")->describe(0, &facts));
    RUN_CHECK(count == 1 && strcmp(facts.name, "NVIDIA GeForce RTX 3090") == 0);
    return 0;
}

static int check_none(void) {
    int count = -1;
    RUN_TRY(el_backend_find("cuda")->count(&count));
    RUN_CHECK(count == 0);
    return 0;
}

static void the_driver_hides_and_orders_devices(void **state) {
    (void)state;
    runs_well(&(struct fake_run){.machine = "mixed", .visible = "1"}, check_one_3090);
    runs_well(&(struct fake_run){.machine = "mixed", .visible = "GPU-faa5cbb8"}, check_one_3090);
    runs_well(&(struct fake_run){.machine = "mixed", .visible = "1,9,0"}, check_one_3090);
    runs_well(&(struct fake_run){.machine = "mixed", .visible = "1", .order = "PCI_BUS_ID"}, check_one_3090);
    runs_well(&(struct fake_run){.machine = "mixed", .visible = ""}, check_none);
}

static int open_with_old_driver(void) {
    struct el_device *device = NULL;
    RUN_CHECK(el_device_open("cuda", 0, NULL, &device) == EL_EUNSUPPORTED);
    RUN_CHECK(detail_has("cuda:0: cuModuleLoadDataEx: CUDA_ERROR_UNSUPPORTED_PTX_VERSION"));
    RUN_CHECK(detail_has("ptxas fatal : Unsupported .version") && detail_has("driver: CUDA 10.2"));
    return 0;
}

static void a_driver_that_is_too_old_says_so(void **state) {
    (void)state;
    char path[] = "/tmp/el-machine-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    dprintf(file, "cuda: \"10.2\"\ngpus:\n  - {name: T4, uuid: GPU-00000000-0000-0000-0000-000000000001, "
                  "pci: \"00000000:01:00.0\", memory: 1024 MiB, capability: 75}\n");
    close(file);
    runs_well(&(struct fake_run){.machine = path}, open_with_old_driver);
    unlink(path);
}

// ---- computing ----

static int compute(void) {
    struct program program;
    int status = program_open(0, &program);
    if (status == 0) status = program_compute(&program, true);
    const bool right = status == 0 && program_is_right(&program);
    RUN_CHECK(program.device == NULL || program.device->facts.build_ns > 0);
    program_close(&program);
    if (status < 0) return run_exit_code(status);
    return right ? 0 : RUN_WRONG;
}

static void numbers_are_right_in_every_order(void **state) {
    (void)state;
    static const char *const orders[] = {"lazy", "eager", "shuffled:1", "shuffled:2", "shuffled:3"};
    for (size_t i = 0; i < EL_COUNT(orders); i++)
        runs_well(&(struct fake_run){.streams = orders[i]}, compute);
}

static void *compute_on_device(void *index) {
    struct program program;
    int status = program_open((int)(intptr_t)index, &program);
    for (int round = 0; status == 0 && round < 5; round++) {
        status = program_compute(&program, true);
        if (status == 0 && !program_is_right(&program)) status = EL_ECHECKSUM;
    }
    program_close(&program);
    return (void *)(intptr_t)status;
}

static int compute_on_all(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        RUN_CHECK(pthread_create(&threads[i], NULL, compute_on_device, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < 8; i++) {
        void *status;
        pthread_join(threads[i], &status);
        RUN_CHECK(status == NULL);
    }
    return 0;
}

static void devices_compute_side_by_side(void **state) {
    (void)state;
    runs_well(&(struct fake_run){.machine = "8xa100-nvlink"}, compute_on_all);
    runs_well(&(struct fake_run){.machine = "8xa100-nvlink", .streams = "shuffled:9"}, compute_on_all);
}

// ---- failures ----

static int check_meanings(void) {
    static const struct {
        CUresult result;
        int status;
        const char *detail;
    } rows[] = {
        {CUDA_ERROR_OUT_OF_MEMORY, EL_ENOMEM, "CUDA_ERROR_OUT_OF_MEMORY (2: out of memory)"},
        {CUDA_ERROR_NO_DEVICE, EL_ELOST, "CUDA_ERROR_NO_DEVICE"},
        {CUDA_ERROR_DEVICE_UNAVAILABLE, EL_ELOST, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
        {CUDA_ERROR_ECC_UNCORRECTABLE, EL_ELOST, "CUDA_ERROR_ECC_UNCORRECTABLE"},
        {CUDA_ERROR_NVLINK_UNCORRECTABLE, EL_ELOST, "CUDA_ERROR_NVLINK_UNCORRECTABLE"},
        {CUDA_ERROR_ILLEGAL_ADDRESS, EL_ELOST, "700: an illegal memory access was encountered"},
        {CUDA_ERROR_LAUNCH_TIMEOUT, EL_ELOST, "CUDA_ERROR_LAUNCH_TIMEOUT"},
        {CUDA_ERROR_HARDWARE_STACK_ERROR, EL_ELOST, "CUDA_ERROR_HARDWARE_STACK_ERROR"},
        {CUDA_ERROR_ILLEGAL_INSTRUCTION, EL_ELOST, "CUDA_ERROR_ILLEGAL_INSTRUCTION"},
        {CUDA_ERROR_MISALIGNED_ADDRESS, EL_ELOST, "CUDA_ERROR_MISALIGNED_ADDRESS"},
        {CUDA_ERROR_INVALID_PC, EL_ELOST, "CUDA_ERROR_INVALID_PC"},
        {CUDA_ERROR_LAUNCH_FAILED, EL_ELOST, "CUDA_ERROR_LAUNCH_FAILED"},
        {CUDA_ERROR_UNKNOWN, EL_ELOST, "CUDA_ERROR_UNKNOWN"},
        {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, EL_EUNSUPPORTED, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
        {CUDA_ERROR_INVALID_VALUE, EL_EINVAL, "CUDA_ERROR_INVALID_VALUE"},
        {(CUresult)987, EL_EIO, "unknown result (987: the driver does not say)"},
    };
    struct el_cuda_api api;
    RUN_TRY(el_cuda_load(&api));
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        RUN_CHECK(el_cuda_check(&api, "cuda:3", "cuThis", rows[i].result) == rows[i].status);
        RUN_CHECK(detail_has("cuda:3: cuThis: ") && detail_has(rows[i].detail));
    }
    RUN_CHECK(el_cuda_check(&api, "cuda:3", "cuThis", CUDA_SUCCESS) == 0);
    return 0;
}

static void every_result_has_its_meaning(void **state) {
    (void)state;
    runs_well(&(struct fake_run){0}, check_meanings);
}

// What fails says so in the terms of the driver, the device stays lost, and a new context works.
static int lose_and_open_again(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_CHECK(program_compute(&program, true) == EL_ELOST);
    RUN_CHECK(detail_has("cuda:0: cu") && detail_has("CUDA_ERROR_"));
    RUN_CHECK(el_stream_sync(&program.first) == EL_ELOST);
    uint64_t total, available;
    RUN_CHECK(program.device->backend->memory(program.device, &total, &available) == EL_ELOST);
    program_close(&program);
    return compute();
}

static void a_dead_context_is_opened_again(void **state) {
    (void)state;
    static const char *const failures[] = {"0:launch:1:lost", "0:launch:2:ecc", "0:copy:1:lost",
                                           "0:sync:1:ecc"};
    for (size_t i = 0; i < EL_COUNT(failures); i++)
        runs_well(&(struct fake_run){.fail = failures[i]}, lose_and_open_again);
}

static int lose_for_good(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_CHECK(program_compute(&program, true) == EL_ELOST);
    program_close(&program);
    struct el_device *device = NULL;
    RUN_CHECK(el_device_open("cuda", 0, NULL, &device) == EL_ELOST && !device);
    RUN_CHECK(el_device_open("cuda", 1, NULL, &device) == 0); // the others go on
    el_device_close(device);
    return 0;
}

static void a_device_off_the_bus_stays_lost(void **state) {
    (void)state;
    const struct fake_run run = {.machine = "dual-3090-nvlink", .fail = "0:launch:1:off-the-bus"};
    runs_well(&run, lose_for_good);
}

static int run_out_of_memory(void) {
    struct el_device *device = NULL;
    void *first = NULL, *second = NULL;
    uint64_t total, before, after;
    RUN_TRY(el_device_open("cuda", 0, NULL, &device));
    const struct el_backend *backend = device->backend;
    RUN_TRY(backend->memory(device, &total, &before));
    RUN_TRY(backend->alloc(device, before / 2, &first));
    RUN_CHECK(backend->alloc(device, before, &second) == EL_ENOMEM && !second);
    RUN_CHECK(detail_has("bytes of device memory: cuda:0: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY"));
    RUN_TRY(backend->alloc(device, before / 4, &second)); // nothing was lost
    backend->free(device, first);
    backend->free(device, second);
    RUN_TRY(backend->memory(device, &total, &after));
    RUN_CHECK(before == after);
    el_device_close(device);
    return 0;
}

static void out_of_memory_is_recoverable(void **state) {
    (void)state;
    runs_well(&(struct fake_run){0}, run_out_of_memory);
}

// Fails the N-th call of a kind, for all N: the program ends in one of these codes, or rightly; nothing
// leaks.
static void fail_each(const char *call, const char *outcome, int code) {
    int failed = 0;
    for (int n = 1;; n++) {
        char fail[64];
        json_t *report = NULL;
        snprintf(fail, sizeof fail, "0:%s:%d:%s:1", call, n, outcome);
        const int exit_code = run_on_fake(&(struct fake_run){.fail = fail}, compute, &report);
        if (run_left(report) != 0 || (exit_code != 0 && exit_code != code))
            fail_msg("%s: exit code %d, %ld things left", fail, exit_code, run_left(report));
        json_decref(report);
        if (exit_code == 0) break;
        failed++;
    }
    if (failed == 0) fail_msg("no %s failed as %s", call, outcome);
}

static void each_call_may_fail(void **state) {
    (void)state;
    fail_each("alloc", "oom", -EL_ENOMEM);
    static const char *const calls[] = {"open", "alloc", "copy", "launch", "sync"};
    static const char *const outcomes[] = {"lost", "ecc", "off-the-bus"};
    for (size_t i = 0; i < EL_COUNT(calls); i++)
        for (size_t k = 0; k < EL_COUNT(outcomes); k++)
            fail_each(calls[i], outcomes[k], -EL_ELOST);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_those_of_the_machine),
        cmocka_unit_test(the_driver_hides_and_orders_devices),
        cmocka_unit_test(a_driver_that_is_too_old_says_so),
        cmocka_unit_test(numbers_are_right_in_every_order),
        cmocka_unit_test(devices_compute_side_by_side),
        cmocka_unit_test(every_result_has_its_meaning),
        cmocka_unit_test(a_dead_context_is_opened_again),
        cmocka_unit_test(a_device_off_the_bus_stays_lost),
        cmocka_unit_test(out_of_memory_is_recoverable),
        cmocka_unit_test(each_call_may_fail),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("cuda", tests, NULL, NULL);
}
