// SPDX-License-Identifier: Apache-2.0
// The table of back-ends, and what stands between callers and a back-end: a lost device stays lost, and what
// is moved and launched is counted.
#include "device/device.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "device/pool.h"
#include "device/stream_trace.h"

extern const struct el_backend el_backend_cuda, el_backend_opencl, el_backend_host;

const struct el_backend *const el_backends[] = {&el_backend_cuda, &el_backend_opencl, &el_backend_host};
const int el_backend_count = EL_COUNT(el_backends);

const struct el_backend *el_backend_find(const char *name) {
    for (int i = 0; i < el_backend_count; i++)
        if (el_streq(el_backends[i]->name, name)) return el_backends[i];
    return NULL;
}

static int unknown_backend(const char *name) {
    char names[128] = "";
    for (int i = 0; i < el_backend_count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 el_backends[i]->name);
    return el_fail(EL_ENOENT, "no back-end \"%s\"; this build has: %s", name, names);
}

// ---- devices ----

static int open_device(struct el_device *device) {
    const struct el_backend *backend = device->backend;
    int count = EL_MAX(device->options.parts, 1);
    if (!el_device_is_host(device)) EL_TRY(backend->count(&count));
    if (device->index < 0 || device->index >= count)
        return el_fail(EL_ENOENT, "no device %s; there %s %d of them, numbered from 0", device->id,
                       count == 1 ? "is" : "are", count);
    EL_TRY(backend->describe(device->index, &device->facts));
    if (device->facts.unfit[0])
        return el_fail(EL_EUNSUPPORTED, "%s (%s) cannot be used: %s", device->id, device->facts.name,
                       device->facts.unfit);
    EL_TRY(backend->open(device));
    int status = el_pool_open(device, &device->pool);
    if (status < 0) backend->close(device);
    return status;
}

int el_device_open(const char *backend_name, int index, const struct el_device_options *options,
                   struct el_device **ret_device) {
    const struct el_backend *backend = el_backend_find(backend_name);
    if (!backend) return unknown_backend(backend_name);
    struct el_device *device = NULL;
    EL_TRY(el_zalloc(1, sizeof *device, &device));
    atomic_init(&device->references, 1);
    device->backend = backend;
    device->index = index;
    if (options) device->options = *options;
    device->trace = device->options.trace;
    snprintf(device->id, sizeof device->id, "%s:%d", el_device_is_host(device) ? "cpu" : backend_name, index);
    int status = open_device(device);
    if (status < 0) {
        el_free(device);
        return status;
    }
    *ret_device = device;
    return 0;
}

int el_device_open_id(const char *id, const struct el_device_options *options,
                      struct el_device **ret_device) {
    char name[16];
    int64_t index = 0;
    const size_t length = strcspn(id, ":");
    if (length >= sizeof name)
        return el_fail(EL_EINVAL, "\"%s\" is no device; say cpu, cuda:N or opencl:N", id);
    snprintf(name, sizeof name, "%.*s", (int)length, id);
    if (id[length] == ':' && el_parse_i64(id + length + 1, 0, 1023, &index) < 0)
        return el_fail_in(EL_EINVAL, "device \"%s\"", id);
    return el_device_open(el_streq(name, "cpu") ? "host" : name, (int)index, options, ret_device);
}

struct el_device *el_device_ref(struct el_device *device) {
    atomic_fetch_add(&device->references, 1);
    return device;
}

void el_device_close(struct el_device *device) {
    if (!device || atomic_fetch_sub(&device->references, 1) > 1) return;
    el_pool_close(device->pool);
    device->backend->close(device);
    el_free(device);
}

bool el_device_is_host(const struct el_device *device) {
    return device->backend == &el_backend_host;
}

uint64_t el_device_memory(const struct el_device *device) {
    const uint64_t budget = device->options.budget, memory = device->facts.memory;
    return budget > 0 && (memory == 0 || budget < memory) ? budget : memory;
}

// What each call begins and ends with.
static int fail_lost(const struct el_device *device) {
    return el_fail(EL_ELOST, "%s is lost: %s", device->id, device->loss);
}

static int remember(struct el_device *device, int status) {
    if (status == EL_ELOST && !atomic_exchange(&device->loses, true)) {
        snprintf(device->loss, sizeof device->loss, "%s", el_error_detail());
        atomic_store(&device->lost, true);
    }
    return status;
}

#define CALL(device, call)                                          \
    do {                                                            \
        if (atomic_load(&(device)->lost)) return fail_lost(device); \
        return remember(device, call);                              \
    } while (0)

// ---- memory ----

int el_buffer_open_for(struct el_device *device, struct el_pool_account *account, size_t size,
                       struct el_buffer *ret_buffer) {
    struct el_buffer buffer = {.device = device, .size = size};
    if (atomic_load(&device->lost)) return fail_lost(device);
    EL_TRY(remember(device, el_pool_take(device->pool, size, account, &buffer.block)));
    buffer.address = el_pool_address(buffer.block);
    *ret_buffer = buffer;
    return 0;
}

int el_buffer_open(struct el_device *device, size_t size, struct el_buffer *ret_buffer) {
    return el_buffer_open_for(device, NULL, size, ret_buffer);
}

void el_buffer_close(struct el_buffer *buffer) {
    if (buffer->block) el_pool_give(buffer->device->pool, buffer->block);
    *buffer = (struct el_buffer){0};
}

