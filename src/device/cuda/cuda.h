// SPDX-License-Identifier: Apache-2.0
// What the files of the CUDA back-end share: a device that is open. Nobody else includes this.
#ifndef EL_DEVICE_CUDA_H
#define EL_DEVICE_CUDA_H

#include "device/cuda/api.h"
#include "device/device.h"

struct el_cuda_device {
    struct el_cuda_api api;
    CUdevice handle;
    CUcontext context;
    CUfunction functions[EL_KERNEL_COUNT][EL_STORE_COUNT]; // NULL where the device has none
};

// Makes the device's context current for the calling thread, as each call of the driver needs it.
int el_cuda_enter(struct el_device *device, struct el_cuda_device **ret_cuda);

// Loads the kernels that the device can run, compiled by the driver for it (which it remembers on disk).
int el_cuda_load_kernels(struct el_device *device);

int el_cuda_stream_open(struct el_device *device, struct el_stream *stream);
void el_cuda_stream_close(struct el_stream *stream);
int el_cuda_upload(struct el_stream *stream, void *to, const void *host, size_t size);
int el_cuda_download(struct el_stream *stream, void *host, const void *from, size_t size);
int el_cuda_copy(struct el_stream *stream, void *to, const void *from, size_t size);
int el_cuda_launch(struct el_stream *stream, const struct el_launch *launch);
int el_cuda_sync(struct el_stream *stream);

int el_cuda_capture(struct el_stream *stream);
int el_cuda_capture_end(struct el_stream *stream, void **ret_graph);
int el_cuda_replay(struct el_stream *stream, void *graph);
void el_cuda_graph_close(struct el_device *device, void *graph);

int el_cuda_event_open(struct el_device *device, struct el_event *event);
void el_cuda_event_close(struct el_event *event);
int el_cuda_record(struct el_stream *stream, struct el_event *event);
int el_cuda_wait(struct el_stream *stream, struct el_event *event);
int el_cuda_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns);

#endif
