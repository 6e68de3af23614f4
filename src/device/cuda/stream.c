// SPDX-License-Identifier: Apache-2.0
// Streams, graphs and events of the CUDA back-end: each function makes the context current and queues one
// thing.
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/cuda/cuda.h"

enum { MAX_ARGS = 16 }; // of a kernel

static CUdeviceptr address_of(const void *address) {
    return (CUdeviceptr)(uintptr_t)address;
}

int el_cuda_stream_open(struct el_device *device, struct el_stream *stream) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(device, &cuda));
    CUstream handle;
    // Non-blocking: it shall not wait for the default stream, which other code in the process may use.
    EL_TRY(el_cuda_check(&cuda->api, device->id, "cuStreamCreate",
                         cuda->api.cuStreamCreate(&handle, CU_STREAM_NON_BLOCKING)));
    stream->state = handle;
    return 0;
}

void el_cuda_stream_close(struct el_stream *stream) {
    struct el_cuda_device *cuda;
    if (el_cuda_enter(stream->device, &cuda) == 0) cuda->api.cuStreamDestroy(stream->state);
}

int el_cuda_upload(struct el_stream *stream, void *to, const void *host, size_t size) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuMemcpyHtoDAsync",
                         cuda->api.cuMemcpyHtoDAsync(address_of(to), host, size, stream->state));
}

int el_cuda_download(struct el_stream *stream, void *host, const void *from, size_t size) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuMemcpyDtoHAsync",
                         cuda->api.cuMemcpyDtoHAsync(host, address_of(from), size, stream->state));
}

int el_cuda_copy(struct el_stream *stream, void *to, const void *from, size_t size) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuMemcpyDtoDAsync",
                         cuda->api.cuMemcpyDtoDAsync(address_of(to), address_of(from), size, stream->state));
}

int el_cuda_launch(struct el_stream *stream, const struct el_launch *launch) {
    const struct el_device *device = stream->device;
    const struct el_kernel_info *kernel = &el_kernels[launch->kernel];
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    CUfunction function = cuda->functions[launch->kernel][launch->store];
    if (!function)
        return el_fail(EL_EUNSUPPORTED, "%s (capability %d.%d) has no kernel %s_%s", device->id,
                       device->facts.capability / 10, device->facts.capability % 10, kernel->name,
                       el_store_text[launch->store]);
    if ((size_t)launch->arg_count != strlen(kernel->args) || launch->arg_count > MAX_ARGS)
        return el_fail(EL_EINVAL, "%s: %s takes the arguments \"%s\", not %d of them", device->id,
                       kernel->name, kernel->args, launch->arg_count);
    void *args[MAX_ARGS]; // where each value lies; the members of the union all begin there
    for (int i = 0; i < launch->arg_count; i++)
        args[i] = (void *)(uintptr_t)&launch->args[i].memory;
    const int *groups = launch->groups;
    CUresult result =
        cuda->api.cuLaunchKernel(function, (unsigned)groups[0], (unsigned)groups[1], (unsigned)groups[2],
                                 (unsigned)kernel->lanes, 1, 1, 0, stream->state, args, NULL);
    int status = el_cuda_check(&cuda->api, device->id, "cuLaunchKernel", result);
    return status < 0 ? el_fail_in(status, "%s_%s", kernel->name, el_store_text[launch->store]) : 0;
}

int el_cuda_sync(struct el_stream *stream) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuStreamSynchronize",
                         cuda->api.cuStreamSynchronize(stream->state));
}

// ---- graphs ----

int el_cuda_capture(struct el_stream *stream) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuStreamBeginCapture",
                         cuda->api.cuStreamBeginCapture(stream->state, CU_STREAM_CAPTURE_MODE_RELAXED));
}

int el_cuda_capture_end(struct el_stream *stream, void **ret_graph) {
    const char *id = stream->device->id;
    struct el_cuda_device *cuda;
    CUgraph graph = NULL;
    CUgraphExec executable;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    EL_TRY(el_cuda_check(&cuda->api, id, "cuStreamEndCapture",
                         cuda->api.cuStreamEndCapture(stream->state, &graph)));
    int status = el_cuda_check(&cuda->api, id, "cuGraphInstantiate",
                               cuda->api.cuGraphInstantiate(&executable, graph, NULL, NULL, 0));
    cuda->api.cuGraphDestroy(graph); // the executable has a copy
    if (status == 0) *ret_graph = executable;
    return status;
}

int el_cuda_replay(struct el_stream *stream, void *graph) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuGraphLaunch",
                         cuda->api.cuGraphLaunch(graph, stream->state));
}

void el_cuda_graph_close(struct el_device *device, void *graph) {
    struct el_cuda_device *cuda;
    if (el_cuda_enter(device, &cuda) == 0) cuda->api.cuGraphExecDestroy(graph);
}

// ---- events ----

int el_cuda_event_open(struct el_device *device, struct el_event *event) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(device, &cuda));
    CUevent handle;
    EL_TRY(el_cuda_check(&cuda->api, device->id, "cuEventCreate",
                         cuda->api.cuEventCreate(&handle, CU_EVENT_DEFAULT)));
    event->state = handle;
    return 0;
}

void el_cuda_event_close(struct el_event *event) {
    struct el_cuda_device *cuda;
    if (el_cuda_enter(event->device, &cuda) == 0) cuda->api.cuEventDestroy(event->state);
}

int el_cuda_record(struct el_stream *stream, struct el_event *event) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuEventRecord",
                         cuda->api.cuEventRecord(event->state, stream->state));
}

int el_cuda_wait(struct el_stream *stream, struct el_event *event) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(stream->device, &cuda));
    return el_cuda_check(&cuda->api, stream->device->id, "cuStreamWaitEvent",
                         cuda->api.cuStreamWaitEvent(stream->state, event->state, 0));
}

int el_cuda_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns) {
    struct el_cuda_device *cuda;
    EL_TRY(el_cuda_enter(from->device, &cuda));
    float milliseconds;
    EL_TRY(el_cuda_check(&cuda->api, from->device->id, "cuEventElapsedTime",
                         cuda->api.cuEventElapsedTime(&milliseconds, from->state, to->state)));
    *ret_ns = (uint64_t)((double)milliseconds * 1e6);
    return 0;
}
