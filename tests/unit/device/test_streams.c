// SPDX-License-Identifier: Apache-2.0
// Executor, staging and traces on a device of a real back-end: `test_streams NAME` runs on its first device,
// and exits with 77 (skipped) where its driver is not there. What needs a device that is late or fails on
// demand is in the tests of each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/executor.h"
#include "device/pool.h"
#include "device/staging.h"
#include "device/trace.h"
#include "kernels/canary.h"

enum { SKIPPED = 77, LANES = 256, STREAMS = 4, OPERATIONS = 24, ROUNDS = 50 };

static const char *backend_name;
static struct el_device *device; // open while a test runs

static int open_device(void **state) {
    (void)state;
    return el_device_open(backend_name, 0, NULL, &device);
}

static int close_device(void **state) {
    (void)state;
    struct el_pool_stats stats;
    el_pool_stats(device->pool, &stats);
    el_device_close(device);
    return stats.live > 0;
}

// Sends a seed's canary and fetches its song; where no kernels are launched, sends the song itself.
struct song {
    int seed;
    uint32_t want[LANES], got[LANES];
};

static int sing(void *context, struct el_stream *stream) {
    struct song *song = context;
    struct el_buffer buffer = {0};
    EL_TRY(el_buffer_open(stream->device, sizeof song->got, &buffer));
    struct el_arg args[] = {EL_MEMORY(buffer.address), EL_INT(song->seed), EL_INT(ROUNDS)};
    struct el_launch launch = {
        .kernel = EL_KERNEL_canary, .store = EL_STORE_F32, .groups = {1, 1, 1}, .args = args, .arg_count = 3};
    int status = el_device_is_host(stream->device)
                     ? el_stream_upload(stream, buffer.address, song->want, sizeof song->want)
                     : el_stream_launch(stream, &launch);
    if (status == 0) status = el_stream_download(stream, song->got, buffer.address, sizeof song->got);
    el_buffer_close_after(&buffer, stream);
    return status;
}

static void sing_all(void) {
    static struct song songs[OPERATIONS];
    struct el_operation operations[OPERATIONS];
    struct el_executor *executor = NULL;
    for (int i = 0; i < OPERATIONS; i++) {
        songs[i].seed = i;
        memset(songs[i].got, 0, sizeof songs[i].got);
        el_canary_expect(i, ROUNDS, 1, songs[i].want);
        operations[i] = (struct el_operation){.name = "sing", .run = sing, .context = &songs[i]};
    }
    assert_int_equal(el_executor_open(device, STREAMS, &executor), 0);
    if (el_executor_batch(executor, operations, OPERATIONS, NULL) < 0) fail_msg("%s", el_error_detail());
    for (int i = 0; i < OPERATIONS; i++)
        assert_memory_equal(songs[i].got, songs[i].want, sizeof songs[i].got);
    for (int i = 0; i < STREAMS; i++) {
        struct el_executor_stats stats;
        el_executor_stats(executor, i, &stats);
        assert_int_equal(stats.done, OPERATIONS / STREAMS);
        assert_true(stats.busy_ns > 0);
    }
    el_executor_close(executor);
}

static void streams_work_side_by_side(void **state) {
    (void)state;
    sing_all();
}

static void staged_bytes_arrive(void **state) {
    (void)state;
    enum { BLOCK = 1 << 20, SIZE = 7 * BLOCK + 12345 };
    el_auto_free unsigned char *sent = NULL, *got = NULL;
    struct el_stream stream = {0};
    struct el_staging *staging = NULL;
    struct el_buffer buffer = {0};
    assert_int_equal(el_alloc(SIZE, 1, &sent), 0);
    assert_int_equal(el_zalloc(SIZE, 1, &got), 0);
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_int_equal(el_stream_open(device, &stream), 0);
    assert_int_equal(el_staging_open(&stream, 2, BLOCK, &staging), 0);
    assert_int_equal(el_buffer_open(device, SIZE, &buffer), 0);
    assert_int_equal(el_staging_upload(staging, buffer.address, sent, SIZE), 0);
    assert_int_equal(el_staging_download(staging, got, buffer.address, SIZE), 0);
    assert_memory_equal(got, sent, SIZE);
    el_staging_close(staging);
    el_stream_close(&stream);
    el_buffer_close(&buffer);
}

// The spans of the file: complete events with a name, on a time line that does not step back.
static int count_spans(const json_t *root, const char *name, double *ret_last_us) {
    size_t i;
    const json_t *event;
    int count = 0;
    json_array_foreach(root, i, event) {
        if (!el_streq(json_string_value(json_object_get(event, "name")), name)) continue;
        const double begin = json_number_value(json_object_get(event, "ts"));
        const double length = json_number_value(json_object_get(event, "dur"));
        assert_true(begin >= 0 && length >= 0);
        *ret_last_us = EL_MAX(*ret_last_us, begin + length);
        count++;
    }
    return count;
}

static void a_trace_shows_what_was_done(void **state) {
    (void)state;
    char path[] = "/tmp/test_streams.XXXXXX";
    const int file = mkstemp(path);
    json_t *root = NULL;
    double first_us = 0, last_us = 0;
    assert_true(file >= 0 && close(file) == 0);
    struct el_trace *trace = NULL;
    assert_int_equal(el_trace_open(path, &trace), 0);
    device->trace = trace;
    const uint64_t began = el_now_ns();
    sing_all();
    const double took_us = (double)(el_now_ns() - began) * 1e-3;
    device->trace = NULL;
    el_trace_close(trace);
    assert_int_equal(el_json_parse_file(path, 1 << 24, &root), 0);
    const char *work = el_device_is_host(device) ? "upload" : el_kernels[EL_KERNEL_canary].name;
    assert_int_equal(count_spans(root, "sing", &last_us), OPERATIONS);
    assert_int_equal(count_spans(root, work, &first_us), OPERATIONS);
    assert_int_equal(count_spans(root, "download", &first_us), OPERATIONS);
    assert_true(last_us < took_us + 1e6); // microseconds, from the opening of the file
    assert_true(first_us < took_us + 1e6);
    json_decref(root);
    unlink(path);
}

static bool is_there(void) {
    const struct el_backend *backend = el_backend_find(backend_name);
    int count = 0;
    if (backend && backend->count(&count) == 0 && count > 0) return true;
    fprintf(stderr, "SKIPPED: no device of back-end %s: %s\n", backend_name, el_error_detail());
    return false;
}

#define ON_DEVICE(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        ON_DEVICE(streams_work_side_by_side),
        ON_DEVICE(staged_bytes_arrive),
        ON_DEVICE(a_trace_shows_what_was_done),
    };
    backend_name = argc > 1 ? argv[1] : "host";
    if (!is_there()) return SKIPPED;
    return cmocka_run_group_tests_name(backend_name, tests, NULL, NULL);
}
