// SPDX-License-Identifier: Apache-2.0
// The late back-end: each stream keeps its operations until a sync, of this stream or of one that waits for
// an event of it, has them done in order.
#include "common/late_backend.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/pool.h"

enum { MAX_OPS = 1 << 16 };

struct late_event;
struct late_stream;
struct op {
    enum { COPY, LAUNCH, RECORD, WAIT } kind;
    void *to;
    const void *from;
    size_t size;
    struct late_event *event;  // RECORD
    struct late_stream *other; // WAIT: for what `other` had queued by then
    size_t upto;
};

struct late_stream {
    size_t done, queued;
    struct op *ops; // [MAX_OPS]
};

struct late_event {
    struct late_stream *stream; // where it was recorded last
    size_t position;
    uint64_t time_ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct late_counts counts;
static uint64_t memory_size;
static long fail_countdown;
static int fail_status;
static bool fail_stays, fail_tripped;
static void (*launch_fn)(void *memory);

// What a call that may fail begins with. Locked.
static int trip(void) {
    if (fail_countdown == 0) return 0;
    if (fail_countdown > 1) {
        fail_countdown--;
        return 0;
    }
    if (!fail_stays) fail_countdown = 0;
    fail_tripped = true;
    return el_fail(fail_status, "failed on demand");
}

static int tripped_call(void) {
    pthread_mutex_lock(&lock);
    int status = trip();
    pthread_mutex_unlock(&lock);
    return status;
}

static int late_count(int *ret_count) {
    *ret_count = 1;
    return 0;
}

static int late_memory(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free) {
    (void)device;
    EL_TRY(tripped_call());
    *ret_total = memory_size;
    *ret_free = memory_size - late_counts().bytes;
    return 0;
}

// ---- memory: the size stands before the bytes ----

static int take_bytes(size_t size, long *counter, bool is_device, void **ret_address) {
    pthread_mutex_lock(&lock);
    char *bytes = NULL;
    int status = trip();
    if (status == 0 && is_device && size > memory_size - counts.bytes)
        status = el_fail(EL_ENOMEM, "the device has no %zu bytes", size);
    if (status == 0) status = el_alloc_aligned(size + EL_DEVICE_ALIGN, 1, &bytes);
    if (status == 0) {
        memcpy(bytes, &size, sizeof size);
        memset(bytes + EL_DEVICE_ALIGN, 0xAB, size);
        *ret_address = bytes + EL_DEVICE_ALIGN;
        ++*counter;
        if (is_device) counts.bytes += size, counts.driver_allocs++;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void give_bytes(void *address, long *counter, bool is_device) {
    char *bytes = (char *)address - EL_DEVICE_ALIGN;
    size_t size;
    memcpy(&size, bytes, sizeof size);
    pthread_mutex_lock(&lock);
    --*counter;
    if (is_device) counts.bytes -= size;
    pthread_mutex_unlock(&lock);
    el_free(bytes);
}

static int late_alloc(struct el_device *device, size_t size, void **ret_address) {
    (void)device;
    return take_bytes(size, &counts.allocs, true, ret_address);
}

static void late_free(struct el_device *device, void *address) {
    (void)device;
    give_bytes(address, &counts.allocs, true);
}

static int late_alloc_pinned(struct el_device *device, size_t size, void **ret_bytes) {
    (void)device;
    return take_bytes(size, &counts.pinned, false, ret_bytes);
}

static void late_free_pinned(struct el_device *device, void *bytes) {
    (void)device;
    give_bytes(bytes, &counts.pinned, false);
}

// ---- streams ----

static int late_stream_open(struct el_device *device, struct el_stream *stream) {
    (void)device;
    el_auto_free struct late_stream *late = NULL;
    EL_TRY(tripped_call());
    EL_TRY(el_zalloc(1, sizeof *late, &late));
    EL_TRY(el_alloc(MAX_OPS, sizeof *late->ops, &late->ops));
    stream->state = el_steal(late);
    pthread_mutex_lock(&lock);
    counts.streams++;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void late_stream_close(struct el_stream *stream) {
    struct late_stream *late = stream->state;
    pthread_mutex_lock(&lock);
    counts.streams--;
    pthread_mutex_unlock(&lock);
    el_free(late->ops);
    el_free(late);
}

static int enqueue(struct el_stream *stream, struct op op) {
    struct late_stream *late = stream->state;
    pthread_mutex_lock(&lock);
    int status = trip();
    assert(late->queued < MAX_OPS);
    if (status == 0) late->ops[late->queued++] = op;
    pthread_mutex_unlock(&lock);
    return status;
}

static int late_copy(struct el_stream *stream, void *to, const void *from, size_t size) {
    return enqueue(stream, (struct op){.kind = COPY, .to = to, .from = from, .size = size});
}

static int late_launch(struct el_stream *stream, const struct el_launch *launch) {
    const void *memory = launch->arg_count > 0 ? launch->args[0].memory : NULL;
    return enqueue(stream, (struct op){.kind = LAUNCH, .from = memory});
}

// Does what is queued up to `upto`. Locked.
static void advance(struct late_stream *stream, size_t upto) {
    while (stream->done < upto) {
        const struct op op = stream->ops[stream->done++];
        if (op.kind == COPY) memcpy(op.to, op.from, op.size);
        if (op.kind == LAUNCH && launch_fn) launch_fn((void *)op.from);
        if (op.kind == RECORD) op.event->time_ns = el_now_ns();
        if (op.kind == WAIT) advance(op.other, op.upto);
    }
}

static int late_sync(struct el_stream *stream) {
    struct late_stream *late = stream->state;
    pthread_mutex_lock(&lock);
    advance(late, late->queued);
    int status = trip();
    pthread_mutex_unlock(&lock);
    return status;
}

// ---- events ----

static int late_event_open(struct el_device *device, struct el_event *event) {
    (void)device;
    EL_TRY(tripped_call());
    EL_TRY(el_zalloc(1, sizeof(struct late_event), &event->state));
    pthread_mutex_lock(&lock);
    counts.events++;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void late_event_close(struct el_event *event) {
    pthread_mutex_lock(&lock);
    counts.events--;
    pthread_mutex_unlock(&lock);
    el_free(event->state);
}

static int late_record(struct el_stream *stream, struct el_event *event) {
    struct late_event *late = event->state;
    EL_TRY(enqueue(stream, (struct op){.kind = RECORD, .event = late}));
    late->stream = stream->state;
    late->position = late->stream->queued;
    return 0;
}

static int late_wait(struct el_stream *stream, struct el_event *event) {
    struct late_event *late = event->state;
    return enqueue(stream, (struct op){.kind = WAIT, .other = late->stream, .upto = late->position});
}

static int late_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns) {
    EL_TRY(tripped_call());
    *ret_ns = ((struct late_event *)to->state)->time_ns - ((struct late_event *)from->state)->time_ns;
    return 0;
}

static const struct el_backend late_backend = {
    .name = "late",
    .count = late_count,
    .memory = late_memory,
    .alloc = late_alloc,
    .free = late_free,
    .alloc_pinned = late_alloc_pinned,
    .free_pinned = late_free_pinned,
    .stream_open = late_stream_open,
    .stream_close = late_stream_close,
    .upload = late_copy,
    .download = late_copy,
    .copy = late_copy,
    .launch = late_launch,
    .sync = late_sync,
    .event_open = late_event_open,
    .event_close = late_event_close,
    .record = late_record,
    .wait = late_wait,
    .elapsed = late_elapsed,
};

// ---- what the header says ----

int late_open(uint64_t memory, uint64_t budget, struct el_device *ret_device) {
    late_fail(0, 0, false);
    launch_fn = NULL;
    memory_size = memory;
    counts = (struct late_counts){0};
    *ret_device = (struct el_device){.backend = &late_backend,
                                     .id = "late:0",
                                     .options = {.budget = budget},
                                     .facts = {.name = "late", .memory = memory}};
    return el_pool_open(ret_device, &ret_device->pool);
}

void late_close(struct el_device *device) {
    el_pool_close(device->pool);
}

struct late_counts late_counts(void) {
    pthread_mutex_lock(&lock);
    struct late_counts now = counts;
    pthread_mutex_unlock(&lock);
    return now;
}

void late_fail(long nth, int status, bool and_after) {
    pthread_mutex_lock(&lock);
    fail_countdown = nth;
    fail_status = status;
    fail_stays = and_after;
    fail_tripped = false;
    pthread_mutex_unlock(&lock);
}

bool late_tripped(void) {
    pthread_mutex_lock(&lock);
    bool tripped = fail_tripped;
    pthread_mutex_unlock(&lock);
    return tripped;
}

void late_on_launch(void (*fn)(void *memory)) {
    launch_fn = fn;
}
