// SPDX-License-Identifier: Apache-2.0
// The CUDA back-end, by the driver API alone: what devices there are, opening one, its memory. Streams and
// events are in stream.c, kernels in kernels.c. A device has a context of its own, not the process's
// primary one, so that after an error that kills contexts it can be closed and opened again.
#include "device/cuda/cuda.h"

#include <ctype.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

enum { LEAST_CAPABILITY = 70 }; // what the PTX is made for; Volta, 2017

static int cuda_count(int *ret_count) {
    struct el_cuda_api api;
    EL_TRY(el_cuda_load(&api));
    int count = 0;
    CUresult result = api.cuDeviceGetCount(&count);
    // A driver that found no device at its start says that it was not initialised.
    if (result == CUDA_ERROR_NO_DEVICE || result == CUDA_ERROR_NOT_INITIALIZED)
        count = 0;
    else
        EL_TRY(el_cuda_check(&api, "CUDA", "cuDeviceGetCount", result));
    *ret_count = count;
    return 0;
}

// ---- facts ----

static void print_uuid(const CUuuid *uuid, char *ret_text, size_t size) {
    char hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)uuid->bytes[i]);
    snprintf(ret_text, size, "GPU-%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

// The numbers that come as attributes.
static int read_attributes(const struct el_cuda_api *api, const char *who, CUdevice handle,
                           struct el_device_facts *facts) {
    int major, minor, engines;
    const struct {
        CUdevice_attribute attribute;
        int *ret_value;
    } wanted[] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &facts->units},
        {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, &engines},
    };
    for (size_t i = 0; i < EL_COUNT(wanted); i++)
        EL_TRY(el_cuda_check(api, who, "cuDeviceGetAttribute",
                             api->cuDeviceGetAttribute(wanted[i].ret_value, wanted[i].attribute, handle)));
    facts->capability = 10 * major + minor;
    facts->overlaps_copies = engines > 0;
    return 0;
}

static int cuda_describe(int index, struct el_device_facts *ret_facts) {
    struct el_cuda_api api;
    struct el_device_facts facts = {0};
    CUdevice handle;
    CUuuid uuid;
    char who[32];
    size_t memory;
    int version;
    snprintf(who, sizeof who, "cuda:%d", index);
    EL_TRY(el_cuda_load(&api));
    EL_TRY(el_cuda_check(&api, who, "cuDeviceGet", api.cuDeviceGet(&handle, index)));
    EL_TRY(el_cuda_check(&api, who, "cuDeviceGetName",
                         api.cuDeviceGetName(facts.name, sizeof facts.name, handle)));
    EL_TRY(el_cuda_check(&api, who, "cuDeviceGetPCIBusId",
                         api.cuDeviceGetPCIBusId(facts.pci, sizeof facts.pci, handle)));
    EL_TRY(el_cuda_check(&api, who, "cuDeviceGetUuid", api.cuDeviceGetUuid(&uuid, handle)));
    EL_TRY(el_cuda_check(&api, who, "cuDeviceTotalMem", api.cuDeviceTotalMem(&memory, handle)));
    EL_TRY(el_cuda_check(&api, who, "cuDriverGetVersion", api.cuDriverGetVersion(&version)));
    EL_TRY(read_attributes(&api, who, handle, &facts));
    facts.memory = memory;
    for (char *c = facts.pci; *c; c++) // nvidia-smi's digits are capitals, the system's in /sys are not
        *c = (char)tolower((unsigned char)*c);
    print_uuid(&uuid, facts.uuid, sizeof facts.uuid);
    if (facts.capability < LEAST_CAPABILITY)
        snprintf(facts.unfit, sizeof facts.unfit, "compute capability %d.%d; 7.0 is needed",
                 facts.capability / 10, facts.capability % 10);
    snprintf(facts.driver, sizeof facts.driver, "CUDA %d.%d", version / 1000, version % 1000 / 10);
    *ret_facts = facts;
    return 0;
}

// ---- opening ----

static void cuda_close(struct el_device *device) {
    struct el_cuda_device *cuda = device->state;
    if (!cuda) return;
    if (cuda->context) cuda->api.cuCtxDestroy(cuda->context); // with all that is in it
    el_free(cuda);
    device->state = NULL;
}

