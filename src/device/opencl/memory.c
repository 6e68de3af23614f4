// SPDX-License-Identifier: Apache-2.0
// Memory of an OpenCL device. OpenCL 1.2 has buffers without addresses; here each gets a piece of the address
// space that is reserved but never readable, so that places in it are found by address and a host access to
// it crashes at once instead of reading something else.
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/opencl/opencl.h"

// ---- regions by address ----

void el_opencl_memory_init(struct el_opencl_memory *memory) {
    *memory = (struct el_opencl_memory){0};
    pthread_rwlock_init(&memory->lock, NULL);
}

void el_opencl_memory_done(struct el_opencl_memory *memory) {
    el_free(memory->regions);
    pthread_rwlock_destroy(&memory->lock);
}

// How many regions begin at or before the address.
static size_t regions_up_to(const struct el_opencl_memory *memory, const char *address) {
    size_t low = 0, high = memory->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uintptr_t)memory->regions[middle].address <= (uintptr_t)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_region(struct el_opencl_memory *memory, const struct el_opencl_region *region) {
    pthread_rwlock_wrlock(&memory->lock);
    int status = el_grow(&memory->regions, sizeof *memory->regions, memory->count, &memory->capacity);
    if (status == 0) {
        const size_t at = regions_up_to(memory, region->address);
        memmove(memory->regions + at + 1, memory->regions + at,
                (memory->count - at) * sizeof *memory->regions);
        memory->regions[at] = *region;
        memory->count++;
    }
    pthread_rwlock_unlock(&memory->lock);
    return status;
}

// False when no region begins at the address.
static bool take_region(struct el_opencl_memory *memory, const void *address,
                        struct el_opencl_region *ret_region) {
    pthread_rwlock_wrlock(&memory->lock);
    const size_t after = regions_up_to(memory, address);
    const bool found = after > 0 && memory->regions[after - 1].address == address;
    if (found) {
        *ret_region = memory->regions[after - 1];
        memmove(memory->regions + after - 1, memory->regions + after,
                (memory->count - after) * sizeof *memory->regions);
        memory->count--;
    }
    pthread_rwlock_unlock(&memory->lock);
    return found;
}

int el_opencl_find(struct el_device *device, const void *address, size_t size,
                   struct el_opencl_place *ret_place) {
    struct el_opencl_memory *memory = &el_opencl_of(device)->memory;
    struct el_opencl_region region = {0};
    pthread_rwlock_rdlock(&memory->lock);
    const size_t after = regions_up_to(memory, address);
    if (after > 0) region = memory->regions[after - 1];
    pthread_rwlock_unlock(&memory->lock);
    const size_t offset = (uintptr_t)address - (uintptr_t)region.address;
    if (!region.buffer || offset >= region.size || size > region.size - offset)
        return el_fail(EL_EINVAL, "%zu bytes at %p are not within an allocation of %s", size, address,
                       device->id);
    *ret_place =
        (struct el_opencl_place){.buffer = region.buffer, .offset = offset, .left = region.size - offset};
    return 0;
}

// ---- the device's memory ----

// At allocation every code that tells of a lack is EL_ENOMEM: nothing has run that could be broken.
static int check_alloc(const struct el_device *device, size_t size, const char *call, cl_int code) {
    switch (code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
        return el_fail(
            EL_ENOMEM, "%s (%s) cannot give %zu bytes: %s answered %s; it gives at most %llu at once",
            device->id, device->facts.name, size, call, el_opencl_code_text(code),
            (unsigned long long)el_opencl_number(&el_opencl_of(device)->api, el_opencl_of(device)->device,
                                                 CL_DEVICE_MAX_MEM_ALLOC_SIZE));
    default:
        return el_opencl_check(device, call, code);
    }
}

// Drivers put allocation off to the first use; moving the buffer to the device is one.
static int make_real(struct el_device *device, size_t size, struct cl_mem *buffer) {
    struct el_opencl *cl = el_opencl_of(device);
    cl_int code = cl->api.clEnqueueMigrateMemObjects(cl->queue, 1, &buffer,
                                                     CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, NULL, NULL);
    if (code != CL_SUCCESS) return check_alloc(device, size, "clEnqueueMigrateMemObjects", code);
    return check_alloc(device, size, "clFinish", cl->api.clFinish(cl->queue));
}

