// SPDX-License-Identifier: Apache-2.0
// Streams and events of the fake driver. A stream is a queue that the calling threads run. EL_FAKE_STREAMS
// says when:
//
//   lazy           nothing runs before somebody must have it (the default): what a sync does not need waits
//   eager          everything runs when it is queued
//   shuffled:SEED  at each call a few pieces of any streams run, drawn by lot
//
// All are orders that CUDA allows, so that a wait that is missing, or host memory that is used again too
// early, gives wrong numbers here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

enum { LOTS = 4 }; // fewer than this many pieces of work run at once when they are drawn by lot

enum policy { LAZY, EAGER, SHUFFLED };
static enum policy policy;
static uint64_t lot; // guarded by fake_lock
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER; // a piece of work is done

static void read_policy(void) {
    const char *text = getenv("EL_FAKE_STREAMS");
    unsigned long long seed = 1;
    if (!text || strcmp(text, "lazy") == 0) return;
    if (strcmp(text, "eager") == 0) {
        policy = EAGER;
    } else if (sscanf(text, "shuffled:%llu", &seed) == 1 || strcmp(text, "shuffled") == 0) {
        policy = SHUFFLED;
        lot = seed * 2 + 1;
    } else {
        fake_blame("EL_FAKE_STREAMS=%s is none of lazy, eager, shuffled:SEED", text);
    }
}

// ---- running ----

static bool must_wait(const struct work *work) {
    return work->kind == WORK_WAIT && work->awaited->done < work->place;
}

// Takes the first piece of a stream that is not busy. The lock is held, but not while the work runs.
static void run_first(CUstream stream) {
    struct work *work = stream->first;
    CUcontext context = stream->context;
    stream->busy = true;
    pthread_mutex_unlock(&fake_lock);
    if (context->error == CUDA_SUCCESS) {
        CUresult result = fake_work_run(context, work);
        if (result != CUDA_SUCCESS) fake_kill(context, result);
    }
    pthread_mutex_lock(&fake_lock);
    stream->first = work->next;
    if (!stream->first) stream->last = &stream->first;
    free(work);
    stream->busy = false;
    stream->done++;
    pthread_cond_broadcast(&progress);
}

// Runs a stream up to a place, and of others what it waits for. That ends: a wait is for what was queued
// before it.
static void run_until(CUstream stream, long place) {
    while (stream->done < place)
        if (stream->busy)
            pthread_cond_wait(&progress, &fake_lock);
        else if (must_wait(stream->first))
            run_until(stream->first->awaited, stream->first->place);
        else
            run_first(stream);
}

void fake_streams_drain(CUcontext context) {
    for (CUstream stream = context->streams; stream; stream = stream->next)
        run_until(stream, stream->queued);
}

void fake_streams_drop(CUcontext context) {
    fake_kill(context, CUDA_ERROR_CONTEXT_IS_DESTROYED); // so that what still runs is the last
    fake_streams_drain(context);
}

static uint64_t draw(uint64_t below) {
    lot ^= lot << 13; // xorshift64 (Marsaglia 2003)
    lot ^= lot >> 7;
    lot ^= lot << 17;
    return lot % below;
}

// The n-th of the streams whose first piece may run; NULL when there are fewer.
static CUstream find_ready(uint64_t n) {
    for (CUcontext context = fake_contexts; context; context = context->next)
        for (CUstream stream = context->streams; stream; stream = stream->next)
            if (stream->first && !stream->busy && !must_wait(stream->first) && n-- == 0) return stream;
    return NULL;
}

static void run_some(void) {
    uint64_t ready = 0;
    for (uint64_t runs = draw(LOTS); runs > 0; runs--) {
        for (ready = 0; find_ready(ready);)
            ready++;
        if (ready == 0) return;
        run_first(find_ready(draw(ready)));
    }
}

// ---- queueing ----

CUresult fake_enter_stream(enum fake_call call, CUstream stream, CUcontext *ret_context) {
    pthread_once(&once, read_policy);
    CUresult result = fake_enter(call, ret_context);
    if (result != CUDA_SUCCESS) return result;
    if (stream && !stream->destroyed && stream->context == *ret_context) return CUDA_SUCCESS;
    fake_blame("a call on a stream that is NULL, destroyed or of another context");
    return CUDA_ERROR_INVALID_HANDLE;
}

