// SPDX-License-Identifier: Apache-2.0
// Tests of the fake CUDA driver itself: what a GPU would do to a wrong program, it does, so that the tests
// which stand on it can fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cuda_program.h"
#include "device/cuda/api.h"
#include "fake/fake_run.h"

static int exit_code_of(const struct fake_run *run, int (*program)(void)) {
    return run_on_fake(run, program, NULL);
}

static int end(struct program *program, int status) {
    const bool right = status == 0 && program_is_right(program);
    program_close(program);
    return status < 0 ? run_exit_code(status) : right ? 0 : RUN_WRONG;
}

// ---- order ----

static int forget_to_wait(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    return end(&program, program_compute(&program, false));
}

static void a_wait_that_is_missing_gives_wrong_numbers(void **state) {
    (void)state;
    assert_int_equal(exit_code_of(&(struct fake_run){0}, forget_to_wait), RUN_WRONG);
    assert_int_equal(exit_code_of(&(struct fake_run){.streams = "eager"}, forget_to_wait), 0);
}

static int reuse_too_early(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_TRY(program_compute(&program, true));
    const struct el_backend *backend = program.device->backend;
    RUN_TRY(backend->upload(&program.first, program.out, program.host, sizeof(float) * PROGRAM_COUNT));
    program.host[7] = 77; // before a sync
    RUN_TRY(backend->sync(&program.first));
    RUN_TRY(backend->download(&program.first, program.host + PROGRAM_COUNT, program.out,
                              sizeof(float) * PROGRAM_COUNT));
    RUN_TRY(backend->sync(&program.first));
    return end(&program, 0);
}

static int read_too_early(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_TRY(program_compute(&program, true));
    memset(program.host + PROGRAM_COUNT, 0, sizeof(float) * PROGRAM_COUNT);
    RUN_TRY(program.device->backend->download(&program.second, program.host + PROGRAM_COUNT, program.out,
                                              sizeof(float) * PROGRAM_COUNT));
    const bool right = program_is_right(&program); // before a sync
    program_close(&program);
    return right ? 0 : RUN_WRONG;
}

static void host_memory_is_used_when_the_copy_runs(void **state) {
    (void)state;
    assert_int_equal(exit_code_of(&(struct fake_run){0}, reuse_too_early), RUN_WRONG);
    assert_int_equal(exit_code_of(&(struct fake_run){0}, read_too_early), RUN_WRONG);
    assert_int_equal(exit_code_of(&(struct fake_run){.streams = "eager"}, read_too_early), 0);
}

static int time_before_sync(void) {
    struct program program;
    uint64_t ns;
    RUN_TRY(program_open(0, &program));
    RUN_TRY(el_stream_record(&program.first, &program.halved));
    RUN_CHECK(el_event_elapsed(&program.halved, &program.halved, &ns) == EL_EBUSY);
    RUN_TRY(el_stream_sync(&program.first));
    RUN_TRY(el_event_elapsed(&program.halved, &program.halved, &ns));
    RUN_CHECK(ns == 0);
    program_close(&program);
    return 0;
}

static void an_event_has_no_time_before_it_is_done(void **state) {
    (void)state;
    assert_int_equal(exit_code_of(&(struct fake_run){0}, time_before_sync), 0);
}

// ---- memory ----

// Runs one wrong conversion; the device is lost, and works again when it is opened again.
static int convert_wrongly(const void *in, void *out, int count, struct program *program) {
    RUN_TRY(program_convert(&program->first, EL_KERNEL_from_store, in, out, count));
    RUN_CHECK(el_stream_sync(&program->first) == EL_ELOST);
    RUN_CHECK(strstr(el_error_detail(), "CUDA_ERROR_ILLEGAL_ADDRESS"));
    program_close(program);
    RUN_TRY(program_open(0, program));
    return end(program, program_compute(program, true));
}

static int read_beyond(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    return convert_wrongly(program.wide, program.out, 3 * PROGRAM_COUNT, &program); // 6000 of 4000 bytes
}

static int write_beyond(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    // One number more than fits: it lands between the allocation and its guard page.
    return convert_wrongly(program.wide, program.out, PROGRAM_COUNT + 1, &program);
}

static int use_after_free(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    void *freed = program.narrow;
    program.device->backend->free(program.device, freed);
    program.narrow = NULL;
    return convert_wrongly(freed, program.out, PROGRAM_COUNT, &program);
}

