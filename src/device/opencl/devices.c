// SPDX-License-Identifier: Apache-2.0
// OpenCL's devices of all platforms in one order, and what each says of itself.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/opencl/opencl.h"

enum { MAX_PLATFORMS = 16, TEXT_SIZE = 8192 };

// ---- the list ----

static void platform_name(const struct el_opencl_api *api, struct cl_platform *platform, char *ret_name,
                          size_t size) {
    if (api->clGetPlatformInfo(platform, CL_PLATFORM_NAME, size, ret_name, NULL) != CL_SUCCESS)
        ret_name[0] = '\0';
}

static bool is_usable(const struct el_opencl_api *api, struct cl_device *device) {
    return el_opencl_number(api, device, CL_DEVICE_AVAILABLE) &&
           el_opencl_number(api, device, CL_DEVICE_COMPILER_AVAILABLE);
}

static void add_devices(const struct el_opencl_api *api, struct cl_platform *platform, cl_ulong types,
                        struct el_opencl_list *list) {
    struct cl_device *devices[EL_OPENCL_MAX_DEVICES];
    cl_uint count = 0;
    if (api->clGetDeviceIDs(platform, types, EL_COUNT(devices), devices, &count) != CL_SUCCESS) return;
    count = EL_MIN(count, EL_COUNT(devices));
    for (cl_uint i = 0; i < count && list->count < EL_OPENCL_MAX_DEVICES; i++)
        if (is_usable(api, devices[i])) list->devices[list->count++] = devices[i];
}

struct platform {
    struct cl_platform *platform;
    char name[128];
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct platform *)a)->name, ((const struct platform *)b)->name);
}

// Sorted by name, since loaders give them in the order in which a folder happens to list its files.
static int list_platforms(const struct el_opencl_api *api, struct platform *ret_platforms,
                          cl_uint *ret_count) {
    struct cl_platform *platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    cl_int code = api->clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    if (code == CL_PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && count == 0))
        return el_fail(EL_EUNSUPPORTED, "libOpenCL.so.1 is there, but no driver is registered with it (in "
                                        "/etc/OpenCL/vendors): install the GPU maker's, or PoCL");
    if (code != CL_SUCCESS)
        return el_fail(EL_EUNSUPPORTED, "clGetPlatformIDs failed with %s (%d)", el_opencl_code_text(code),
                       code);
    count = EL_MIN(count, MAX_PLATFORMS);
    for (cl_uint i = 0; i < count; i++) {
        ret_platforms[i].platform = platforms[i];
        platform_name(api, platforms[i], ret_platforms[i].name, sizeof ret_platforms[i].name);
    }
    qsort(ret_platforms, count, sizeof *ret_platforms, by_name);
    *ret_count = count;
    return 0;
}

int el_opencl_list(const struct el_opencl_api *api, struct el_opencl_list *ret_list) {
    struct platform platforms[MAX_PLATFORMS];
    struct el_opencl_list list = {0};
    cl_uint count = 0;
    EL_TRY(list_platforms(api, platforms, &count));
    for (cl_uint i = 0; i < count; i++)
        add_devices(api, platforms[i].platform, CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR, &list);
    for (cl_uint i = 0; i < count; i++)
        add_devices(api, platforms[i].platform, CL_DEVICE_TYPE_CPU, &list);
    *ret_list = list;
    return 0;
}

// ---- facts ----

uint64_t el_opencl_number(const struct el_opencl_api *api, struct cl_device *device, cl_uint what) {
    unsigned char bytes[sizeof(uint64_t)] = {0};
    size_t size = 0;
    uint64_t value = 0;
    if (api->clGetDeviceInfo(device, what, sizeof bytes, bytes, &size) != CL_SUCCESS) return 0;
    if (size == sizeof(uint64_t)) {
        memcpy(&value, bytes, sizeof value);
    } else {
        uint32_t half;
        memcpy(&half, bytes, sizeof half);
        value = half;
    }
    return value;
}

// "" when the driver does not say, or says more than fits.
static void read_text(const struct el_opencl_api *api, struct cl_device *device, cl_uint what, char *ret_text,
                      size_t size) {
    if (api->clGetDeviceInfo(device, what, size, ret_text, NULL) != CL_SUCCESS) ret_text[0] = '\0';
    ret_text[size - 1] = '\0';
}

