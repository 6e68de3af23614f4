// SPDX-License-Identifier: Apache-2.0
// The fake libnvidia-ml.so.1: implements src/topo/nvml_api.def on the GPUs of a machine file (machine.h).
// What a GPU does not tell there (-1) is NVML_ERROR_NOT_SUPPORTED, and one that fell off the bus is
// NVML_ERROR_GPU_IS_LOST, as the real library answers.
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"
#include "topo/nvml_api.h"

#define EXPORT __attribute__((visibility("default")))
#define NVML(name, optional, parameters) EXPORT nvmlReturn_t name parameters;
#include "topo/nvml_api.def"
#undef NVML

enum { XID_OFF_THE_BUS = 79 };

struct nvmlDevice_st {
    char unused; // a handle is a place in `handles`, and the same in machine.gpus
};

// What a listener has been told of each GPU.
struct nvmlEventSet_st {
    bool listens[MACHINE_GPUS];
    int told[MACHINE_GPUS];     // of the Xids that its file lists
    int told_xid[MACHINE_GPUS]; // the last that happened since
};

static struct nvmlDevice_st handles[MACHINE_GPUS];
static atomic_int users; // of nvmlInit

static int place_of(nvmlDevice_t device) {
    return (int)(device - handles);
}

// ---- what every call begins with ----

static nvmlReturn_t begin(struct machine **ret_machine) {
    struct machine *machine = machine_get();
    if (users == 0) return NVML_ERROR_UNINITIALIZED;
    *ret_machine = machine;
    return NVML_SUCCESS;
}

static nvmlReturn_t begin_device(nvmlDevice_t device, struct machine_gpu **ret_gpu) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    if (result != NVML_SUCCESS) return result;
    if (device < handles || device >= handles + machine->gpu_count) return NVML_ERROR_INVALID_ARGUMENT;
    if (machine_gpu_gone(machine, place_of(device))) return NVML_ERROR_GPU_IS_LOST;
    *ret_gpu = &machine->gpus[place_of(device)];
    return NVML_SUCCESS;
}

static nvmlReturn_t put_text(const char *from, char *text, unsigned length) {
    if (strlen(from) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
    snprintf(text, length, "%s", from);
    return NVML_SUCCESS;
}

// A number of the machine file as an unsigned: TELL(device, power, milliwatts)
static nvmlReturn_t put_number(int64_t number, unsigned *value) {
    if (number < 0) return NVML_ERROR_NOT_SUPPORTED;
    *value = (unsigned)number;
    return NVML_SUCCESS;
}
#define TELL(device, number, value)                         \
    do {                                                    \
        struct machine_gpu *gpu_ = NULL;                    \
        nvmlReturn_t result_ = begin_device(device, &gpu_); \
        if (result_ != NVML_SUCCESS) return result_;        \
        return put_number(gpu_->number, value);             \
    } while (0)

// ---- the library and the driver ----

nvmlReturn_t nvmlInit_v2(void) {
    const struct machine *machine = machine_get();
    if (!machine) return NVML_ERROR_DRIVER_NOT_LOADED;
    users++;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void) {
    if (users == 0) return NVML_ERROR_UNINITIALIZED;
    users--;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    return result == NVML_SUCCESS ? put_text(machine->driver, version, length) : result;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    if (result == NVML_SUCCESS) *version = machine->cuda;
    return result;
}

// ---- what a GPU is ----

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    if (result == NVML_SUCCESS) *count = (unsigned)machine->gpu_count;
    return result;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    if (result != NVML_SUCCESS) return result;
    if (index >= (unsigned)machine->gpu_count) return NVML_ERROR_INVALID_ARGUMENT;
    if (machine_gpu_gone(machine, (int)index)) return NVML_ERROR_GPU_IS_LOST;
    *device = &handles[index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    return result == NVML_SUCCESS ? put_text(gpu->name, name, length) : result;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    return result == NVML_SUCCESS ? put_text(gpu->uuid, uuid, length) : result;
}

static void put_pci(const struct machine_gpu *gpu, nvmlPciInfo_t *pci) {
    *pci = (nvmlPciInfo_t){0};
    snprintf(pci->busId, sizeof pci->busId, "%s", gpu->pci);
    sscanf(gpu->pci, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result == NVML_SUCCESS) put_pci(gpu, pci);
    return result;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    *major = (int)gpu->capability / 10;
    *minor = (int)gpu->capability % 10;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned words, unsigned long *nodes,
                                         unsigned scope) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (words == 0 || scope != NVML_AFFINITY_SCOPE_NODE) return NVML_ERROR_INVALID_ARGUMENT;
    if (gpu->numa < 0) return NVML_ERROR_NOT_SUPPORTED;
    memset(nodes, 0, words * sizeof *nodes);
    nodes[0] = 1ul << gpu->numa;
    return NVML_SUCCESS;
}

