// SPDX-License-Identifier: Apache-2.0
// Traces: the file is JSON at every moment, spans of streams and operations stand on their tracks with times
// that fit, and no failure of tracing becomes one of the work.
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "common/late_backend.h"
#include "device/executor.h"
#include "device/manager/manager.h"
#include "device/pool.h"
#include "device/trace.h"

#define MS UINT64_C(1000000)

static char path[64];

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_trace.XXXXXX");
    int file = mkstemp(path);
    return file < 0 || close(file) < 0;
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

static json_t *read_trace(void) {
    json_t *root = NULL;
    if (el_json_parse_file(path, 1 << 26, &root) < 0) fail_msg("%s", el_error_detail());
    assert_true(json_is_array(root));
    return root;
}

static const char *text_of(const json_t *event, const char *key) {
    return json_string_value(json_object_get(event, key));
}

// The name of a track.
static const char *track_name(const json_t *root, json_int_t tid) {
    size_t i;
    const json_t *event;
    json_array_foreach(root, i, event) if (el_streq(text_of(event, "name"), "thread_name") &&
                                           json_integer_value(json_object_get(event, "tid")) ==
                                               tid) return text_of(json_object_get(event, "args"), "name");
    return NULL;
}

// How many spans with this name stand on this track; the last one found.
static int count_spans(const json_t *root, const char *track, const char *name, const json_t **ret_span) {
    size_t i;
    int count = 0;
    const json_t *event;
    json_array_foreach(root, i, event) {
        if (!el_streq(text_of(event, "ph"), "X") || !el_streq(text_of(event, "name"), name)) continue;
        if (!el_streq(track_name(root, json_integer_value(json_object_get(event, "tid"))), track)) continue;
        if (ret_span) *ret_span = event;
        count++;
    }
    return count;
}

static double number_of(const json_t *event, const char *key) {
    return json_number_value(json_object_get(event, key));
}

static void spans_are_chrome_events(void **state) {
    (void)state;
    struct el_trace *trace = NULL;
    const json_t *span = NULL;
    assert_int_equal(el_trace_open(path, &trace), 0);
    const int track = el_trace_track(trace, "a \"track\"\n");
    const uint64_t now = el_now_ns();
    el_trace_span(trace, track, "work", now + 5 * MS, now + 7 * MS + 1, 4096);
    el_trace_span(trace, track, "early", 1, now, 0); // before the trace began
    assert_int_equal(el_trace_flush(trace), 0);
    json_t *root = read_trace(); // while it is open
    assert_int_equal(count_spans(root, "a \"track\"\n", "work", &span), 1);
    assert_float_equal(number_of(span, "dur"), 2000.001, 1e-6);
    assert_true(number_of(span, "ts") >= 5000);
    assert_int_equal(number_of(json_object_get(span, "args"), "bytes"), 4096);
    assert_int_equal(count_spans(root, "a \"track\"\n", "early", &span), 1);
    assert_true(number_of(span, "ts") == 0);
    json_decref(root);
    el_trace_span(trace, track, "late", now, now, 0);
    el_trace_close(trace);
    root = read_trace();
    assert_int_equal(count_spans(root, "a \"track\"\n", "late", NULL), 1);
    json_decref(root);
}

static void a_path_that_is_none_is_refused(void **state) {
    (void)state;
    struct el_trace *trace = NULL;
    assert_int_equal(el_trace_open("/nonexistent/trace.json", &trace), EL_EIO);
    assert_non_null(strstr(el_error_detail(), "/nonexistent/trace.json"));
    assert_null(trace);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct el_trace *trace = NULL;
    if (access("/dev/full", W_OK) < 0) skip();
    assert_int_equal(el_trace_open("/dev/full", &trace), EL_EIO);
    assert_null(trace);
}

static void what_a_dead_process_leaves_is_json(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct el_trace *trace = NULL;
        if (el_trace_open(path, &trace) < 0) _exit(1);
        const int track = el_trace_track(trace, "child");
        for (int i = 0; i < 5000; i++)
            el_trace_span(trace, track, "work", el_now_ns(), el_now_ns(), 0);
        _exit(0); // no close
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    json_t *root = read_trace();
    const int left = count_spans(root, "child", "work", NULL);
    assert_true(left > 1000 && left < 5000);
    json_decref(root);
}

static void *trace_many(void *argument) {
    struct el_trace *trace = argument;
    const int track = el_trace_track(trace, "thread");
    for (int i = 0; i < 500; i++)
        el_trace_span(trace, track, "work", el_now_ns(), el_now_ns(), 0);
    return NULL;
}

static void threads_share_a_trace(void **state) {
    (void)state;
    struct el_trace *trace = NULL;
    pthread_t threads[4];
    assert_int_equal(el_trace_open(path, &trace), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trace_many, trace), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    el_trace_close(trace);
    json_t *root = read_trace();
    assert_int_equal(count_spans(root, "thread", "work", NULL), 2000);
    json_decref(root);
}

// ---- streams ----

static int move_and_launch(void *context, struct el_stream *stream) {
    int *number = context; // [2]: sent, got
    struct el_launch launch = {.groups = {1, 1, 1}};
    struct el_buffer buffer = {0};
    EL_TRY(el_buffer_open(stream->device, sizeof(int), &buffer));
    int status = el_stream_upload(stream, buffer.address, &number[0], sizeof(int));
    if (status == 0) status = el_stream_launch(stream, &launch);
    if (status == 0) status = el_stream_download(stream, &number[1], buffer.address, sizeof(int));
    el_buffer_close_after(&buffer, stream);
    return status;
}

