// SPDX-License-Identifier: Apache-2.0
// What the files of the OpenCL back-end share: the list of devices (devices.c), memory behind addresses
// (memory.c), programs (program.c), queues (stream.c).
#ifndef EL_DEVICE_OPENCL_H
#define EL_DEVICE_OPENCL_H

#include <pthread.h>

#include "device/device.h"
#include "device/opencl/api.h"

// ---- devices of all platforms ----

enum { EL_OPENCL_MAX_DEVICES = 64 };

struct el_opencl_list {
    struct cl_device *devices[EL_OPENCL_MAX_DEVICES]; // GPUs and accelerators, then processors
    int count;
};

// EL_EUNSUPPORTED when no platform is there.
int el_opencl_list(const struct el_opencl_api *api, struct el_opencl_list *ret_list);
// A number of 4 or 8 bytes; 0 when the driver does not say.
uint64_t el_opencl_number(const struct el_opencl_api *api, struct cl_device *device, cl_uint what);
bool el_opencl_has_extension(const struct el_opencl_api *api, struct cl_device *device, const char *name);
void el_opencl_facts(const struct el_opencl_api *api, struct cl_device *device,
                     struct el_device_facts *ret_facts);

// ---- memory ----

// An allocation: a reserved piece of the address space, and the driver's buffer that it stands for.
struct el_opencl_region {
    char *address;
    size_t size; // bytes
    struct cl_mem *buffer;
};

struct el_opencl_memory {
    pthread_rwlock_t lock;
    struct el_opencl_region *regions; // by address
    size_t count, capacity;
    _Atomic uint64_t taken; // bytes of all regions, and of those being made
};

// A place in a buffer of the driver's.
struct el_opencl_place {
    struct cl_mem *buffer;
    size_t offset, left; // bytes before it and from it on
};

// ---- an open device: device->state ----

struct el_opencl_program {
    struct cl_program *program; // NULL until the store is used
    char *kernels;              // ";linear_f32;layer_norm_f32;"
    char *failure;              // why it does not compile; NULL unless that was tried
};

struct el_opencl {
    struct el_opencl_api api;
    struct cl_device *device;
    struct cl_context *context;
    struct cl_queue *queue; // for what belongs to no stream: making allocations real, mapping
    struct el_opencl_memory memory, pinned;
    pthread_mutex_t build_lock;
    struct el_opencl_program programs[EL_STORE_COUNT];
};

static inline struct el_opencl *el_opencl_of(const struct el_device *device) {
    return (struct el_opencl *)device->state;
}

// Turns a code of `call` into ours; 0 for CL_SUCCESS.
int el_opencl_check(const struct el_device *device, const char *call, cl_int code);
int el_opencl_queue_open(const struct el_device *device, struct cl_queue **ret_queue);

void el_opencl_memory_init(struct el_opencl_memory *memory);
void el_opencl_memory_done(struct el_opencl_memory *memory);
int el_opencl_alloc(struct el_device *device, size_t size, void **ret_address);
void el_opencl_free(struct el_device *device, void *address);
int el_opencl_alloc_pinned(struct el_device *device, size_t size, void **ret_bytes);
void el_opencl_free_pinned(struct el_device *device, void *bytes);
int el_opencl_memory_info(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free);
// The buffer behind `size` bytes at an address; EL_EINVAL when they are not within one allocation. Any
// thread; the buffer stays as long as the caller keeps the allocation.
int el_opencl_find(struct el_device *device, const void *address, size_t size,
                   struct el_opencl_place *ret_place);

// The program of a store, built when first asked for. EL_EUNSUPPORTED carries the compiler's log.
int el_opencl_program(const struct el_device *device, enum el_store store,
                      const struct el_opencl_program **ret_program);
bool el_opencl_has(const struct el_device *device, enum el_kernel kernel, enum el_store store);
void el_opencl_programs_done(struct el_opencl *cl);

// ---- the vtable's rows of stream.c: backend.h says what they do ----

int el_opencl_stream_open(struct el_device *device, struct el_stream *stream);
void el_opencl_stream_close(struct el_stream *stream);
int el_opencl_upload(struct el_stream *stream, void *to, const void *host, size_t size);
int el_opencl_download(struct el_stream *stream, void *host, const void *from, size_t size);
int el_opencl_copy(struct el_stream *stream, void *to, const void *from, size_t size);
int el_opencl_launch(struct el_stream *stream, const struct el_launch *launch);
int el_opencl_sync(struct el_stream *stream);
int el_opencl_event_open(struct el_device *device, struct el_event *event);
void el_opencl_event_close(struct el_event *event);
int el_opencl_record(struct el_stream *stream, struct el_event *event);
int el_opencl_wait(struct el_stream *stream, struct el_event *event);
int el_opencl_elapsed(struct el_event *from, struct el_event *to, uint64_t *ret_ns);

#endif