// ---- how GPUs are joined ----

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other,
                                                 nvmlGpuTopologyLevel_t *level) {
    static const nvmlGpuTopologyLevel_t levels[] = {
        [MACHINE_SELF] = NVML_TOPOLOGY_INTERNAL, [MACHINE_PIX] = NVML_TOPOLOGY_SINGLE,
        [MACHINE_PXB] = NVML_TOPOLOGY_MULTIPLE,  [MACHINE_PHB] = NVML_TOPOLOGY_HOSTBRIDGE,
        [MACHINE_NODE] = NVML_TOPOLOGY_NODE,     [MACHINE_SYS] = NVML_TOPOLOGY_SYSTEM,
    };
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(one, &gpu);
    if (result == NVML_SUCCESS) result = begin_device(other, &gpu);
    if (result == NVML_SUCCESS) *level = levels[machine_get()->links[place_of(one)][place_of(other)].path];
    return result;
}

// Where a link leads. -1: nowhere; -2: to a switch; else the place of a GPU. Links are dealt to the
// neighbours in turn.
static nvmlReturn_t find_end(nvmlDevice_t device, unsigned link, int *ret_end) {
    struct machine_gpu *gpu;
    const struct machine *machine = machine_get();
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (gpu->nvlinks == 0) return NVML_ERROR_NOT_SUPPORTED;
    if (link >= (unsigned)gpu->nvlinks) return NVML_ERROR_INVALID_ARGUMENT;
    int left = (int)link;
    *ret_end = machine->nvswitch ? -2 : -1;
    for (int i = 0; *ret_end == -1 && i < machine->gpu_count; i++) {
        const int count = machine->links[place_of(device)][i].nvlinks;
        if (left < count) *ret_end = i;
        left -= count;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, nvmlEnableState_t *is_active) {
    int end;
    nvmlReturn_t result = find_end(device, link, &end);
    if (result == NVML_SUCCESS) *is_active = end == -1 ? NVML_FEATURE_DISABLED : NVML_FEATURE_ENABLED;
    return result;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link, nvmlPciInfo_t *pci) {
    int end;
    nvmlReturn_t result = find_end(device, link, &end);
    if (result != NVML_SUCCESS) return result;
    if (end == -1) return NVML_ERROR_NOT_SUPPORTED;
    if (end >= 0)
        put_pci(&machine_get()->gpus[end], pci);
    else
        put_pci(&(struct machine_gpu){.pci = "00000000:C3:00.0"}, pci); // an NVSwitch
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned link,
                                                 nvmlIntNvLinkDeviceType_t *type) {
    int end;
    nvmlReturn_t result = find_end(device, link, &end);
    if (result != NVML_SUCCESS) return result;
    if (end == -1) return NVML_ERROR_NOT_SUPPORTED;
    *type = end == -2 ? NVML_NVLINK_DEVICE_TYPE_SWITCH : NVML_NVLINK_DEVICE_TYPE_GPU;
    return NVML_SUCCESS;
}

// ---- what a GPU does ----

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    memory->total = (unsigned long long)gpu->memory;
    memory->used = (unsigned long long)(gpu->memory_used + gpu->allocated);
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    result = put_number(gpu->utilization, &utilization->gpu);
    return result == NVML_SUCCESS ? put_number(gpu->memory_utilization, &utilization->memory) : result;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned *degrees) {
    if (sensor != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
    TELL(device, temperature, degrees);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *milliwatts) {
    TELL(device, power, milliwatts);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *milliwatts) {
    TELL(device, power_limit, milliwatts);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz) {
    if (type == NVML_CLOCK_SM) TELL(device, sm_clock, mhz);
    if (type == NVML_CLOCK_MEM) TELL(device, memory_clock, mhz);
    return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *mhz) {
    if (type == NVML_CLOCK_SM) TELL(device, sm_clock_max, mhz);
    if (type == NVML_CLOCK_MEM) TELL(device, memory_clock_max, mhz);
    return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                         nvmlEccCounterType_t counter, unsigned long long *count) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (type != NVML_MEMORY_ERROR_TYPE_UNCORRECTED || counter != NVML_VOLATILE_ECC)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (gpu->ecc_uncorrected < 0) return NVML_ERROR_NOT_SUPPORTED;
    *count = (unsigned long long)(gpu->ecc_uncorrected + gpu->ecc_more);
    return NVML_SUCCESS;
}

