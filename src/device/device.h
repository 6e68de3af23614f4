// SPDX-License-Identifier: Apache-2.0
// Devices as the rest of the house uses them: open one, take memory from its pool, queue copies and launches
// on its streams. Each call goes to the back-end's row of the vtable (backend.h).
#ifndef EL_DEVICE_DEVICE_H
#define EL_DEVICE_DEVICE_H

#include <stdatomic.h>

#include "device/backend.h"

struct el_memory_pool; // pool.h
struct el_pool_account;
struct el_pool_block;
struct el_stream_trace; // stream_trace.h
struct el_trace;        // trace.h

struct el_device_options {
    int parts;              // host: how many devices the processors are split into; 0 is 1
    uint64_t budget;        // bytes that the pool may take; 0: what the device has
    struct el_trace *trace; // of what its streams do; outlives the device; NULL: none
};

// A device that is open. Calls on it may come from any thread.
struct el_device {
    const struct el_backend *backend;
    int index;
    char id[32]; // "cuda:0"
    struct el_device_options options;
    struct el_device_facts facts;
    struct el_memory_pool *pool;
    struct el_trace *trace; // as the options say; who opened it may set it before its streams are used
    atomic_int streams;     // opened so far
    void *state;            // the back-end's own
    atomic_int references;
    atomic_bool lost;                                         // it has answered EL_ELOST once
    char loss[192];                                           // what it answered then
    atomic_bool loses;                                        // guards the writing of `loss`
    _Atomic uint64_t busy_ns;                                 // of models on its streams
    _Atomic uint64_t launches, replays, uploaded, downloaded; // of kernels and graphs; bytes
};

// One queue of work on a device, in order. One thread at a time.
struct el_stream {
    struct el_device *device;
    void *state;                    // the back-end's own
    int number;                     // of the device's streams, from 0, in the order of their opening
    struct el_pool_block *deferred; // given back to the pool at the next sync
    struct el_stream_trace *trace;  // NULL: nothing traced yet
};

// What a stream was given once, to be queued again as a whole.
struct el_graph {
    struct el_device *device;
    void *state;
};

struct el_event {
    struct el_device *device;
    void *state;
};

// Bytes of a device, from its pool.
struct el_buffer {
    struct el_device *device;
    void *address; // the device's; readable by the processor on `host` alone
    size_t size;   // bytes
    struct el_pool_block *block;
};

// The back-ends of this build, in order of preference.
extern const struct el_backend *const el_backends[];
extern const int el_backend_count;
const struct el_backend *el_backend_find(const char *name); // NULL when there is none

// NULL options: defaults. EL_ENOENT for a back-end or an index that is not there (says what is).
int el_device_open(const char *backend_name, int index, const struct el_device_options *options,
                   struct el_device **ret_device);
// By its name: "cuda:1", "opencl:0", "cpu" (the host's processors); a back-end alone is its first device.
// EL_EINVAL for what is no name.
int el_device_open_id(const char *id, const struct el_device_options *options, struct el_device **ret_device);
// A device is shared by all who hold a reference; opening gives the first, el_device_close gives one back,
// and the last closes it: nothing of it may be in use then.
struct el_device *el_device_ref(struct el_device *device);
void el_device_close(struct el_device *device);
bool el_device_is_host(const struct el_device *device);
uint64_t el_device_memory(const struct el_device *device); // bytes that may be taken of it; 0: not known

// From the device's pool: EL_ENOMEM (recoverable: nothing has changed), EL_ELOST. The _for form charges the
// bytes to an account of pool.h, which may be NULL.
int el_buffer_open(struct el_device *device, size_t size, struct el_buffer *ret_buffer);
int el_buffer_open_for(struct el_device *device, struct el_pool_account *account, size_t size,
                       struct el_buffer *ret_buffer);
// What a buffer of `size` bytes takes of the pool.
static inline size_t el_buffer_bytes(size_t size) {
    return (size + EL_DEVICE_ALIGN - 1) / EL_DEVICE_ALIGN * EL_DEVICE_ALIGN;
}
// The bytes may be handed out again at once, so every stream that uses them must have been synced; or let
// close_after keep them until the next sync (or the close) of the one stream that still uses them. Both take
// a zeroed or closed buffer too.
void el_buffer_close(struct el_buffer *buffer);
void el_buffer_close_after(struct el_buffer *buffer, struct el_stream *stream);

// Copies bytes to the device and waits for it.
int el_device_write(struct el_device *device, void *to, const void *host, size_t size);

int el_stream_open(struct el_device *device, struct el_stream *ret_stream);
void el_stream_close(struct el_stream *stream); // takes a zeroed or closed stream too
int el_stream_upload(struct el_stream *stream, void *to, const void *host, size_t size);
int el_stream_download(struct el_stream *stream, void *host, const void *from, size_t size);
int el_stream_copy(struct el_stream *stream, void *to, const void *from, size_t size);
int el_stream_launch(struct el_stream *stream, const struct el_launch *launch);
int el_stream_sync(struct el_stream *stream);
// After a failure with `status`: syncs, so that nothing goes on behind the caller's back, and leaves the
// detail as it was. Returns `status`.
int el_stream_settle(struct el_stream *stream, int status);
int el_stream_record(struct el_stream *stream, struct el_event *event);
int el_stream_wait(struct el_stream *stream, struct el_event *event);

// Between the two, what is queued on the stream is not done but kept as a graph, with the addresses and
// numbers that it was given; el_stream_replay queues all of it at once. Where el_device_has_graphs alone. A
// capture has ended whatever capture_end says.
bool el_device_has_graphs(const struct el_device *device);
int el_stream_capture(struct el_stream *stream);
int el_stream_capture_end(struct el_stream *stream, struct el_graph *ret_graph);
int el_stream_replay(struct el_stream *stream, const struct el_graph *graph);
void el_graph_close(struct el_graph *graph); // takes a zeroed or closed graph too

int el_event_open(struct el_device *device, struct el_event *ret_event);
void el_event_close(struct el_event *event); // takes a zeroed or closed event too
int el_event_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns);

#endif
