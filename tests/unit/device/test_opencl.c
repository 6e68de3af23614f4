// SPDX-License-Identifier: Apache-2.0
// What is OpenCL's alone: addresses that stand for buffers, a driver that is not there, kernels that do not
// compile. Skipped (77) where there is no OpenCL device.
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/device.h"
#include "device/opencl/api.h"
#include "device/pool.h"

enum { SKIPPED = 77 };

static struct el_device *device; // open while a test runs
static struct el_stream stream;

static int open_device(void **state) {
    (void)state;
    int status = el_device_open("opencl", 0, NULL, &device);
    return status < 0 ? status : el_stream_open(device, &stream);
}

static int close_device(void **state) {
    (void)state;
    struct el_pool_stats stats;
    el_pool_stats(device->pool, &stats);
    if (stats.live > 0) return -1; // of a test that failed
    el_stream_close(&stream);
    el_device_close(device);
    return 0;
}

// Runs `body` in a process of its own and returns how that ended, as waitpid tells it.
static int in_a_process(void (*body)(void)) {
    int ended = 0;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    return ended;
}

// The first tests run before this process has loaded the driver: it reads its environment once.
static void look_where_no_driver_is(void) {
    int count = 7;
    setenv("OCL_ICD_VENDORS", "/no/such/folder/", 1);
    const int status = el_backend_find("opencl")->count(&count);
    _exit(status == EL_EUNSUPPORTED && count == 7 && strstr(el_error_detail(), "libOpenCL.so.1") ? 0 : 1);
}

static void no_driver_is_said_so(void **state) {
    (void)state;
    assert_int_equal(in_a_process(look_where_no_driver_is), 0);
}

// PoCL puts what POCL_EXTRA_BUILD_FLAGS says behind the options of every build: here, a word that is missing
// then.
static bool says_what_is_missing(int status) {
    return status == EL_EUNSUPPORTED && strstr(el_error_detail(), "CL_BUILD_PROGRAM_FAILURE") &&
           strstr(el_error_detail(), "no_such_word");
}

static void compile_what_is_broken(void) {
    setenv("POCL_EXTRA_BUILD_FLAGS", "-Dget_group_id=no_such_word", 1);
    if (open_device(NULL) < 0) _exit(2);
    if (!strstr(device->facts.driver, "Portable Computing Language")) _exit(0);
    const struct el_arg args[] = {EL_MEMORY(NULL), EL_INT(1), EL_INT(1)};
    const struct el_launch launch = {EL_KERNEL_canary, EL_STORE_F32, {1, 1, 1}, args, EL_COUNT(args)};
    if (!says_what_is_missing(el_stream_launch(&stream, &launch))) _exit(3);
    if (!says_what_is_missing(el_stream_launch(&stream, &launch))) _exit(4); // from memory this time
    if (device->backend->has(device, EL_KERNEL_canary, EL_STORE_F32)) _exit(5);
    if (el_stream_sync(&stream) < 0) _exit(6);
    close_device(NULL);
}

static void what_does_not_compile_says_why(void **state) {
    (void)state;
    const int ended = in_a_process(compile_what_is_broken);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
}

static volatile char *forbidden;
static void touch(void) {
    signal(SIGSEGV, SIG_DFL); // cmocka and the sanitizers have handlers of their own
    *forbidden = 1;
}

static void the_host_cannot_touch_device_memory(void **state) {
    (void)state;
    struct el_buffer buffer;
    assert_int_equal(el_buffer_open(device, 1000, &buffer), 0);
    forbidden = buffer.address;
    const int ended = in_a_process(touch);
    assert_true(WIFSIGNALED(ended));
    assert_int_equal(WTERMSIG(ended), SIGSEGV);
    el_buffer_close(&buffer);
}

static void assert_refused(const char *address, size_t size) {
    static char bytes[8192];
    assert_int_equal(el_stream_upload(&stream, (void *)address, bytes, size), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "opencl:0"));
    assert_int_equal(el_stream_download(&stream, bytes, address, size), EL_EINVAL);
}

static void what_is_not_allocated_is_refused(void **state) {
    (void)state;
    enum { SIZE = 4096 };
    static char bytes[SIZE];
    void *p = NULL;
    assert_int_equal(device->backend->alloc(device, SIZE, &p), 0);
    const char *address = p;
    assert_refused(address - 1, 1);
    assert_refused(address - 1, 2);
    assert_refused(address + SIZE, 1);
    assert_refused(address + SIZE - 1, 2);
    assert_refused(address, SIZE + 1);
    assert_refused(bytes, 1);
    assert_int_equal(el_stream_copy(&stream, p, bytes, 1), EL_EINVAL);
    assert_int_equal(el_stream_upload(&stream, p, bytes, SIZE), 0); // the stream goes on
    assert_int_equal(el_stream_sync(&stream), 0);
    device->backend->free(device, p);
    assert_refused(address, 1);
}

// Each allocation holds its own number while others come and go.
static void addresses_find_their_buffers(void **state) {
    (void)state;
    enum { COUNT = 150, ROUNDS = 600, SIZE = 4096 };
    int32_t *address[COUNT] = {0}, got[COUNT];
    static int32_t number[ROUNDS];
    unsigned seed = 1;
    int32_t expected[COUNT];
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525u + 1013904223u;
        const unsigned i = (seed >> 16) % COUNT;
        if (address[i]) device->backend->free(device, address[i]);
        void *p = NULL;
        assert_int_equal(device->backend->alloc(device, SIZE, &p), 0);
        address[i] = p;
        number[round] = round;
        expected[i] = round;
        assert_int_equal(el_stream_upload(&stream, address[i] + 500, &number[round], sizeof *number), 0);
    }
    for (int i = 0; i < COUNT; i++)
        if (address[i])
            assert_int_equal(el_stream_download(&stream, &got[i], address[i] + 500, sizeof *got), 0);
    assert_int_equal(el_stream_sync(&stream), 0);
    for (int i = 0; i < COUNT; i++) {
        if (!address[i]) continue;
        assert_int_equal(got[i], expected[i]);
        device->backend->free(device, address[i]);
    }
}

static void tensor_cores_are_not_here(void **state) {
    (void)state;
    assert_true(device->backend->has(device, EL_KERNEL_linear, EL_STORE_F32));
    assert_false(device->backend->has(device, EL_KERNEL_linear_mma, EL_STORE_F32));
}

static void codes_have_names(void **state) {
    (void)state;
    assert_string_equal(el_opencl_code_text(-4), "CL_MEM_OBJECT_ALLOCATION_FAILURE");
    assert_string_equal(el_opencl_code_text(12345), "unknown code");
}

#define ON_DEVICE(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)

static void look_for_devices(void) {
    int count = 0;
    const int status = el_backend_find("opencl")->count(&count);
    if (status < 0) fprintf(stderr, "SKIPPED: %s\n", el_error_detail());
    _exit(status == 0 && count > 0 ? 0 : SKIPPED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_driver_is_said_so),      cmocka_unit_test(what_does_not_compile_says_why),
        cmocka_unit_test(codes_have_names),          ON_DEVICE(the_host_cannot_touch_device_memory),
        ON_DEVICE(what_is_not_allocated_is_refused), ON_DEVICE(addresses_find_their_buffers),
        ON_DEVICE(tensor_cores_are_not_here),
    };
    const int ended = in_a_process(look_for_devices); // so that this one has loaded nothing yet
    if (ended != 0) return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
