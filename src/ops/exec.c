// SPDX-License-Identifier: Apache-2.0
// Executions on the processor and on devices.
#include "ops/exec.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/pool.h"
#include "ops/filling.h"
#include "ops/replay.h"

static bool on_device(const struct el_exec *exec) {
    return exec->stream.device != NULL;
}

int el_exec_open(const struct el_target *target, struct el_team *team, struct el_exec *ret_exec) {
    struct el_exec exec = {.ops = target->ops, .team = team, .activations = EL_F32};
    el_arena_init(&exec.scratch);
    if (!el_device_is_host(target->device)) {
        exec.activations = el_gpu_dtype(target->precision);
        EL_TRY(el_stream_open(target->device, &exec.stream));
        el_device_arena_init(&exec.device_scratch, target->device, EL_ARENA_DEVICE);
        el_device_arena_init(&exec.pinned, target->device, EL_ARENA_PINNED);
    }
    *ret_exec = exec;
    return 0;
}

void el_exec_close(struct el_exec *exec) {
    if (on_device(exec)) el_stream_sync(&exec->stream); // a failure has been told, or nobody waits for it
    el_replay_close(exec->replay);
    el_device_arena_done(&exec->device_scratch);
    el_device_arena_done(&exec->pinned);
    el_stream_close(&exec->stream);
    el_arena_done(&exec->scratch);
}

struct el_exec_mark el_exec_mark(const struct el_exec *exec) {
    return (struct el_exec_mark){
        .scratch = el_arena_mark(&exec->scratch),
        .device_scratch = el_device_arena_mark(&exec->device_scratch),
        .pinned = el_device_arena_mark(&exec->pinned),
    };
}

void el_exec_release(struct el_exec *exec, struct el_exec_mark mark) {
    el_arena_release(&exec->scratch, mark.scratch);
    el_device_arena_release(&exec->device_scratch, mark.device_scratch);
    el_device_arena_release(&exec->pinned, mark.pinned);
}

void el_exec_trim(struct el_exec *exec) {
    if (on_device(exec)) el_stream_sync(&exec->stream);
    el_device_arena_trim(&exec->device_scratch, false);
    el_device_arena_trim(&exec->pinned, false);
    el_arena_done(&exec->scratch);
}

int el_exec_alloc(struct el_exec *exec, enum el_dtype dtype, int64_t rows, int64_t columns,
                  struct el_tensor *ret_tensor) {
    void *data = NULL;
    size_t size;
    if (!el_mul_size((size_t)rows, (size_t)columns, &size) || !el_mul_size(size, el_dtype_size(dtype), &size))
        return el_fail(EL_ENOMEM, "a temporary of %zu x %zu elements does not fit", (size_t)rows,
                       (size_t)columns);
    if (on_device(exec))
        EL_TRY(el_device_arena_alloc(&exec->device_scratch, size, &data));
    else
        EL_TRY(el_arena_alloc(&exec->scratch, size, 1, &data));
    *ret_tensor = el_tensor_2d(dtype, data, rows, columns);
    return 0;
}

int el_exec_upload(struct el_exec *exec, const struct el_tensor *host, struct el_tensor *ret_tensor) {
    if (!on_device(exec)) {
        *ret_tensor = *host;
        return 0;
    }
    const size_t size = (size_t)el_tensor_count(host) * el_dtype_size(host->dtype);
    void *staged, *data;
    EL_TRY(el_device_arena_alloc(&exec->pinned, size, &staged));
    EL_TRY(el_device_arena_alloc(&exec->device_scratch, size, &data));
    memcpy(staged, host->data, size);
    EL_TRY(el_stream_upload(&exec->stream, data, staged, size));
    *ret_tensor = *host;
    ret_tensor->data = data;
    return 0;
}

int el_exec_download(struct el_exec *exec, const struct el_tensor *tensor, void *host) {
    const size_t size = (size_t)el_tensor_count(tensor) * el_dtype_size(tensor->dtype);
    if (!on_device(exec)) {
        if (size > 0) memcpy(host, tensor->data, size);
        return 0;
    }
    void *staged;
    const struct el_device_mark mark = el_device_arena_mark(&exec->pinned);
    int status = el_device_arena_alloc(&exec->pinned, size, &staged);
    if (status == 0) status = el_stream_download(&exec->stream, staged, tensor->data, size);
    if (status == 0) status = el_stream_sync(&exec->stream);
    if (status == 0) memcpy(host, staged, size);
    el_device_arena_release(&exec->pinned, mark);
    return status;
}

int el_exec_sync(struct el_exec *exec) {
    return on_device(exec) ? el_stream_sync(&exec->stream) : 0;
}

int el_exec_settle(struct el_exec *exec, int status) {
    return on_device(exec) ? el_stream_settle(&exec->stream, status) : status;
}

void el_exec_count(struct el_exec *exec, int64_t samples) {
    if (on_device(exec)) el_pool_count_samples(exec->stream.device->pool, (uint64_t)samples);
}