static int open_context(struct el_device *device) {
    struct el_cuda_device *cuda = device->state;
    EL_TRY(el_cuda_load(&cuda->api));
    EL_TRY(el_cuda_check(&cuda->api, device->id, "cuDeviceGet",
                         cuda->api.cuDeviceGet(&cuda->handle, device->index)));
    EL_TRY(el_cuda_check(&cuda->api, device->id, "cuCtxCreate",
                         cuda->api.cuCtxCreate(&cuda->context, CU_CTX_SCHED_AUTO, cuda->handle)));
    return el_cuda_load_kernels(device);
}

static int cuda_open(struct el_device *device) {
    EL_TRY(el_zalloc(1, sizeof(struct el_cuda_device), &device->state));
    int status = open_context(device);
    if (status < 0) cuda_close(device);
    return status;
}

int el_cuda_enter(struct el_device *device, struct el_cuda_device **ret_cuda) {
    struct el_cuda_device *cuda = device->state;
    EL_TRY(
        el_cuda_check(&cuda->api, device->id, "cuCtxSetCurrent", cuda->api.cuCtxSetCurrent(cuda->context)));
    *ret_cuda = cuda;
    return 0;
}

static bool cuda_has(const struct el_device *device, enum el_kernel kernel, enum el_store store) {
    const struct el_cuda_device *cuda = device->state;
    return cuda->functions[kernel][store] != NULL;
}

// ---- memory ----

static int cuda_memory(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free) {
    struct el_cuda_device *cuda;
    size_t total, available;
    EL_TRY(el_cuda_enter(device, &cuda));
    EL_TRY(el_cuda_check(&cuda->api, device->id, "cuMemGetInfo", cuda->api.cuMemGetInfo(&available, &total)));
    *ret_total = total;
    *ret_free = available;
    return 0;
}

static int cuda_alloc(struct el_device *device, size_t size, void **ret_address) {
    struct el_cuda_device *cuda;
    CUdeviceptr address;
    EL_TRY(el_cuda_enter(device, &cuda));
    int status = el_cuda_check(&cuda->api, device->id, "cuMemAlloc", cuda->api.cuMemAlloc(&address, size));
    if (status < 0) return el_fail_in(status, "%zu bytes of device memory", size);
    *ret_address = (void *)(uintptr_t)address;
    return 0;
}

static void cuda_free(struct el_device *device, void *address) {
    struct el_cuda_device *cuda;
    if (el_cuda_enter(device, &cuda) == 0) cuda->api.cuMemFree((CUdeviceptr)(uintptr_t)address);
}

static int cuda_alloc_pinned(struct el_device *device, size_t size, void **ret_bytes) {
    struct el_cuda_device *cuda;
    void *bytes;
    EL_TRY(el_cuda_enter(device, &cuda));
    int status = el_cuda_check(&cuda->api, device->id, "cuMemHostAlloc",
                               cuda->api.cuMemHostAlloc(&bytes, size, CU_MEMHOSTALLOC_PORTABLE));
    if (status < 0) return el_fail_in(status, "%zu bytes of pinned host memory", size);
    *ret_bytes = bytes;
    return 0;
}

static void cuda_free_pinned(struct el_device *device, void *bytes) {
    struct el_cuda_device *cuda;
    if (el_cuda_enter(device, &cuda) == 0) cuda->api.cuMemFreeHost(bytes);
}

extern const struct el_backend el_backend_cuda;
const struct el_backend el_backend_cuda = {
    .name = "cuda",
    .count = cuda_count,
    .describe = cuda_describe,
    .open = cuda_open,
    .close = cuda_close,
    .has = cuda_has,
    .memory = cuda_memory,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .alloc_pinned = cuda_alloc_pinned,
    .free_pinned = cuda_free_pinned,
    .stream_open = el_cuda_stream_open,
    .stream_close = el_cuda_stream_close,
    .upload = el_cuda_upload,
    .download = el_cuda_download,
    .copy = el_cuda_copy,
    .launch = el_cuda_launch,
    .sync = el_cuda_sync,
    .capture = el_cuda_capture,
    .capture_end = el_cuda_capture_end,
    .replay = el_cuda_replay,
    .graph_close = el_cuda_graph_close,
    .event_open = el_cuda_event_open,
    .event_close = el_cuda_event_close,
    .record = el_cuda_record,
    .wait = el_cuda_wait,
    .elapsed = el_cuda_elapsed,
};