void el_buffer_close_after(struct el_buffer *buffer, struct el_stream *stream) {
    if (buffer->block) el_pool_defer(buffer->block, &stream->deferred);
    *buffer = (struct el_buffer){0};
}

// ---- streams ----

int el_stream_open(struct el_device *device, struct el_stream *ret_stream) {
    struct el_stream stream = {.device = device};
    if (atomic_load(&device->lost)) return fail_lost(device);
    EL_TRY(remember(device, device->backend->stream_open(device, &stream)));
    stream.number = atomic_fetch_add(&device->streams, 1);
    *ret_stream = stream;
    return 0;
}

void el_stream_close(struct el_stream *stream) {
    if (!stream->device) return;
    if (stream->deferred) el_stream_sync(stream); // in vain on a lost device, where nothing runs any more
    el_pool_give_all(stream->device->pool, &stream->deferred);
    el_stream_trace_close(stream);
    stream->device->backend->stream_close(stream);
    *stream = (struct el_stream){0};
}

// What a copy or launch begins and ends with.
static int begin(struct el_stream *stream, enum el_track track, const char *name, size_t bytes) {
    if (atomic_load(&stream->device->lost)) return fail_lost(stream->device);
    if (stream->device->trace) el_stream_trace_begin(stream, track, name, bytes);
    return 0;
}

static int end(struct el_stream *stream, int status) {
    if (stream->trace) el_stream_trace_end(stream, status);
    return remember(stream->device, status);
}

int el_stream_upload(struct el_stream *stream, void *to, const void *host, size_t size) {
    if (size == 0) return 0;
    EL_TRY(begin(stream, EL_TRACK_COPY, "upload", size));
    atomic_fetch_add(&stream->device->uploaded, size);
    return end(stream, stream->device->backend->upload(stream, to, host, size));
}

int el_stream_download(struct el_stream *stream, void *host, const void *from, size_t size) {
    if (size == 0) return 0;
    EL_TRY(begin(stream, EL_TRACK_COPY, "download", size));
    atomic_fetch_add(&stream->device->downloaded, size);
    return end(stream, stream->device->backend->download(stream, host, from, size));
}

int el_stream_copy(struct el_stream *stream, void *to, const void *from, size_t size) {
    if (size == 0) return 0;
    EL_TRY(begin(stream, EL_TRACK_COPY, "copy", size));
    return end(stream, stream->device->backend->copy(stream, to, from, size));
}

int el_stream_launch(struct el_stream *stream, const struct el_launch *launch) {
    EL_TRY(begin(stream, EL_TRACK_COMPUTE, el_kernels[launch->kernel].name, 0));
    atomic_fetch_add(&stream->device->launches, 1);
    return end(stream, stream->device->backend->launch(stream, launch));
}

int el_stream_sync(struct el_stream *stream) {
    struct el_device *device = stream->device;
    if (atomic_load(&device->lost)) return fail_lost(device);
    int status = remember(device, device->backend->sync(stream));
    if (stream->trace) el_stream_trace_resolve(stream, status);
    el_pool_give_all(device->pool, &stream->deferred);
    return status;
}

int el_stream_settle(struct el_stream *stream, int status) {
    char detail[512]; // a longer one is cut
    snprintf(detail, sizeof detail, "%s", el_error_detail());
    el_stream_sync(stream);
    return el_fail_copy(status, detail);
}

int el_stream_record(struct el_stream *stream, struct el_event *event) {
    struct el_device *device = stream->device;
    CALL(device, device->backend->record(stream, event));
}

int el_stream_wait(struct el_stream *stream, struct el_event *event) {
    struct el_device *device = stream->device;
    if (device->trace) el_stream_trace_touch(stream);
    CALL(device, device->backend->wait(stream, event));
}

bool el_device_has_graphs(const struct el_device *device) {
    return device->backend->capture != NULL;
}

int el_stream_capture(struct el_stream *stream) {
    CALL(stream->device, stream->device->backend->capture(stream));
}

int el_stream_capture_end(struct el_stream *stream, struct el_graph *ret_graph) {
    struct el_graph graph = {.device = stream->device};
    EL_TRY(remember(stream->device, stream->device->backend->capture_end(stream, &graph.state)));
    *ret_graph = graph;
    return 0;
}

int el_stream_replay(struct el_stream *stream, const struct el_graph *graph) {
    EL_TRY(begin(stream, EL_TRACK_COMPUTE, "graph", 0));
    atomic_fetch_add(&stream->device->replays, 1);
    return end(stream, stream->device->backend->replay(stream, graph->state));
}

void el_graph_close(struct el_graph *graph) {
    if (graph->device) graph->device->backend->graph_close(graph->device, graph->state);
    *graph = (struct el_graph){0};
}

int el_event_open(struct el_device *device, struct el_event *ret_event) {
    struct el_event event = {.device = device};
    if (atomic_load(&device->lost)) return fail_lost(device);
    EL_TRY(remember(device, device->backend->event_open(device, &event)));
    *ret_event = event;
    return 0;
}

void el_event_close(struct el_event *event) {
    if (!event->device) return;
    event->device->backend->event_close(event);
    *event = (struct el_event){0};
}

int el_event_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns) {
    CALL(from->device, from->device->backend->elapsed(from, to, ret_ns));
}

int el_device_write(struct el_device *device, void *to, const void *host, size_t size) {
    el_auto(el_stream_close) struct el_stream stream = {0};
    EL_TRY(el_stream_open(device, &stream));
    EL_TRY(el_stream_upload(&stream, to, host, size));
    return el_stream_sync(&stream);
}
