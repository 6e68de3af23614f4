// SPDX-License-Identifier: Apache-2.0
// The OpenCL 1.2 back-end: any maker's GPU that has a driver for it, and processors through PoCL. Here are
// its codes, opening and closing, and the vtable; opencl.h says where the rest is.
#include "device/opencl/opencl.h"
#include "base/error.h"
#include "base/mem.h"

enum { MAX_LANES = 256 };

// ---- codes ----

static int status_of(cl_int code) {
    switch (code) {
    case CL_SUCCESS:
        return 0;
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_OUT_OF_RESOURCES:
        return EL_ENOMEM;
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
    case CL_INVALID_DEVICE:
    case CL_INVALID_CONTEXT:
    case CL_INVALID_COMMAND_QUEUE:
        return EL_ELOST;
    case CL_COMPILER_NOT_AVAILABLE:
    case CL_BUILD_PROGRAM_FAILURE:
    case CL_INVALID_KERNEL_NAME:
        return EL_EUNSUPPORTED;
    default:
        return code <= CL_INVALID_VALUE && code > CL_PLATFORM_NOT_FOUND_KHR ? EL_EINVAL : EL_EIO;
    }
}

int el_opencl_check(const struct el_device *device, const char *call, cl_int code) {
    const int status = status_of(code);
    if (status == 0) return 0;
    return el_fail(status, "%s (%s): %s answered %s (%d)", device->id, device->facts.name, call,
                   el_opencl_code_text(code), code);
}

// ---- devices ----

static int opencl_count(int *ret_count) {
    struct el_opencl_api api;
    struct el_opencl_list list;
    EL_TRY(el_opencl_load(&api));
    EL_TRY(el_opencl_list(&api, &list));
    *ret_count = list.count;
    return 0;
}

static int find_device(const struct el_opencl_api *api, int index, struct cl_device **ret_device) {
    struct el_opencl_list list;
    EL_TRY(el_opencl_list(api, &list));
    if (index < 0 || index >= list.count)
        return el_fail(EL_ENOENT, "no device opencl:%d; there are %d of them, numbered from 0", index,
                       list.count);
    *ret_device = list.devices[index];
    return 0;
}

static int opencl_describe(int index, struct el_device_facts *ret_facts) {
    struct el_opencl_api api;
    struct cl_device *found = NULL;
    EL_TRY(el_opencl_load(&api));
    EL_TRY(find_device(&api, index, &found));
    el_opencl_facts(&api, found, ret_facts);
    return 0;
}

// What our kernels and addresses ask of a device.
static int check_device(const struct el_device *device) {
    struct el_opencl *cl = el_opencl_of(device);
    const uint64_t lanes = el_opencl_number(&cl->api, cl->device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    const uint64_t align = el_opencl_number(&cl->api, cl->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    if (lanes < MAX_LANES)
        return el_fail(EL_EUNSUPPORTED, "%s (%s) runs at most %d work items in a group; eleanor needs %d",
                       device->id, device->facts.name, (int)lanes, MAX_LANES);
    if (align > EL_DEVICE_ALIGN)
        return el_fail(EL_EUNSUPPORTED, "%s (%s) wants buffers aligned to %d bytes; eleanor aligns to %d",
                       device->id, device->facts.name, (int)align, EL_DEVICE_ALIGN);
    return 0;
}

int el_opencl_queue_open(const struct el_device *device, struct cl_queue **ret_queue) {
    struct el_opencl *cl = el_opencl_of(device);
    cl_int code = CL_SUCCESS;
    struct cl_queue *queue =
        cl->api.clCreateCommandQueue(cl->context, cl->device, CL_QUEUE_PROFILING_ENABLE, &code);
    if (!queue) return el_opencl_check(device, "clCreateCommandQueue", code);
    *ret_queue = queue;
    return 0;
}

static int open_context(const struct el_device *device) {
    struct el_opencl *cl = el_opencl_of(device);
    cl_int code = CL_SUCCESS;
    EL_TRY(el_opencl_load(&cl->api));
    EL_TRY(find_device(&cl->api, device->index, &cl->device));
    EL_TRY(check_device(device));
    cl->context = cl->api.clCreateContext(NULL, 1, &cl->device, NULL, NULL, &code);
    if (!cl->context) return el_opencl_check(device, "clCreateContext", code);
    return el_opencl_queue_open(device, &cl->queue);
}

static void opencl_close(struct el_device *device) {
    struct el_opencl *cl = el_opencl_of(device);
    if (!cl) return;
    el_opencl_programs_done(cl);
    if (cl->queue) cl->api.clReleaseCommandQueue(cl->queue);
    if (cl->context) cl->api.clReleaseContext(cl->context);
    el_opencl_memory_done(&cl->memory);
    el_opencl_memory_done(&cl->pinned);
    pthread_mutex_destroy(&cl->build_lock);
    el_free(cl);
    device->state = NULL;
}

static int opencl_open(struct el_device *device) {
    struct el_opencl *cl = NULL;
    EL_TRY(el_zalloc(1, sizeof *cl, &cl));
    el_opencl_memory_init(&cl->memory);
    el_opencl_memory_init(&cl->pinned);
    pthread_mutex_init(&cl->build_lock, NULL);
    device->state = cl;
    const int status = open_context(device);
    if (status < 0) opencl_close(device);
    return status;
}

extern const struct el_backend el_backend_opencl;
const struct el_backend el_backend_opencl = {
    .name = "opencl",
    .count = opencl_count,
    .describe = opencl_describe,
    .open = opencl_open,
    .close = opencl_close,
    .has = el_opencl_has,
    .memory = el_opencl_memory_info,
    .alloc = el_opencl_alloc,
    .free = el_opencl_free,
    .alloc_pinned = el_opencl_alloc_pinned,
    .free_pinned = el_opencl_free_pinned,
    .stream_open = el_opencl_stream_open,
    .stream_close = el_opencl_stream_close,
    .upload = el_opencl_upload,
    .download = el_opencl_download,
    .copy = el_opencl_copy,
    .launch = el_opencl_launch,
    .sync = el_opencl_sync,
    .event_open = el_opencl_event_open,
    .event_close = el_opencl_event_close,
    .record = el_opencl_record,
    .wait = el_opencl_wait,
    .elapsed = el_opencl_elapsed,
};
