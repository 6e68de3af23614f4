// SPDX-License-Identifier: Apache-2.0
// NVML by dlopen: what GPUs are and how they are joined, asked once, when it is opened.
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/dl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "topo/nvml_parts.h"

const char *const el_gpu_path_text[] = {"?", "X", "PIX", "PXB", "PHB", "NODE", "SYS"};

// ---- opening ----

static const struct el_dl_symbol symbols[] = {
#define NVML(name, optional, parameters) {#name, offsetof(struct el_nvml_api, name), optional},
#include "topo/nvml_api.def"
#undef NVML
};

static int check(const char *call, nvmlReturn_t result) {
    switch (result) {
    case NVML_SUCCESS:
        return 0;
    case NVML_ERROR_DRIVER_NOT_LOADED:
        return el_fail(EL_EUNSUPPORTED, "libnvidia-ml.so.1 is there, but NVIDIA's driver is not loaded");
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return el_fail(EL_EUNSUPPORTED, "libnvidia-ml.so.1 is of another version than NVIDIA's driver in the "
                                        "kernel; after an update the machine must be restarted");
    case NVML_ERROR_NO_PERMISSION:
        return el_fail(EL_EUNSUPPORTED, "%s: no permission to use NVIDIA's driver", call);
    case NVML_ERROR_GPU_IS_LOST:
        return el_fail(EL_ELOST, "%s: the GPU has fallen off the bus", call);
    default:
        return el_fail(EL_EIO, "%s: NVML error %d", call, result);
    }
}

static struct el_nvlink nvlink_of(const struct el_nvml_api *api, nvmlDevice_t handle, unsigned place) {
    struct el_nvlink link = {0};
    nvmlEnableState_t state = NVML_FEATURE_DISABLED;
    nvmlIntNvLinkDeviceType_t type = NVML_NVLINK_DEVICE_TYPE_UNKNOWN;
    nvmlPciInfo_t pci;
    if (!api->nvmlDeviceGetNvLinkState ||
        api->nvmlDeviceGetNvLinkState(handle, place, &state) != NVML_SUCCESS)
        return link;
    link.is_up = state == NVML_FEATURE_ENABLED;
    if (!link.is_up) return link;
    if (api->nvmlDeviceGetNvLinkRemoteDeviceType &&
        api->nvmlDeviceGetNvLinkRemoteDeviceType(handle, place, &type) == NVML_SUCCESS)
        link.to_switch = type == NVML_NVLINK_DEVICE_TYPE_SWITCH;
    if (api->nvmlDeviceGetNvLinkRemotePciInfo_v2 &&
        api->nvmlDeviceGetNvLinkRemotePciInfo_v2(handle, place, &pci) == NVML_SUCCESS)
        snprintf(link.pci, sizeof link.pci, "%s", pci.busId);
    return link;
}

static int numa_of(const struct el_nvml_api *api, nvmlDevice_t handle) {
    unsigned long nodes = 0; // the first 64 are enough to find one
    if (!api->nvmlDeviceGetMemoryAffinity ||
        api->nvmlDeviceGetMemoryAffinity(handle, 1, &nodes, NVML_AFFINITY_SCOPE_NODE) != NVML_SUCCESS ||
        !nodes)
        return -1;
    return __builtin_ctzl(nodes);
}