static int use_host_memory(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    return convert_wrongly(program.host, program.out, PROGRAM_COUNT, &program);
}

static int use_another_device(void) {
    struct program program, other;
    RUN_TRY(program_open(1, &other));
    RUN_TRY(program_open(0, &program));
    int code = convert_wrongly(other.narrow, program.out, PROGRAM_COUNT, &program);
    program_close(&other);
    return code;
}

static int copy_beyond(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_TRY(el_stream_copy(&program.first, program.wide, program.out, sizeof(float) * PROGRAM_COUNT + 1));
    RUN_CHECK(el_stream_sync(&program.first) == EL_ELOST);
    program_close(&program);
    return 0;
}

static int free_under_a_copy(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    const struct el_backend *backend = program.device->backend;
    RUN_TRY(backend->upload(&program.first, program.wide, program.host, sizeof(float)));
    backend->free_pinned(program.device, program.host);
    program.host = NULL;
    RUN_CHECK(el_stream_sync(&program.first) == EL_ELOST);
    program_close(&program);
    return 0;
}

static void memory_that_is_not_the_kernels_is_illegal(void **state) {
    (void)state;
    const struct fake_run run = {.machine = "dual-3090-nvlink"};
    assert_int_equal(exit_code_of(&run, read_beyond), 0);
    assert_int_equal(exit_code_of(&run, write_beyond), 0);
    assert_int_equal(exit_code_of(&run, use_after_free), 0);
    assert_int_equal(exit_code_of(&run, use_host_memory), 0);
    assert_int_equal(exit_code_of(&run, use_another_device), 0);
    assert_int_equal(exit_code_of(&run, copy_beyond), 0);
    assert_int_equal(exit_code_of(&run, free_under_a_copy), 0);
}

static int forget_to_close(void) {
    static struct program program; // still in use when the process ends, for a leak checker
    RUN_TRY(program_open(0, &program));
    program.device->backend->close(program.device); // the context goes, with all that is open in it
    return 0;
}

static void what_is_left_is_reported(void **state) {
    (void)state;
    json_t *report = NULL;
    assert_int_equal(run_on_fake(&(struct fake_run){0}, forget_to_close, &report), 0);
    const json_t *left = json_object_get(report, "left");
    assert_true(json_integer_value(json_object_get(left, "device_memory")) >= 3);
    assert_true(json_integer_value(json_object_get(left, "pinned_memory")) >= 1);
    assert_true(json_integer_value(json_object_get(left, "streams")) >= 2);
    assert_true(json_integer_value(json_object_get(left, "events")) >= 1);
    assert_int_equal(run_calls(report, "cuCtxCreate"), 1);
    json_decref(report);
}

// ---- what the driver is handed ----

#define PTX(version, target) ".version " version "\n.target sm_" target "\n.address_size 64\n"
#define ENTRY(count) \
    ".visible .entry to_store_f16(.param .u64 in, .param .u64 out, .param ." count " count)\n{ ret; }\n"

static CUresult load(const struct el_cuda_api *api, const char *text) {
    CUmodule module;
    CUfunction function;
    CUresult result = api->cuModuleLoadDataEx(&module, text, 0, NULL, NULL);
    return result == CUDA_SUCCESS ? api->cuModuleGetFunction(&function, module, "to_store_f16") : result;
}

