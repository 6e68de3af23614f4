// SPDX-License-Identifier: Apache-2.0
// Staging: bytes of any size arrive, in both directions, on a device that does its copies as late as it may;
// so a block that was taken again too early shows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "common/late_backend.h"
#include "device/staging.h"

enum { BLOCK = 1024, BIGGEST = 10 * BLOCK };

struct setting {
    struct el_device *device;
    struct el_stream stream;
    struct el_staging *staging;
    struct el_buffer buffer;
};

static unsigned char sent[BIGGEST], got[BIGGEST];

static void fill(unsigned char *bytes, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)((seed = seed * 1664525u + 1013904223u) >> 24);
}

static void open_setting(struct el_device *device, int blocks, struct setting *setting) {
    *setting = (struct setting){.device = device};
    assert_int_equal(el_stream_open(device, &setting->stream), 0);
    assert_int_equal(el_staging_open(&setting->stream, blocks, BLOCK, &setting->staging), 0);
    assert_int_equal(el_buffer_open(device, BIGGEST, &setting->buffer), 0);
}

static void close_setting(struct setting *setting) {
    el_staging_close(setting->staging);
    el_stream_close(&setting->stream);
    el_buffer_close(&setting->buffer);
}

static void close_late(struct el_device *device) {
    late_close(device);
    struct late_counts left = late_counts();
    assert_true(left.allocs == 0 && left.pinned == 0 && left.streams == 0 && left.events == 0);
}

static void check_round_trips(struct setting *setting) {
    const size_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 5 * BLOCK + 77, BIGGEST};
    for (size_t i = 0; i < EL_COUNT(sizes); i++) {
        fill(sent, sizes[i], (unsigned)i);
        memset(got, 0, sizeof got);
        assert_int_equal(el_staging_upload(setting->staging, setting->buffer.address, sent, sizes[i]), 0);
        fill(sent, sizes[i], 99); // they are the caller's again
        assert_int_equal(el_staging_download(setting->staging, got, setting->buffer.address, sizes[i]), 0);
        fill(sent, sizes[i], (unsigned)i);
        assert_memory_equal(got, sent, sizes[i]);
    }
}

static void bytes_go_there_and_back(void **state) {
    (void)state;
    for (int blocks = 1; blocks <= 4; blocks++) {
        struct el_device device;
        struct setting setting;
        assert_int_equal(late_open(1 << 24, 0, &device), 0);
        open_setting(&device, blocks, &setting);
        check_round_trips(&setting);
        close_setting(&setting);
        close_late(&device);
    }
}

static void the_host_takes_it_too(void **state) {
    (void)state;
    struct el_device *host = NULL;
    struct setting setting;
    assert_int_equal(el_device_open("host", 0, NULL, &host), 0);
    open_setting(host, 2, &setting);
    check_round_trips(&setting);
    close_setting(&setting);
    el_device_close(host);
}

static void copies_overlap_transfers(void **state) {
    (void)state;
    struct el_device device;
    struct setting setting;
    assert_int_equal(late_open(1 << 24, 0, &device), 0);
    open_setting(&device, 2, &setting);
    unsigned char *there = setting.buffer.address;
    const unsigned char untouched = there[0];
    memset(sent, untouched + 1, sizeof sent);
    assert_int_equal(el_staging_upload(setting.staging, there, sent, (size_t)2 * BLOCK), 0);
    assert_int_equal(there[0], untouched); // both are queued, none was waited for
    assert_int_equal(el_staging_upload(setting.staging, there + (ptrdiff_t)2 * BLOCK, sent, BLOCK), 0);
    assert_int_not_equal(there[0], untouched); // the third needed the first block,
    assert_int_equal(there[BLOCK], untouched); // and no more than that
    close_setting(&setting);
    close_late(&device);
}

static void any_driver_call_may_fail(void **state) {
    (void)state;
    struct el_device device;
    assert_int_equal(late_open(1 << 24, 0, &device), 0);
    bool tripped = true;
    for (long nth = 1; tripped; nth++) {
        struct setting setting = {.device = &device};
        assert_int_equal(el_stream_open(&device, &setting.stream), 0);
        assert_int_equal(el_buffer_open(&device, BIGGEST, &setting.buffer), 0);
        fill(sent, BIGGEST, (unsigned)nth);
        late_fail(nth, EL_EIO, false);
        int status = el_staging_open(&setting.stream, 2, BLOCK, &setting.staging);
        const bool is_open = status == 0;
        if (status == 0) status = el_staging_upload(setting.staging, setting.buffer.address, sent, BIGGEST);
        if (status == 0) status = el_staging_download(setting.staging, got, setting.buffer.address, BIGGEST);
        tripped = late_tripped();
        late_fail(0, 0, false);
        assert_int_equal(status, tripped ? EL_EIO : 0);
        if (tripped) assert_string_equal(el_error_detail(), "failed on demand");
        if (is_open) check_round_trips(&setting); // and it recovers
        close_setting(&setting);
    }
    close_late(&device);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    struct el_device device;
    struct el_stream stream;
    struct el_staging *staging = NULL;
    assert_int_equal(late_open(1 << 24, 0, &device), 0);
    assert_int_equal(el_stream_open(&device, &stream), 0);
    assert_int_equal(el_staging_open(&stream, 0, BLOCK, &staging), EL_EINVAL);
    assert_int_equal(el_staging_open(&stream, 2, 0, &staging), EL_EINVAL);
    assert_null(staging);
    el_stream_close(&stream);
    close_late(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_there_and_back),  cmocka_unit_test(the_host_takes_it_too),
        cmocka_unit_test(copies_overlap_transfers), cmocka_unit_test(any_driver_call_may_fail),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("staging", tests, NULL, NULL);
}
