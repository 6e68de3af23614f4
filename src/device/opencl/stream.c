// SPDX-License-Identifier: Apache-2.0
// Streams, launches and events of OpenCL. A stream is an in-order queue. Each command also waits for the one
// before it by event, because that, and not the order, is what hands a failure on to the commands behind it,
// so that `sync` sees it.
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/opencl/opencl.h"

enum { MAX_ARGS = 16, MAX_WAITS = 2 };

// stream->state. Kernel objects carry arguments, so they are a stream's own: launches need no lock.
struct queue {
    struct cl_queue *queue;
    struct cl_event *last; // of the newest command; NULL before the first
    struct cl_kernel *kernels[EL_STORE_COUNT][EL_KERNEL_COUNT];
};

int el_opencl_stream_open(struct el_device *device, struct el_stream *stream) {
    struct queue *queue = NULL;
    EL_TRY(el_zalloc(1, sizeof *queue, &queue));
    const int status = el_opencl_queue_open(device, &queue->queue);
    if (status < 0) {
        el_free(queue);
        return status;
    }
    stream->state = queue;
    return 0;
}

void el_opencl_stream_close(struct el_stream *stream) {
    const struct el_opencl_api *api = &el_opencl_of(stream->device)->api;
    struct queue *queue = stream->state;
    if (!queue) return;
    api->clFinish(queue->queue); // memory and host bytes that it uses may be given back next
    for (int store = 0; store < EL_STORE_COUNT; store++)
        for (int kernel = 0; kernel < EL_KERNEL_COUNT; kernel++)
            if (queue->kernels[store][kernel]) api->clReleaseKernel(queue->kernels[store][kernel]);
    if (queue->last) api->clReleaseEvent(queue->last);
    api->clReleaseCommandQueue(queue->queue);
    el_free(queue);
}

// Where a call puts the event of its command, and the events that the command waits for.
struct command {
    struct cl_event *wait[MAX_WAITS], *done;
    cl_uint wait_count;
};

static struct command after_last(const struct queue *queue) {
    struct command command = {.wait = {queue->last}, .wait_count = queue->last ? 1 : 0};
    return command;
}

#define WAITS(command) (command).wait_count, (command).wait_count ? (command).wait : NULL, &(command).done

// What every call that queues a command ends with.
static int queued(struct el_stream *stream, const char *call, cl_int code, const struct command *command) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    EL_TRY(el_opencl_check(stream->device, call, code));
    if (queue->last) cl->api.clReleaseEvent(queue->last);
    queue->last = command->done;
    return 0;
}

int el_opencl_upload(struct el_stream *stream, void *to, const void *host, size_t size) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    struct el_opencl_place place;
    EL_TRY(el_opencl_find(stream->device, to, size, &place));
    return queued(stream, "clEnqueueWriteBuffer",
                  cl->api.clEnqueueWriteBuffer(queue->queue, place.buffer, CL_FALSE, place.offset, size, host,
                                               WAITS(command)),
                  &command);
}

int el_opencl_download(struct el_stream *stream, void *host, const void *from, size_t size) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    struct el_opencl_place place;
    EL_TRY(el_opencl_find(stream->device, from, size, &place));
    return queued(stream, "clEnqueueReadBuffer",
                  cl->api.clEnqueueReadBuffer(queue->queue, place.buffer, CL_FALSE, place.offset, size, host,
                                              WAITS(command)),
                  &command);
}

int el_opencl_copy(struct el_stream *stream, void *to, const void *from, size_t size) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    struct el_opencl_place source, target;
    EL_TRY(el_opencl_find(stream->device, from, size, &source));
    EL_TRY(el_opencl_find(stream->device, to, size, &target));
    return queued(stream, "clEnqueueCopyBuffer",
                  cl->api.clEnqueueCopyBuffer(queue->queue, source.buffer, target.buffer, source.offset,
                                              target.offset, size, WAITS(command)),
                  &command);
}

// What waiting for commands that were accepted ends with: whatever code it is, they did not run.
static int check_done(const struct el_device *device, const char *call, cl_int code) {
    const int status = el_opencl_check(device, call, code);
    return status < 0 ? EL_ELOST : 0;
}

int el_opencl_sync(struct el_stream *stream) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    if (!queue->last) return 0;
    EL_TRY(check_done(stream->device, "clWaitForEvents", cl->api.clWaitForEvents(1, &queue->last)));
    return check_done(stream->device, "clFinish", cl->api.clFinish(queue->queue));
}

// ---- launches ----

static int open_kernel(const struct el_device *device, enum el_kernel kernel, enum el_store store,
                       struct cl_kernel **ret_kernel) {
    struct el_opencl *cl = el_opencl_of(device);
    const struct el_opencl_program *program = NULL;
    cl_int code = CL_SUCCESS;
    char symbol[64];
    EL_TRY(el_opencl_program(device, store, &program));
    el_kernel_symbol(kernel, store, symbol, sizeof symbol);
    struct cl_kernel *opened = cl->api.clCreateKernel(program->program, symbol, &code);
    if (!opened) return el_opencl_check(device, "clCreateKernel", code);
    *ret_kernel = opened;
    return 0;
}

// A launch under way: OpenCL knows a place inside an allocation only as a buffer of its own, which must be
// kept until the launch is queued.
struct parts {
    struct cl_mem *part[MAX_ARGS];
    int count;
};