static int load_texts(void) {
    struct el_cuda_api api;
    CUcontext context;
    RUN_TRY(el_cuda_load(&api));
    RUN_CHECK(api.cuCtxCreate(&context, 0, 0) == CUDA_SUCCESS);
    RUN_CHECK(load(&api, PTX("7.0", "70") ENTRY("u32")) == CUDA_SUCCESS);
    RUN_CHECK(load(&api, PTX("7.0", "70") ENTRY("u64")) == CUDA_ERROR_INVALID_IMAGE);
    RUN_CHECK(load(&api, PTX("7.0", "70") ENTRY("f32")) == CUDA_ERROR_INVALID_IMAGE);
    RUN_CHECK(load(&api, PTX("7.0", "70") ".visible .entry to_store_f16()") == CUDA_ERROR_INVALID_IMAGE);
    RUN_CHECK(load(&api, PTX("7.0", "70") ".visible .entry to_store_f16x()") == CUDA_ERROR_NOT_FOUND);
    RUN_CHECK(load(&api, PTX("9.0", "70") ENTRY("u32")) == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    RUN_CHECK(load(&api, PTX("7.0", "100") ENTRY("u32")) == CUDA_ERROR_NO_BINARY_FOR_GPU);
    RUN_CHECK(load(&api, "nonsense") == CUDA_ERROR_INVALID_PTX);
    return api.cuCtxDestroy(context) == CUDA_SUCCESS ? 0 : RUN_BAD_CHECK;
}

static int use_handles_wrongly(void) {
    struct el_cuda_api api;
    CUcontext first, second;
    CUstream stream;
    RUN_TRY(el_cuda_load(&api));
    RUN_CHECK(api.cuStreamCreate(&stream, 0) == CUDA_ERROR_INVALID_CONTEXT);
    RUN_CHECK(api.cuCtxCreate(&first, 0, 0) == CUDA_SUCCESS);
    RUN_CHECK(api.cuStreamCreate(&stream, 0) == CUDA_SUCCESS);
    RUN_CHECK(api.cuCtxCreate(&second, 0, 0) == CUDA_SUCCESS);
    RUN_CHECK(api.cuStreamSynchronize(stream) == CUDA_ERROR_INVALID_HANDLE); // of another context
    RUN_CHECK(api.cuCtxSetCurrent(first) == CUDA_SUCCESS);
    RUN_CHECK(api.cuStreamSynchronize(NULL) == CUDA_ERROR_INVALID_HANDLE);
    RUN_CHECK(api.cuStreamDestroy(stream) == CUDA_SUCCESS);
    RUN_CHECK(api.cuStreamSynchronize(stream) == CUDA_ERROR_INVALID_HANDLE);
    RUN_CHECK(api.cuCtxDestroy(first) == CUDA_SUCCESS);
    RUN_CHECK(api.cuCtxSetCurrent(first) == CUDA_ERROR_CONTEXT_IS_DESTROYED);
    return api.cuCtxDestroy(second) == CUDA_SUCCESS ? 0 : RUN_BAD_CHECK;
}

static void texts_and_handles_are_checked(void **state) {
    (void)state;
    assert_int_equal(exit_code_of(&(struct fake_run){0}, load_texts), 0);
    assert_int_equal(exit_code_of(&(struct fake_run){0}, use_handles_wrongly), 0);
}

// ---- failures from outside ----

static char trip_path[] = "/tmp/el-trip-XXXXXX";

static int pull_and_put_back(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    RUN_TRY(program_compute(&program, true));
    FILE *file = fopen(trip_path, "we");
    RUN_CHECK(file && fputs("0 off-the-bus\n", file) >= 0 && fclose(file) == 0);
    RUN_CHECK(program_compute(&program, true) == EL_ELOST);
    struct el_device *device = NULL;
    RUN_CHECK(el_device_open("cuda", 0, NULL, &device) == EL_ELOST);
    unlink(trip_path);
    RUN_CHECK(program_compute(&program, true) == EL_ELOST); // the old context is dead
    program_close(&program);
    RUN_TRY(program_open(0, &program));
    return end(&program, program_compute(&program, true));
}

static void a_gpu_is_pulled_while_the_program_runs(void **state) {
    (void)state;
    int file = mkstemp(trip_path);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(exit_code_of(&(struct fake_run){.trip = trip_path}, pull_and_put_back), 0);
}

static int compute(void) {
    struct program program;
    RUN_TRY(program_open(0, &program));
    return end(&program, program_compute(&program, true));
}

static void a_gpu_that_computes_wrongly_does(void **state) {
    (void)state;
    assert_int_equal(exit_code_of(&(struct fake_run){.fail = "0:launch:1:wrong:1"}, compute), RUN_WRONG);
    assert_int_equal(exit_code_of(&(struct fake_run){.fail = "0:launch:2:wrong:1"}, compute), RUN_WRONG);
    assert_int_equal(exit_code_of(&(struct fake_run){.fail = "0:launch:3:wrong:1"}, compute), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_that_is_missing_gives_wrong_numbers),
        cmocka_unit_test(host_memory_is_used_when_the_copy_runs),
        cmocka_unit_test(an_event_has_no_time_before_it_is_done),
        cmocka_unit_test(memory_that_is_not_the_kernels_is_illegal),
        cmocka_unit_test(what_is_left_is_reported),
        cmocka_unit_test(texts_and_handles_are_checked),
        cmocka_unit_test(a_gpu_is_pulled_while_the_program_runs),
        cmocka_unit_test(a_gpu_that_computes_wrongly_does),
    };
    return cmocka_run_group_tests_name("fake_cuda", tests, NULL, NULL);
}
