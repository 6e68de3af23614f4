// SPDX-License-Identifier: Apache-2.0
// What a piece of a stream's work does when its time has come: copies and launches, with all that they touch
// checked.
#include <string.h>
#include <time.h>

#include "fake_cuda.h"

static CUresult run_copy(int gpu, const struct work *work) {
    const bool good = (!work->to_device || fake_memory_owns(gpu, work->to, work->size)) &&
                      (!work->from_device || fake_memory_owns(gpu, work->from, work->size));
    if (!good) {
        fake_blame("a copy of %zu bytes from %p to %p is not inside of memory of GPU %d", work->size,
                   work->from, work->to, gpu);
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    fake_memory_watch(); // the host's side may have been pinned memory that is freed
    memmove(work->to, work->from, work->size);
    if (fake_memory_watch_end()) return CUDA_SUCCESS;
    fake_blame("a copy of %zu bytes from %p to %p: the host's side was freed before it ran", work->size,
               work->from, work->to);
    return CUDA_ERROR_ILLEGAL_ADDRESS;
}

// Every address must lie in an allocation of this GPU that lives. How much a kernel touches, the guard pages
// see.
static bool check_addresses(int gpu, const char *symbol, const char *args, const struct work *work) {
    for (int i = 0; args[i]; i++) {
        const void *address = (const void *)(uintptr_t)work->args[i];
        if (args[i] != 'm' || !address || fake_memory_owns(gpu, address, 0)) continue;
        fake_blame("%s: argument %d is %p, where GPU %d has no memory", symbol, i, address, gpu);
        return false;
    }
    return true;
}

// Turns a bit of what the kernel has written: a first word that changed, else of its last memory argument.
enum { SEEN = 64 }; // bytes behind each address
static void spoil(const char *args, const struct work *work, unsigned char (*before)[SEEN], int gpu) {
    unsigned char *victim = NULL;
    for (int i = 0; args[i]; i++) {
        unsigned char *address = (unsigned char *)(uintptr_t)work->args[i];
        if (args[i] != 'm' || !address || !fake_memory_owns(gpu, address, 1)) continue;
        victim = address;
        if (fake_memory_owns(gpu, address, SEEN) && memcmp(address, before[i], SEEN) != 0) break;
    }
    if (victim) *victim ^= 4;
}

static void look(const char *args, const struct work *work, unsigned char (*ret_before)[SEEN], int gpu) {
    for (int i = 0; args[i]; i++) {
        const void *address = (const void *)(uintptr_t)work->args[i];
        if (args[i] == 'm' && address && fake_memory_owns(gpu, address, SEEN))
            memcpy(ret_before[i], address, SEEN);
    }
}

static CUresult run_launch(int gpu, const struct work *work) {
    const struct CUfunc_st *function = work->function;
    const char *args = el_kernels[function->kernel].args;
    unsigned char before[FAKE_MAX_ARGS][SEEN];
    uint64_t values[FAKE_MAX_ARGS];
    void *params[FAKE_MAX_ARGS];
    memcpy(values, work->args, sizeof values);
    for (int i = 0; i < FAKE_MAX_ARGS; i++)
        params[i] = &values[i];
    if (!check_addresses(gpu, function->life->symbol, args, work)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (work->wrong) look(args, work, before, gpu);
    fake_memory_watch();
    el_lanes_run(function->life, work->groups, params);
    const bool good = fake_memory_watch_end();
    if (!good) fake_blame("%s touched memory beyond its arguments", function->life->symbol);
    if (work->wrong) spoil(args, work, before, gpu);
    fake_count_launch(function->kernel, function->store);
    return good ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

static void run_record(const struct work *work) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&fake_lock);
    if (work->event->stream == work->awaited &&
        work->event->place == work->place) // else recorded again since
        work->event->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    pthread_mutex_unlock(&fake_lock);
}

CUresult fake_work_run(CUcontext context, const struct work *work) {
    if (work->failure != CUDA_SUCCESS) return work->failure;
    if (machine_gpu_gone(fake_machine(), context->gpu)) return CUDA_ERROR_UNKNOWN;
    if (work->kind == WORK_COPY) return run_copy(context->gpu, work);
    if (work->kind == WORK_LAUNCH) return run_launch(context->gpu, work);
    if (work->kind == WORK_RECORD) run_record(work);
    return CUDA_SUCCESS;
}