bool el_opencl_has_extension(const struct el_opencl_api *api, struct cl_device *device, const char *name) {
    char text[TEXT_SIZE];
    read_text(api, device, CL_DEVICE_EXTENSIONS, text, sizeof text);
    const size_t length = strlen(name);
    for (const char *word = text; (word = strstr(word, name)); word += length)
        if ((word == text || word[-1] == ' ') && (word[length] == ' ' || word[length] == '\0')) return true;
    return false;
}

// "OpenCL 3.0, NVIDIA CUDA 535.54": the version of the language, the platform and its own.
static void driver_text(const struct el_opencl_api *api, struct cl_device *device,
                        struct el_device_facts *facts) {
    char version[256], driver[64], name[128] = "";
    struct cl_platform *platform = NULL;
    read_text(api, device, CL_DEVICE_VERSION, version, sizeof version);
    read_text(api, device, CL_DRIVER_VERSION, driver, sizeof driver);
    if (api->clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof(void *), &platform, NULL) == CL_SUCCESS)
        platform_name(api, platform, name, sizeof name);
    snprintf(facts->driver, sizeof facts->driver, "%.10s, %.44s %.36s", version, name, driver);
}

static void pci_text(const struct el_opencl_api *api, struct cl_device *device,
                     struct el_device_facts *facts) {
    struct {
        cl_uint domain, bus, slot, function;
    } at = {0};
    if (el_opencl_has_extension(api, device, "cl_khr_pci_bus_info")) {
        if (api->clGetDeviceInfo(device, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof at, &at, NULL) != CL_SUCCESS)
            return;
    } else if (el_opencl_has_extension(api, device, "cl_nv_device_attribute_query")) {
        at.domain = (cl_uint)el_opencl_number(api, device, CL_DEVICE_PCI_DOMAIN_ID_NV);
        at.bus = (cl_uint)el_opencl_number(api, device, CL_DEVICE_PCI_BUS_ID_NV);
        const cl_uint slot = (cl_uint)el_opencl_number(api, device, CL_DEVICE_PCI_SLOT_ID_NV);
        at.slot = slot >> 3;
        at.function = slot & 7;
    } else if (el_opencl_has_extension(api, device, "cl_amd_device_attribute_query")) {
        unsigned char topology[24]; // u32 type (1: PCIe), 17 unused, bus, device, function
        if (api->clGetDeviceInfo(device, CL_DEVICE_TOPOLOGY_AMD, sizeof topology, topology, NULL) !=
            CL_SUCCESS)
            return;
        at.bus = topology[21];
        at.slot = topology[22];
        at.function = topology[23];
    } else {
        return;
    }
    snprintf(facts->pci, sizeof facts->pci, "%04x:%02x:%02x.%x", at.domain, at.bus, at.slot, at.function);
}

static void uuid_text(const struct el_opencl_api *api, struct cl_device *device,
                      struct el_device_facts *facts) {
    unsigned char b[16];
    if (!el_opencl_has_extension(api, device, "cl_khr_device_uuid") ||
        api->clGetDeviceInfo(device, CL_DEVICE_UUID_KHR, sizeof b, b, NULL) != CL_SUCCESS)
        return;
    snprintf(facts->uuid, sizeof facts->uuid,
             "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
             b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void el_opencl_facts(const struct el_opencl_api *api, struct cl_device *device,
                     struct el_device_facts *ret_facts) {
    struct el_device_facts facts = {
        .memory = el_opencl_number(api, device, CL_DEVICE_GLOBAL_MEM_SIZE),
        .units = (int)el_opencl_number(api, device, CL_DEVICE_MAX_COMPUTE_UNITS),
        .is_processor = el_opencl_number(api, device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU,
        .overlaps_copies = !el_opencl_number(api, device, CL_DEVICE_HOST_UNIFIED_MEMORY),
    };
    if (el_opencl_has_extension(api, device, "cl_amd_device_attribute_query"))
        read_text(api, device, CL_DEVICE_BOARD_NAME_AMD, facts.name, sizeof facts.name);
    if (!facts.name[0]) read_text(api, device, CL_DEVICE_NAME, facts.name, sizeof facts.name);
    driver_text(api, device, &facts);
    pci_text(api, device, &facts);
    uuid_text(api, device, &facts);
    *ret_facts = facts;
}