static void slow_launch(void *memory) {
    (void)memory;
    usleep(2000);
}

static void streams_trace_themselves(void **state) {
    (void)state;
    struct el_device device;
    struct el_executor *executor = NULL;
    struct el_operation operations[4];
    int numbers[4][2] = {{1}, {2}, {3}, {4}};
    for (int i = 0; i < 4; i++)
        operations[i] = (struct el_operation){.name = "embed", .run = move_and_launch, .context = numbers[i]};
    assert_int_equal(late_open(1 << 24, 0, &device), 0);
    late_on_launch(slow_launch);
    assert_int_equal(el_trace_open(path, &device.trace), 0);
    assert_int_equal(el_executor_open(&device, 2, &executor), 0);
    assert_int_equal(el_executor_batch(executor, operations, 4, NULL), 0);
    el_executor_close(executor);
    el_trace_close(device.trace);
    late_close(&device);
    assert_int_equal(late_counts().events, 0);

    json_t *root = read_trace();
    const json_t *up = NULL, *launch = NULL, *down = NULL, *operation = NULL;
    const char *kernel = el_kernels[0].name;
    assert_int_equal(count_spans(root, "late:0 stream 1 copy", "upload", &up), 2);
    assert_int_equal(count_spans(root, "late:0 stream 1 compute", kernel, &launch), 2);
    assert_int_equal(count_spans(root, "late:0 stream 1 copy", "download", &down), 2);
    assert_int_equal(count_spans(root, "late:0 stream 1 operations", "embed", &operation), 2);
    assert_int_equal(count_spans(root, "late:0 stream 0 compute", kernel, NULL), 2);
    assert_int_equal(number_of(json_object_get(up, "args"), "bytes"), sizeof(int));
    assert_true(number_of(launch, "dur") >= 2000);
    assert_true(number_of(up, "ts") + number_of(up, "dur") <= number_of(launch, "ts") + 0.01);
    assert_true(number_of(launch, "ts") + number_of(launch, "dur") <= number_of(down, "ts") + 0.01);
    assert_true(number_of(operation, "dur") >= number_of(launch, "dur"));
    json_decref(root);
}

static void tracing_that_fails_harms_nothing(void **state) {
    (void)state;
    struct el_device device;
    struct el_stream stream;
    int harmed = 0, calls = 0;
    bool tripped = true;
    assert_int_equal(late_open(1 << 24, 0, &device), 0);
    assert_int_equal(el_trace_open(path, &device.trace), 0);
    for (long nth = 1; tripped; nth++) {
        int number[2] = {(int)nth, 0};
        assert_int_equal(el_stream_open(&device, &stream), 0);
        late_fail(nth, EL_EIO, false);
        int status = move_and_launch(number, &stream);
        if (status == 0) status = el_stream_sync(&stream);
        tripped = late_tripped();
        late_fail(0, 0, false);
        calls += tripped;
        harmed += status < 0;
        if (status == 0) assert_int_equal(number[1], nth);
        el_stream_close(&stream);
        el_pool_trim(device.pool);
    }
    assert_int_equal(harmed, 5); // memory, upload, launch, download, sync
    assert_true(calls > 15);     // the others were of the trace
    el_trace_close(device.trace);
    late_close(&device);
    assert_int_equal(late_counts().events, 0);
    json_decref(read_trace());
}

static void the_host_traces_too(void **state) {
    (void)state;
    struct el_device *host = NULL;
    struct el_device_options options = {0};
    struct el_stream stream;
    char from[100] = "", to[100];
    assert_int_equal(el_trace_open(path, &options.trace), 0);
    assert_int_equal(el_device_open("host", 0, &options, &host), 0);
    assert_int_equal(el_stream_open(host, &stream), 0);
    assert_int_equal(el_stream_copy(&stream, to, from, sizeof from), 0);
    assert_int_equal(el_stream_sync(&stream), 0);
    el_stream_close(&stream);
    el_device_close(host);
    el_trace_close(options.trace);
    json_t *root = read_trace();
    assert_int_equal(count_spans(root, "cpu:0 stream 0 copy", "copy", NULL), 1);
    json_decref(root);
}

static void a_manager_traces_all_its_devices(void **state) {
    (void)state;
    struct el_manager_options options = {.devices = "cpu=2"};
    struct el_manager *manager = NULL;
    char from[100] = "", to[100];
    assert_int_equal(el_trace_open(path, &options.trace), 0);
    assert_int_equal(el_manager_open(&options, &manager), 0);
    for (int i = 0; i < 2; i++) {
        struct el_stream stream;
        assert_int_equal(el_stream_open(el_manager_device(manager, i), &stream), 0);
        assert_int_equal(el_stream_copy(&stream, to, from, sizeof from), 0);
        assert_int_equal(el_stream_sync(&stream), 0);
        el_stream_close(&stream);
    }
    el_manager_close(manager);
    el_trace_close(options.trace);
    json_t *root = read_trace();
    size_t i;
    int copies = 0;
    const json_t *event;
    json_array_foreach(root, i, event) copies += el_streq(text_of(event, "name"), "copy");
    assert_int_equal(copies, 2);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_chrome_events),
        cmocka_unit_test(a_path_that_is_none_is_refused),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(what_a_dead_process_leaves_is_json),
        cmocka_unit_test(threads_share_a_trace),
        cmocka_unit_test(streams_trace_themselves),
        cmocka_unit_test(tracing_that_fails_harms_nothing),
        cmocka_unit_test(the_host_traces_too),
        cmocka_unit_test(a_manager_traces_all_its_devices),
    };
    return cmocka_run_group_tests_name("trace", tests, make_path, remove_path);
}