static int open_part(const struct el_device *device, const struct el_opencl_place *place,
                     struct parts *parts) {
    struct el_opencl *cl = el_opencl_of(device);
    const struct cl_buffer_region rest = {.origin = place->offset, .size = place->left};
    cl_int code = CL_SUCCESS;
    struct cl_mem *part =
        cl->api.clCreateSubBuffer(place->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &rest, &code);
    if (!part) return el_opencl_check(device, "clCreateSubBuffer", code);
    parts->part[parts->count++] = part;
    return 0;
}

// The buffer to hand over for an address; NULL for NULL.
static int buffer_at(struct el_device *device, const void *address, struct parts *parts,
                     struct cl_mem **ret_buffer) {
    struct el_opencl_place place = {0};
    if (address) EL_TRY(el_opencl_find(device, address, 1, &place));
    if (place.offset > 0) {
        EL_TRY(open_part(device, &place, parts));
        place.buffer = parts->part[parts->count - 1];
    }
    *ret_buffer = place.buffer;
    return 0;
}

static int set_arg(struct el_device *device, struct cl_kernel *kernel, cl_uint index,
                   const struct el_arg *arg, struct parts *parts) {
    struct el_opencl *cl = el_opencl_of(device);
    struct cl_mem *buffer = NULL;
    cl_int code;
    switch (arg->kind) {
    case 'm':
        EL_TRY(buffer_at(device, arg->memory, parts, &buffer));
        code = cl->api.clSetKernelArg(kernel, index, sizeof(void *), &buffer);
        break;
    case 'i':
        code = cl->api.clSetKernelArg(kernel, index, sizeof arg->i32, &arg->i32);
        break;
    default:
        code = cl->api.clSetKernelArg(kernel, index, sizeof arg->f32, &arg->f32);
    }
    return el_opencl_check(device, "clSetKernelArg", code);
}

static int launch_with(struct el_stream *stream, const struct el_launch *launch, struct parts *parts) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    struct cl_kernel **kernel = &queue->kernels[launch->store][launch->kernel];
    size_t lanes[3] = {(size_t)el_kernels[launch->kernel].lanes, 1, 1}, items[3];
    if (!*kernel) EL_TRY(open_kernel(stream->device, launch->kernel, launch->store, kernel));
    for (int i = 0; i < launch->arg_count; i++)
        EL_TRY(set_arg(stream->device, *kernel, (cl_uint)i, &launch->args[i], parts));
    for (int i = 0; i < 3; i++)
        items[i] = lanes[i] * (size_t)launch->groups[i];
    return queued(
        stream, "clEnqueueNDRangeKernel",
        cl->api.clEnqueueNDRangeKernel(queue->queue, *kernel, 3, NULL, items, lanes, WAITS(command)),
        &command);
}

int el_opencl_launch(struct el_stream *stream, const struct el_launch *launch) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct parts parts = {0};
    assert((size_t)launch->arg_count == strlen(el_kernels[launch->kernel].args));
    int status = launch_with(stream, launch, &parts);
    for (int i = 0; i < parts.count; i++)
        cl->api.clReleaseMemObject(parts.part[i]);
    return status < 0 ? el_fail_in(status, "%s", el_kernels[launch->kernel].name) : 0;
}

// ---- events: event->state is the driver's event, NULL until it is recorded ----

int el_opencl_event_open(struct el_device *device, struct el_event *event) {
    (void)device;
    event->state = NULL;
    return 0;
}

void el_opencl_event_close(struct el_event *event) {
    if (event->state) el_opencl_of(event->device)->api.clReleaseEvent(event->state);
}

// Flushed, since another queue may only wait for what has left its own.
int el_opencl_record(struct el_stream *stream, struct el_event *event) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    EL_TRY(el_opencl_check(stream->device, "clEnqueueMarkerWithWaitList",
                           cl->api.clEnqueueMarkerWithWaitList(queue->queue, WAITS(command))));
    el_opencl_event_close(event);
    event->state = command.done;
    return el_opencl_check(stream->device, "clFlush", cl->api.clFlush(queue->queue));
}

int el_opencl_wait(struct el_stream *stream, struct el_event *event) {
    struct el_opencl *cl = el_opencl_of(stream->device);
    struct queue *queue = stream->state;
    struct command command = after_last(queue);
    if (!event->state) return 0;
    command.wait[command.wait_count++] = event->state;
    return queued(stream, "clEnqueueBarrierWithWaitList",
                  cl->api.clEnqueueBarrierWithWaitList(queue->queue, WAITS(command)), &command);
}

static int end_of(const struct el_event *event, cl_ulong *ret_ns) {
    struct el_opencl *cl = el_opencl_of(event->device);
    if (!event->state) return el_fail(EL_EINVAL, "an event of %s was not recorded", event->device->id);
    return el_opencl_check(event->device, "clGetEventProfilingInfo",
                           cl->api.clGetEventProfilingInfo(event->state, CL_PROFILING_COMMAND_END,
                                                           sizeof *ret_ns, ret_ns, NULL));
}

int el_opencl_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns) {
    cl_ulong begin, end;
    EL_TRY(end_of(from, &begin));
    EL_TRY(end_of(to, &end));
    *ret_ns = end > begin ? end - begin : 0;
    return 0;
}