CUresult fake_queue(CUstream stream, const struct work *work) {
    struct work *fresh = malloc(sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    *fresh = *work;
    pthread_mutex_lock(&fake_lock);
    *stream->last = fresh;
    stream->last = &fresh->next;
    stream->queued++;
    if (work->kind == WORK_RECORD) {
        fresh->awaited = stream;
        fresh->place = stream->queued;
        work->event->stream = stream;
        work->event->place = stream->queued;
    }
    if (policy == EAGER) run_until(stream, stream->queued);
    if (policy == SHUFFLED) run_some();
    pthread_mutex_unlock(&fake_lock);
    return CUDA_SUCCESS;
}

static CUresult queue_copy(enum fake_call call, CUstream stream, struct work work) {
    CUcontext context;
    CUresult result = fake_enter_stream(call, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    work.kind = WORK_COPY;
    if (stream->capture) return fake_graph_add(stream->capture, &work);
    result = fake_machine_work(context, MACHINE_COPY, &work);
    return result == CUDA_SUCCESS ? fake_queue(stream, &work) : result;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    const struct work copy = {.to = (void *)(uintptr_t)to, .from = from, .size = size, .to_device = true};
    return queue_copy(CALL_cuMemcpyHtoDAsync, stream, copy);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    const struct work copy = {
        .to = to, .from = (const void *)(uintptr_t)from, .size = size, .from_device = true};
    return queue_copy(CALL_cuMemcpyDtoHAsync, stream, copy);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    const struct work copy = {.to = (void *)(uintptr_t)to,
                              .from = (const void *)(uintptr_t)from,
                              .size = size,
                              .to_device = true,
                              .from_device = true};
    return queue_copy(CALL_cuMemcpyDtoDAsync, stream, copy);
}

// What limits a launch: the kernel's lanes, and CUDA's greatest grid.
static bool check_shape(const struct CUfunc_st *function, const int groups[3], const unsigned lanes[3],
                        unsigned shared_bytes) {
    return groups[0] >= 1 && groups[1] >= 1 && groups[2] >= 1 && groups[1] <= 65535 && groups[2] <= 65535 &&
           lanes[0] == (unsigned)el_kernels[function->kernel].lanes && lanes[1] == 1 && lanes[2] == 1 &&
           shared_bytes <= 48 << 10;
}

CUresult cuLaunchKernel(CUfunction function, unsigned groups_x, unsigned groups_y, unsigned groups_z,
                        unsigned lanes_x, unsigned lanes_y, unsigned lanes_z, unsigned shared_bytes,
                        CUstream stream, void **arguments, void **extra) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuLaunchKernel, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (function->context != context) return CUDA_ERROR_INVALID_HANDLE;
    struct work work = {
        .kind = WORK_LAUNCH, .function = function, .groups = {(int)groups_x, (int)groups_y, (int)groups_z}};
    const unsigned lanes[] = {lanes_x, lanes_y, lanes_z};
    if (extra || !check_shape(function, work.groups, lanes, shared_bytes)) return CUDA_ERROR_INVALID_VALUE;
    const char *args = el_kernels[function->kernel].args;
    for (int i = 0; args[i]; i++)
        memcpy(&work.args[i], arguments[i], args[i] == 'm' ? 8 : 4);
    if (stream->capture) return fake_graph_add(stream->capture, &work);
    result = fake_machine_work(context, MACHINE_LAUNCH, &work);
    return result == CUDA_SUCCESS ? fake_queue(stream, &work) : result;
}

// ---- streams ----

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuStreamCreate, &context);
    if (result != CUDA_SUCCESS) return result;
    if (flags & ~1u) return CUDA_ERROR_INVALID_VALUE;
    struct CUstream_st *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    fresh->context = context;
    fresh->last = &fresh->first;
    pthread_mutex_lock(&fake_lock);
    fresh->next = context->streams;
    context->streams = fresh;
    pthread_mutex_unlock(&fake_lock);
    *stream = fresh;
    return CUDA_SUCCESS;
}

// What is queued is still done, as CUDA promises.
CUresult cuStreamDestroy_v2(CUstream stream) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuStreamDestroy, &context);
    if (!stream || stream->destroyed) return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&fake_lock);
    run_until(stream, stream->queued);
    stream->destroyed = true;
    pthread_mutex_unlock(&fake_lock);
    return result;
}

CUresult cuStreamSynchronize(CUstream stream) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuStreamSynchronize, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (stream->capture) return fake_capture_spoil(stream);
    result = fake_machine_call(context, MACHINE_SYNC, 0);
    if (result != CUDA_SUCCESS) return result;
    pthread_mutex_lock(&fake_lock);
    if (policy == SHUFFLED) run_some();
    run_until(stream, stream->queued);
    pthread_mutex_unlock(&fake_lock);
    return (CUresult)context->error;
}

// ---- events ----

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuEventCreate, &context);
    if (result != CUDA_SUCCESS) return result;
    if (flags & ~7u) return CUDA_ERROR_INVALID_VALUE;
    struct CUevent_st *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    fresh->context = context;
    pthread_mutex_lock(&fake_lock);
    fresh->next = context->events;
    context->events = fresh;
    pthread_mutex_unlock(&fake_lock);
    *event = fresh;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuEventDestroy, &context);
    if (!event || event->destroyed) return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&fake_lock);
    event->destroyed = true;
    pthread_mutex_unlock(&fake_lock);
    return result;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuEventRecord, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (!event || event->destroyed || event->context != context) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return fake_capture_spoil(stream);
    const struct work work = {.kind = WORK_RECORD, .event = event};
    return fake_queue(stream, &work);
}

// An event that was never recorded is waited for no longer than any that is done.
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuStreamWaitEvent, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (!event || event->destroyed) return CUDA_ERROR_INVALID_HANDLE;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture) return fake_capture_spoil(stream);
    pthread_mutex_lock(&fake_lock);
    const struct work work = {.kind = WORK_WAIT, .awaited = event->stream, .place = event->place};
    pthread_mutex_unlock(&fake_lock);
    return work.awaited ? fake_queue(stream, &work) : CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuEventElapsedTime, &context);
    if (result != CUDA_SUCCESS) return result;
    if (!from || from->destroyed || !to || to->destroyed) return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&fake_lock);
    if (!from->stream || !to->stream)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (from->stream->done < from->place || to->stream->done < to->place)
        result = CUDA_ERROR_NOT_READY;
    else
        *milliseconds = (float)((double)(int64_t)(to->time_ns - from->time_ns) * 1e-6);
    pthread_mutex_unlock(&fake_lock);
    return result;
}