// A GPU that is lost already when NVML is opened has no facts, but its place in the count.
static int describe(const struct el_nvml_api *api, unsigned index, struct el_nvml_device *gpu) {
    struct el_gpu *facts = &gpu->facts;
    nvmlPciInfo_t pci;
    nvmlMemory_t memory;
    int major = 0, minor = 0;
    facts->numa = -1;
    EL_TRY(check("nvmlDeviceGetHandleByIndex", api->nvmlDeviceGetHandleByIndex_v2(index, &gpu->handle)));
    EL_TRY(check("nvmlDeviceGetName", api->nvmlDeviceGetName(gpu->handle, facts->name, sizeof facts->name)));
    EL_TRY(check("nvmlDeviceGetUUID", api->nvmlDeviceGetUUID(gpu->handle, facts->uuid, sizeof facts->uuid)));
    EL_TRY(check("nvmlDeviceGetPciInfo", api->nvmlDeviceGetPciInfo_v3(gpu->handle, &pci)));
    EL_TRY(check("nvmlDeviceGetMemoryInfo", api->nvmlDeviceGetMemoryInfo(gpu->handle, &memory)));
    EL_TRY(check("nvmlDeviceGetCudaComputeCapability",
                 api->nvmlDeviceGetCudaComputeCapability(gpu->handle, &major, &minor)));
    snprintf(facts->pci, sizeof facts->pci, "%s", pci.busId);
    facts->memory = memory.total;
    facts->capability = 10 * major + minor;
    facts->numa = numa_of(api, gpu->handle);
    for (unsigned i = 0; i < NVML_NVLINK_MAX_LINKS; i++)
        gpu->links[i] = nvlink_of(api, gpu->handle, i);
    return 0;
}

// Xid errors are told to who listens, from now on; not every GPU and container has them.
static void listen(struct el_nvml *nvml) {
    const struct el_nvml_api *api = &nvml->api;
    if (!api->nvmlEventSetCreate || !api->nvmlDeviceRegisterEvents || !api->nvmlEventSetWait_v2 ||
        !api->nvmlEventSetFree || api->nvmlEventSetCreate(&nvml->events) != NVML_SUCCESS) {
        nvml->events = NULL;
        return;
    }
    bool any = false;
    for (int i = 0; i < nvml->count; i++)
        if (nvml->gpus[i].handle)
            any |= api->nvmlDeviceRegisterEvents(nvml->gpus[i].handle, nvmlEventTypeXidCriticalError,
                                                 nvml->events) == NVML_SUCCESS;
    if (any) return;
    api->nvmlEventSetFree(nvml->events);
    nvml->events = NULL;
}

static int look(struct el_nvml *nvml) {
    unsigned count = 0;
    EL_TRY(check("nvmlSystemGetDriverVersion",
                 nvml->api.nvmlSystemGetDriverVersion(nvml->driver, sizeof nvml->driver)));
    EL_TRY(check("nvmlSystemGetCudaDriverVersion", nvml->api.nvmlSystemGetCudaDriverVersion_v2(&nvml->cuda)));
    EL_TRY(check("nvmlDeviceGetCount", nvml->api.nvmlDeviceGetCount_v2(&count)));
    nvml->count = (int)EL_MIN(count, EL_GPU_LIMIT);
    for (int i = 0; i < nvml->count; i++) {
        int status = describe(&nvml->api, (unsigned)i, &nvml->gpus[i]);
        if (status < 0 && status != EL_ELOST) return status;
    }
    listen(nvml);
    return 0;
}

int el_nvml_open(struct el_nvml **ret_nvml) {
    struct el_nvml *nvml = NULL;
    struct el_nvml_api api;
    EL_TRY(el_dl_load("libnvidia-ml.so.1", symbols, EL_COUNT(symbols), &api));
    EL_TRY(check("nvmlInit", api.nvmlInit_v2()));
    int status = el_zalloc(1, sizeof *nvml, &nvml);
    if (status < 0) {
        api.nvmlShutdown();
        return status;
    }
    nvml->api = api;
    nvml->users = 1;
    pthread_mutex_init(&nvml->lock, NULL);
    status = look(nvml);
    if (status < 0) {
        el_nvml_close(nvml);
        return status;
    }
    *ret_nvml = nvml;
    return 0;
}

struct el_nvml *el_nvml_ref(struct el_nvml *nvml) {
    if (nvml) atomic_fetch_add(&nvml->users, 1);
    return nvml;
}