// The machine has drawn its power ever since it was started.
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *millijoules) {
    struct machine_gpu *gpu;
    struct timespec uptime;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (gpu->power < 0) return NVML_ERROR_NOT_SUPPORTED;
    clock_gettime(CLOCK_MONOTONIC, &uptime);
    *millijoules =
        (unsigned long long)(gpu->power * uptime.tv_sec + gpu->power * (uptime.tv_nsec / 1000000) / 1000);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPcieReplayCounter(nvmlDevice_t device, unsigned *count) {
    TELL(device, pcie_replay, count);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long *reasons) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (gpu->throttle < 0) return NVML_ERROR_NOT_SUPPORTED;
    *reasons = (unsigned long long)gpu->throttle;
    return NVML_SUCCESS;
}

// ---- Xid errors ----

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    *set = calloc(1, sizeof **set);
    return *set ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set) {
    struct machine_gpu *gpu;
    nvmlReturn_t result = begin_device(device, &gpu);
    if (result != NVML_SUCCESS) return result;
    if (types != nvmlEventTypeXidCriticalError) return NVML_ERROR_NOT_SUPPORTED;
    set->listens[place_of(device)] = true;
    set->told_xid[place_of(device)] = gpu->xid; // what was before is not told
    return NVML_SUCCESS;
}

// The next Xid of the GPU that the listener has not heard of; 0 when there is none.
static int next_xid(const struct machine *machine, nvmlEventSet_t set, int place) {
    const struct machine_gpu *gpu = &machine->gpus[place];
    if (!set->listens[place]) return 0;
    if (set->told[place] < gpu->xid_count) return gpu->xids[set->told[place]++];
    const int xid = machine_gpu_gone((struct machine *)machine, place) ? XID_OFF_THE_BUS : gpu->xid;
    if (xid == set->told_xid[place]) return 0;
    set->told_xid[place] = xid;
    return xid;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned milliseconds) {
    struct machine *machine;
    nvmlReturn_t result = begin(&machine);
    (void)milliseconds; // whoever asks here does not wait
    if (result != NVML_SUCCESS) return result;
    for (int i = 0; i < machine->gpu_count; i++) {
        const int xid = next_xid(machine, set, i);
        if (xid == 0) continue;
        *data =
            (nvmlEventData_t){&handles[i], nvmlEventTypeXidCriticalError, (unsigned long long)xid, ~0u, ~0u};
        return NVML_SUCCESS;
    }
    return NVML_ERROR_TIMEOUT;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    free(set);
    return NVML_SUCCESS;
}