static int open_buffer(struct el_device *device, size_t size, cl_ulong flags, struct cl_mem **ret_buffer) {
    struct el_opencl *cl = el_opencl_of(device);
    cl_int code = CL_SUCCESS;
    struct cl_mem *buffer = cl->api.clCreateBuffer(cl->context, CL_MEM_READ_WRITE | flags, size, NULL, &code);
    if (!buffer) return check_alloc(device, size, "clCreateBuffer", code);
    int status = make_real(device, size, buffer);
    if (status < 0) {
        cl->api.clReleaseMemObject(buffer);
        return status;
    }
    *ret_buffer = buffer;
    return 0;
}

// Some drivers give more than the device has and move it to and fro; that is no memory to compute with.
static int take_bytes(struct el_device *device, size_t size) {
    struct el_opencl_memory *memory = &el_opencl_of(device)->memory;
    const uint64_t total = device->facts.memory;
    const uint64_t before = atomic_fetch_add(&memory->taken, size);
    if (before <= total && size <= total - before) return 0;
    atomic_fetch_sub(&memory->taken, size);
    return el_fail(EL_ENOMEM, "%s (%s) cannot give %zu bytes: it has %llu, and %llu are taken", device->id,
                   device->facts.name, size, (unsigned long long)total, (unsigned long long)before);
}

static int open_region(struct el_device *device, size_t size, struct el_opencl_region *ret_region) {
    struct el_opencl *cl = el_opencl_of(device);
    struct el_opencl_region region = {.size = size};
    void *address = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
        return el_fail(EL_ENOMEM, "cannot reserve %zu bytes of addresses for %s", size, device->id);
    region.address = address;
    int status = open_buffer(device, size, 0, &region.buffer);
    if (status == 0) {
        status = add_region(&cl->memory, &region);
        if (status < 0) cl->api.clReleaseMemObject(region.buffer);
    }
    if (status < 0) {
        munmap(address, size);
        return status;
    }
    *ret_region = region;
    return 0;
}

int el_opencl_alloc(struct el_device *device, size_t size, void **ret_address) {
    struct el_opencl_region region = {0};
    EL_TRY(take_bytes(device, size));
    const int status = open_region(device, size, &region);
    if (status < 0) {
        atomic_fetch_sub(&el_opencl_of(device)->memory.taken, size);
        return status;
    }
    *ret_address = region.address;
    return 0;
}

void el_opencl_free(struct el_device *device, void *address) {
    struct el_opencl *cl = el_opencl_of(device);
    struct el_opencl_region region;
    if (!take_region(&cl->memory, address, &region)) return;
    cl->api.clReleaseMemObject(region.buffer); // once the commands that use it have run
    munmap(region.address, region.size);
    atomic_fetch_sub(&cl->memory.taken, region.size);
}

int el_opencl_memory_info(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free) {
    struct el_opencl *cl = el_opencl_of(device);
    size_t kib[2] = {0}; // free in all, and in the largest piece
    const uint64_t total = device->facts.memory;
    if (el_opencl_has_extension(&cl->api, cl->device, "cl_amd_device_attribute_query") &&
        cl->api.clGetDeviceInfo(cl->device, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD, sizeof kib, kib, NULL) ==
            CL_SUCCESS) {
        *ret_total = total;
        *ret_free = (uint64_t)kib[0] * 1024;
        return 0;
    }
    // OpenCL itself does not tell: what this process took is what is known to be taken.
    const uint64_t taken = atomic_load(&cl->memory.taken);
    *ret_total = total;
    *ret_free = taken < total ? total - taken : 0;
    return 0;
}

// ---- pinned host memory: a buffer in host memory that stays mapped ----

int el_opencl_alloc_pinned(struct el_device *device, size_t size, void **ret_bytes) {
    struct el_opencl *cl = el_opencl_of(device);
    struct el_opencl_region region = {.size = size};
    cl_int code = CL_SUCCESS;
    EL_TRY(open_buffer(device, size, CL_MEM_ALLOC_HOST_PTR, &region.buffer));
    region.address = cl->api.clEnqueueMapBuffer(cl->queue, region.buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                                0, size, 0, NULL, NULL, &code);
    int status = region.address ? add_region(&cl->pinned, &region)
                                : check_alloc(device, size, "clEnqueueMapBuffer", code);
    if (status < 0) {
        cl->api.clReleaseMemObject(region.buffer);
        return status;
    }
    *ret_bytes = region.address;
    return 0;
}

void el_opencl_free_pinned(struct el_device *device, void *bytes) {
    struct el_opencl *cl = el_opencl_of(device);
    struct el_opencl_region region;
    if (!take_region(&cl->pinned, bytes, &region)) return;
    cl->api.clEnqueueUnmapMemObject(cl->queue, region.buffer, region.address, 0, NULL, NULL);
    cl->api.clReleaseMemObject(region.buffer);
}