void el_nvml_close(struct el_nvml *nvml) {
    if (!nvml || atomic_fetch_sub(&nvml->users, 1) > 1) return;
    if (nvml->events) nvml->api.nvmlEventSetFree(nvml->events);
    nvml->api.nvmlShutdown();
    pthread_mutex_destroy(&nvml->lock);
    el_free(nvml);
}

// ---- what there is ----

const char *el_nvml_driver(const struct el_nvml *nvml) {
    return nvml->driver;
}

int el_nvml_cuda(const struct el_nvml *nvml) {
    return nvml->cuda;
}

int el_nvml_count(const struct el_nvml *nvml) {
    return nvml->count;
}

const struct el_gpu *el_nvml_gpu(const struct el_nvml *nvml, int index) {
    return &nvml->gpus[index].facts;
}

// CUDA writes a domain of four digits, NVML one of eight.
static bool same_pci(const char *one, const char *other) {
    unsigned a[4], b[4];
    return sscanf(one, "%x:%x:%x.%x", &a[0], &a[1], &a[2], &a[3]) == 4 &&
           sscanf(other, "%x:%x:%x.%x", &b[0], &b[1], &b[2], &b[3]) == 4 && memcmp(a, b, sizeof a) == 0;
}

int el_nvml_find(const struct el_nvml *nvml, const char *uuid, const char *pci) {
    for (int i = 0; uuid && *uuid && i < nvml->count; i++)
        if (el_streq(nvml->gpus[i].facts.uuid, uuid)) return i;
    for (int i = 0; pci && *pci && i < nvml->count; i++)
        if (same_pci(nvml->gpus[i].facts.pci, pci)) return i;
    return -1;
}

static enum el_gpu_path path_of(nvmlGpuTopologyLevel_t level) {
    switch (level) {
    case NVML_TOPOLOGY_INTERNAL:
    case NVML_TOPOLOGY_SINGLE:
        return EL_PATH_PIX;
    case NVML_TOPOLOGY_MULTIPLE:
        return EL_PATH_PXB;
    case NVML_TOPOLOGY_HOSTBRIDGE:
        return EL_PATH_PHB;
    case NVML_TOPOLOGY_NODE:
        return EL_PATH_NODE;
    case NVML_TOPOLOGY_SYSTEM:
        return EL_PATH_SYS;
    }
    return EL_PATH_UNKNOWN;
}

// Links that lead to the other, and links that end at a switch, behind which all GPUs are.
static void count_links(const struct el_nvml_device *from, const struct el_nvml_device *to, int *ret_direct,
                        int *ret_switched) {
    int direct = 0, switched = 0;
    for (int i = 0; i < NVML_NVLINK_MAX_LINKS; i++) {
        const struct el_nvlink *link = &from->links[i];
        if (!link->is_up) continue;
        if (link->to_switch)
            switched++;
        else if (same_pci(link->pci, to->facts.pci))
            direct++;
    }
    *ret_direct = direct;
    *ret_switched = switched;
}

struct el_gpu_link el_nvml_link(struct el_nvml *nvml, int one, int other) {
    const struct el_nvml_device *a = &nvml->gpus[one], *b = &nvml->gpus[other];
    struct el_gpu_link link = {.path = EL_PATH_SELF};
    nvmlGpuTopologyLevel_t level;
    int direct, switched, back_direct, back_switched;
    if (one == other) return link;
    link.path = EL_PATH_UNKNOWN;
    if (a->handle && b->handle && nvml->api.nvmlDeviceGetTopologyCommonAncestor &&
        nvml->api.nvmlDeviceGetTopologyCommonAncestor(a->handle, b->handle, &level) == NVML_SUCCESS)
        link.path = path_of(level);
    count_links(a, b, &direct, &switched);
    count_links(b, a, &back_direct, &back_switched);
    link.nvlinks = EL_MIN(direct, back_direct) + EL_MIN(switched, back_switched);
    return link;
}
