// SPDX-License-Identifier: Apache-2.0
// NVML by dlopen. What GPUs are is asked once, when NVML is opened; what they do, at each reading.
#include "topo/nvml.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/dl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "topo/nvml_api.h"

const char *const el_gpu_path_text[] = {"?", "X", "PIX", "PXB", "PHB", "NODE", "SYS"};

struct nvlink {
    bool is_up, to_switch;
    char pci[32]; // of what it leads to
};

struct gpu {
    nvmlDevice_t handle;
    struct el_gpu facts;
    struct nvlink links[NVML_NVLINK_MAX_LINKS];
    uint64_t xid, xid_count; // guarded by `lock`
};

struct el_nvml {
    struct el_nvml_api api;
    atomic_int users;
    char driver[80];
    int cuda;
    struct gpu gpus[EL_GPU_LIMIT];
    int count;
    pthread_mutex_t lock;
    nvmlEventSet_t events; // Xid errors; NULL where the driver has no events. Guarded by `lock`
};

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

static struct nvlink nvlink_of(const struct el_nvml_api *api, nvmlDevice_t handle, unsigned place) {
    struct nvlink link = {0};
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
static int describe(const struct el_nvml_api *api, unsigned index, struct gpu *gpu) {
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
static void count_links(const struct gpu *from, const struct gpu *to, int *ret_direct, int *ret_switched) {
    int direct = 0, switched = 0;
    for (int i = 0; i < NVML_NVLINK_MAX_LINKS; i++) {
        const struct nvlink *link = &from->links[i];
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
    const struct gpu *a = &nvml->gpus[one], *b = &nvml->gpus[other];
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

// ---- readings ----

static void set(struct el_gpu_reading *reading, enum el_gpu_field field, uint64_t value) {
    reading->value[field] = value;
    reading->valid |= 1u << field;
}

// Takes what the event set has, for all GPUs.
static void hear_xids(struct el_nvml *nvml) {
    enum { MOST = 256 }; // a storm must not keep the reader
    nvmlEventData_t data;
    for (int i = 0; i < MOST && nvml->api.nvmlEventSetWait_v2(nvml->events, &data, 0) == NVML_SUCCESS; i++)
        for (int k = 0; k < nvml->count; k++)
            if (nvml->gpus[k].handle == data.device && (data.eventType & nvmlEventTypeXidCriticalError)) {
                nvml->gpus[k].xid = data.eventData;
                nvml->gpus[k].xid_count++;
            }
}

static void read_xid(struct el_nvml *nvml, const struct gpu *gpu, struct el_gpu_reading *reading) {
    pthread_mutex_lock(&nvml->lock);
    if (nvml->events) {
        hear_xids(nvml);
        set(reading, EL_GPU_XID, gpu->xid);
        set(reading, EL_GPU_XID_COUNT, gpu->xid_count);
    }
    pthread_mutex_unlock(&nvml->lock);
}

static void read_memory(const struct el_nvml_api *api, const struct gpu *gpu,
                        struct el_gpu_reading *reading) {
    nvmlMemory_t memory;
    nvmlUtilization_t utilization;
    nvmlReturn_t result = api->nvmlDeviceGetMemoryInfo(gpu->handle, &memory);
    reading->is_lost = result == NVML_ERROR_GPU_IS_LOST;
    if (result == NVML_SUCCESS) {
        set(reading, EL_GPU_MEMORY_TOTAL, memory.total);
        set(reading, EL_GPU_MEMORY_USED, memory.used);
        set(reading, EL_GPU_MEMORY_FREE, memory.free);
    }
    if (api->nvmlDeviceGetUtilizationRates(gpu->handle, &utilization) == NVML_SUCCESS) {
        set(reading, EL_GPU_UTILIZATION, utilization.gpu);
        set(reading, EL_GPU_MEMORY_UTILIZATION, utilization.memory);
    }
}

// A field that one optional call tells.
#define READ(field, type, call, ...)                                          \
    do {                                                                      \
        type value_;                                                          \
        if (api->call && api->call(gpu->handle, __VA_ARGS__) == NVML_SUCCESS) \
            set(reading, EL_GPU_##field, value_);                             \
    } while (0)

static void read_sensors(const struct el_nvml_api *api, const struct gpu *gpu,
                         struct el_gpu_reading *reading) {
    READ(TEMPERATURE, unsigned, nvmlDeviceGetTemperature, NVML_TEMPERATURE_GPU, &value_);
    READ(POWER, unsigned, nvmlDeviceGetPowerUsage, &value_);
    READ(POWER_LIMIT, unsigned, nvmlDeviceGetEnforcedPowerLimit, &value_);
    READ(ENERGY, unsigned long long, nvmlDeviceGetTotalEnergyConsumption, &value_);
    READ(SM_CLOCK, unsigned, nvmlDeviceGetClockInfo, NVML_CLOCK_SM, &value_);
    READ(MEMORY_CLOCK, unsigned, nvmlDeviceGetClockInfo, NVML_CLOCK_MEM, &value_);
    READ(SM_CLOCK_MAX, unsigned, nvmlDeviceGetMaxClockInfo, NVML_CLOCK_SM, &value_);
    READ(ECC_UNCORRECTED, unsigned long long, nvmlDeviceGetTotalEccErrors, NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
         NVML_VOLATILE_ECC, &value_);
    READ(PCIE_REPLAYS, unsigned, nvmlDeviceGetPcieReplayCounter, &value_);
    READ(THROTTLE, unsigned long long, nvmlDeviceGetCurrentClocksThrottleReasons, &value_);
}

static void read_nvlinks(const struct el_nvml_api *api, const struct gpu *gpu,
                         struct el_gpu_reading *reading) {
    uint64_t up = 0;
    bool knows = false;
    for (unsigned i = 0; api->nvmlDeviceGetNvLinkState && i < NVML_NVLINK_MAX_LINKS; i++) {
        nvmlEnableState_t state;
        if (api->nvmlDeviceGetNvLinkState(gpu->handle, i, &state) != NVML_SUCCESS) continue;
        knows = true;
        up += state == NVML_FEATURE_ENABLED;
    }
    if (knows) set(reading, EL_GPU_NVLINKS, up);
}

void el_nvml_read(struct el_nvml *nvml, int index, struct el_gpu_reading *ret_reading) {
    const struct gpu *gpu = &nvml->gpus[index];
    struct el_gpu_reading reading = {.is_lost = !gpu->handle};
    if (gpu->handle) {
        read_memory(&nvml->api, gpu, &reading);
        if (!reading.is_lost) {
            read_sensors(&nvml->api, gpu, &reading);
            read_nvlinks(&nvml->api, gpu, &reading);
        }
    }
    read_xid(nvml, gpu, &reading);
    *ret_reading = reading;
}
