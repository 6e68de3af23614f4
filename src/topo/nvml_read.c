// SPDX-License-Identifier: Apache-2.0
// What GPUs do, asked of NVML at each reading.
#include "topo/nvml_parts.h"

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

static void read_xid(struct el_nvml *nvml, const struct el_nvml_device *gpu, struct el_gpu_reading *reading) {
    pthread_mutex_lock(&nvml->lock);
    if (nvml->events) {
        hear_xids(nvml);
        set(reading, EL_GPU_XID, gpu->xid);
        set(reading, EL_GPU_XID_COUNT, gpu->xid_count);
    }
    pthread_mutex_unlock(&nvml->lock);
}

static void read_memory(const struct el_nvml_api *api, const struct el_nvml_device *gpu,
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

static void read_sensors(const struct el_nvml_api *api, const struct el_nvml_device *gpu,
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

static void read_nvlinks(const struct el_nvml_api *api, const struct el_nvml_device *gpu,
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
    const struct el_nvml_device *gpu = &nvml->gpus[index];
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
