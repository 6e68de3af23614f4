// SPDX-License-Identifier: Apache-2.0
// The host back-end: plain memory, and a stream that has done its work when the call returns. It launches no
// kernels: on the processor the operation table computes itself.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/device.h"
#include "topo/processors.h"

static int host_count(int *ret_count) {
    *ret_count = 1;
    return 0;
}

static int memory_bytes(uint64_t *ret_total, uint64_t *ret_free) {
    long page = sysconf(_SC_PAGESIZE), total = sysconf(_SC_PHYS_PAGES),
         free_pages = sysconf(_SC_AVPHYS_PAGES);
    if (page < 0 || total < 0 || free_pages < 0)
        return el_fail(EL_EUNSUPPORTED, "the system does not tell its memory");
    *ret_total = (uint64_t)total * (uint64_t)page;
    *ret_free = (uint64_t)free_pages * (uint64_t)page;
    return 0;
}

static int host_describe(int index, struct el_device_facts *ret_facts) {
    (void)index;
    struct el_device_facts facts = {.units = el_cpu_count(), .is_processor = true};
    uint64_t unused;
    el_processors_name("", facts.name, sizeof facts.name);
    if (!facts.name[0]) snprintf(facts.name, sizeof facts.name, "processor");
    EL_TRY(memory_bytes(&facts.memory, &unused));
    *ret_facts = facts;
    return 0;
}

static int host_open(struct el_device *device) {
    const int parts = EL_MAX(device->options.parts, 1);
    device->facts.memory /= (uint64_t)parts;
    device->facts.units = EL_MAX(device->facts.units / parts, 1);
    return 0;
}

static void host_close(struct el_device *device) {
    (void)device;
}

static bool host_has(const struct el_device *device, enum el_kernel kernel, enum el_store store) {
    (void)device, (void)kernel, (void)store;
    return false;
}

static int host_memory(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free) {
    (void)device;
    return memory_bytes(ret_total, ret_free);
}

static int host_alloc(struct el_device *device, size_t size, void **ret_address) {
    (void)device;
    return el_alloc_aligned(size, 1, ret_address);
}

static void host_free(struct el_device *device, void *address) {
    (void)device;
    el_free(address);
}

static int host_stream_open(struct el_device *device, struct el_stream *stream) {
    (void)device, (void)stream;
    return 0;
}

static void host_stream_close(struct el_stream *stream) {
    (void)stream;
}

static int host_move(struct el_stream *stream, void *to, const void *from, size_t size) {
    (void)stream;
    memcpy(to, from, size);
    return 0;
}

static int host_launch(struct el_stream *stream, const struct el_launch *launch) {
    return el_fail(EL_EUNSUPPORTED, "%s launches no kernels (%s)", stream->device->id,
                   el_kernels[launch->kernel].name);
}

static int host_sync(struct el_stream *stream) {
    (void)stream;
    return 0;
}

// An event is the time at which it was recorded.
static int host_event_open(struct el_device *device, struct el_event *event) {
    (void)device;
    return el_zalloc(1, sizeof(uint64_t), &event->state);
}

static void host_event_close(struct el_event *event) {
    el_free(event->state);
}

static int host_record(struct el_stream *stream, struct el_event *event) {
    (void)stream;
    *(uint64_t *)event->state = el_now_ns();
    return 0;
}

static int host_wait(struct el_stream *stream, struct el_event *event) {
    (void)stream, (void)event;
    return 0;
}

static int host_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns) {
    *ret_ns = *(uint64_t *)to->state - *(uint64_t *)from->state;
    return 0;
}

extern const struct el_backend el_backend_host;
const struct el_backend el_backend_host = {
    .name = "host",
    .count = host_count,
    .describe = host_describe,
    .open = host_open,
    .close = host_close,
    .has = host_has,
    .memory = host_memory,
    .alloc = host_alloc,
    .free = host_free,
    .alloc_pinned = host_alloc,
    .free_pinned = host_free,
    .stream_open = host_stream_open,
    .stream_close = host_stream_close,
    .upload = host_move,
    .download = host_move,
    .copy = host_move,
    .launch = host_launch,
    .sync = host_sync,
    .event_open = host_event_open,
    .event_close = host_event_close,
    .record = host_record,
    .wait = host_wait,
    .elapsed = host_elapsed,
};
