// SPDX-License-Identifier: Apache-2.0
// Contexts of the fake driver: which is current, what one dies of, and the memory that belongs to it.
#include <stdlib.h>

#include "fake_cuda.h"

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
struct CUctx_st *fake_contexts;
static _Thread_local CUcontext current;

CUresult fake_kill(CUcontext context, CUresult error) {
    int alive = CUDA_SUCCESS;
    atomic_compare_exchange_strong(&context->error, &alive, (int)error);
    return (CUresult)context->error;
}

// A context whose GPU is gone is dead, even if the GPU comes back.
static CUresult state_of(CUcontext context) {
    if (!context) return CUDA_ERROR_INVALID_CONTEXT;
    if (context->destroyed) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (machine_gpu_gone(fake_machine(), context->gpu)) fake_kill(context, CUDA_ERROR_UNKNOWN);
    return (CUresult)context->error;
}

CUresult fake_enter(enum fake_call call, CUcontext *ret_context) {
    CUresult result = fake_begin(call);
    if (result != CUDA_SUCCESS) return result;
    *ret_context = current;
    return state_of(current);
}

static CUresult result_of(enum machine_outcome outcome, enum machine_call call) {
    switch (outcome) {
    case MACHINE_LOST:
        return call == MACHINE_LAUNCH ? CUDA_ERROR_LAUNCH_FAILED : CUDA_ERROR_ILLEGAL_ADDRESS;
    case MACHINE_OFF_THE_BUS:
        return call == MACHINE_OPEN ? CUDA_ERROR_NO_DEVICE : CUDA_ERROR_UNKNOWN;
    case MACHINE_ECC:
        return CUDA_ERROR_ECC_UNCORRECTABLE;
    case MACHINE_OOM:
        return CUDA_ERROR_OUT_OF_MEMORY;
    default:
        return CUDA_SUCCESS;
    }
}

CUresult fake_machine_call(CUcontext context, enum machine_call call, size_t bytes) {
    CUresult result = result_of(machine_call(fake_machine(), context->gpu, call, bytes), call);
    const bool recoverable = result == CUDA_SUCCESS || result == CUDA_ERROR_OUT_OF_MEMORY;
    return recoverable ? result : fake_kill(context, result);
}

CUresult fake_machine_work(CUcontext context, enum machine_call call, struct work *work) {
    const enum machine_outcome outcome = machine_call(fake_machine(), context->gpu, call, 0);
    const CUresult result = result_of(outcome, call);
    if (outcome == MACHINE_OOM) return result;
    if (outcome == MACHINE_OFF_THE_BUS) return fake_kill(context, result);
    work->failure = result;
    work->wrong = outcome == MACHINE_WRONG;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
    CUresult result = fake_begin(CALL_cuCtxCreate);
    const int gpu = fake_gpu_of(device);
    if (result != CUDA_SUCCESS) return result;
    if (gpu < 0) return CUDA_ERROR_INVALID_DEVICE;
    if (flags & ~0x1fu) return CUDA_ERROR_INVALID_VALUE;
    result = result_of(machine_call(fake_machine(), gpu, MACHINE_OPEN, 0), MACHINE_OPEN);
    if (result != CUDA_SUCCESS) return result;
    struct CUctx_st *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    fresh->gpu = gpu;
    pthread_mutex_lock(&fake_lock);
    fresh->next = fake_contexts;
    fake_contexts = fresh;
    pthread_mutex_unlock(&fake_lock);
    *context = current = fresh;
    return CUDA_SUCCESS;
}

static void count_left(CUcontext context) {
    long device_memory, pinned_memory, streams = 0, events = 0;
    fake_memory_close_all(context, &device_memory, &pinned_memory);
    for (CUstream stream = context->streams; stream; stream = stream->next)
        streams += !stream->destroyed;
    for (CUevent event = context->events; event; event = event->next)
        events += !event->destroyed;
    fake_count_left(device_memory, pinned_memory, streams, events, fake_graphs_close(context));
}

// The context itself stays, so that who still uses it is told so.
CUresult cuCtxDestroy_v2(CUcontext context) {
    CUresult result = fake_begin(CALL_cuCtxDestroy);
    if (result != CUDA_SUCCESS) return result;
    if (!context || context->destroyed) return CUDA_ERROR_INVALID_CONTEXT;
    result = (CUresult)context->error;
    pthread_mutex_lock(&fake_lock);
    fake_streams_drop(context);
    count_left(context);
    context->destroyed = true;
    pthread_mutex_unlock(&fake_lock);
    if (current == context) current = NULL;
    return result;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    CUresult result = fake_begin(CALL_cuCtxSetCurrent);
    if (result != CUDA_SUCCESS) return result;
    if (context && context->destroyed) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    current = context;
    return CUDA_SUCCESS;
}

// ---- memory ----

// Bytes that nobody has yet.
static size_t free_bytes(int gpu) {
    const struct machine_gpu *facts = &fake_machine()->gpus[gpu];
    const int64_t left = facts->memory - facts->memory_used - facts->allocated;
    return left > 0 ? (size_t)left : 0;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuMemGetInfo, &context);
    if (result != CUDA_SUCCESS) return result;
    *total = (size_t)fake_machine()->gpus[context->gpu].memory;
    *free = free_bytes(context->gpu);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuMemAlloc, &context);
    if (result != CUDA_SUCCESS) return result;
    if (size == 0) return CUDA_ERROR_INVALID_VALUE;
    result = fake_machine_call(context, MACHINE_ALLOC, size);
    if (result != CUDA_SUCCESS) return result;
    void *bytes = size <= free_bytes(context->gpu) ? fake_memory_open(context->gpu, context, size) : NULL;
    if (!bytes) return CUDA_ERROR_OUT_OF_MEMORY;
    *address = (CUdeviceptr)(uintptr_t)bytes;
    return CUDA_SUCCESS;
}

// In a dead context nothing can be freed; the report does not blame who tried.
CUresult cuMemFree_v2(CUdeviceptr address) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuMemFree, &context);
    if (result == CUDA_SUCCESS) { // waits for all work of the context
        pthread_mutex_lock(&fake_lock);
        fake_streams_drain(context);
        pthread_mutex_unlock(&fake_lock);
        result = (CUresult)context->error;
    }
    if (!context || fake_memory_close(context->gpu, (void *)(uintptr_t)address)) return result;
    fake_blame("cuMemFree of %#llx, which is no allocation of this GPU, or not any more", address);
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuMemHostAlloc(void **bytes, size_t size, unsigned flags) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuMemHostAlloc, &context);
    if (result != CUDA_SUCCESS) return result;
    if (size == 0 || flags & ~7u) return CUDA_ERROR_INVALID_VALUE;
    result = fake_machine_call(context, MACHINE_ALLOC, 0);
    if (result != CUDA_SUCCESS) return result;
    void *fresh = fake_memory_open(-1, context, size);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    *bytes = fresh;
    return CUDA_SUCCESS;
}

// Waits for nothing: who frees what a copy still needs is caught.
CUresult cuMemFreeHost(void *bytes) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuMemFreeHost, &context);
    if (fake_memory_close(-1, bytes)) return result;
    fake_blame("cuMemFreeHost of %p, which is no pinned memory, or not any more", bytes);
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}
