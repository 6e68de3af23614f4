// SPDX-License-Identifier: Apache-2.0
// Each metric is a row of a table: a name, what it is, and how its value is found; a device that does not
// know it has no sample.
#include "serve/device_metrics.h"

#include "base/error.h"
#include "base/mem.h"
#include "serve/metrics.h"

// A device as its metrics see it.
struct sample {
    const struct el_candidate *candidate;
    const struct el_device_health *health;
};

// ---- values: false where the device does not know ----

static bool of_field(const struct sample *sample, enum el_gpu_field field, double scale, double *ret_value) {
    const struct el_device_health *health = sample->health;
    if (!health->has_reading || !el_gpu_knows(&health->reading, field)) return false;
    *ret_value = (double)health->reading.value[field] * scale;
    return true;
}

// The whole GPU's where NVML tells, else what this process has taken.
static bool memory_used(const struct sample *sample, double *ret_value) {
    if (of_field(sample, EL_GPU_MEMORY_USED, 0x1p-20, ret_value)) return true;
    *ret_value = sample->health->memory.reserved_mb;
    return sample->health->memory.available;
}

static bool memory_total(const struct sample *sample, double *ret_value) {
    if (of_field(sample, EL_GPU_MEMORY_TOTAL, 0x1p-20, ret_value)) return true;
    *ret_value = sample->health->memory.total_mb;
    return sample->health->memory.available;
}

static bool is_healthy(const struct sample *sample, double *ret_value) {
    *ret_value = sample->health->healthy;
    return true;
}

static bool canary_seconds(const struct sample *sample, double *ret_value) {
    *ret_value = (double)sample->health->canary_ns * 1e-9;
    return sample->health->canary_ns > 0;
}

static bool busy_seconds(const struct sample *sample, double *ret_value) {
    *ret_value = (double)sample->health->busy_ns * 1e-9;
    return sample->health->healthy;
}

#define FIELD(function, field, scale)                                      \
    static bool function(const struct sample *sample, double *ret_value) { \
        return of_field(sample, field, scale, ret_value);                  \
    }
FIELD(utilization, EL_GPU_UTILIZATION, 1)
FIELD(memory_utilization, EL_GPU_MEMORY_UTILIZATION, 1)
FIELD(temperature, EL_GPU_TEMPERATURE, 1)
FIELD(watts, EL_GPU_POWER, 1e-3)
FIELD(millijoules, EL_GPU_ENERGY, 1)
FIELD(watts_limit, EL_GPU_POWER_LIMIT, 1e-3)
FIELD(throttle, EL_GPU_THROTTLE, 1)
FIELD(nvlinks, EL_GPU_NVLINKS, 1)
FIELD(sm_clock, EL_GPU_SM_CLOCK, 1)
FIELD(memory_clock, EL_GPU_MEMORY_CLOCK, 1)
FIELD(memory_used_mib, EL_GPU_MEMORY_USED, 0x1p-20)
FIELD(memory_free_mib, EL_GPU_MEMORY_FREE, 0x1p-20)
FIELD(xid, EL_GPU_XID, 1)
FIELD(xid_count, EL_GPU_XID_COUNT, 1)
FIELD(ecc, EL_GPU_ECC_UNCORRECTED, 1)
FIELD(pcie_replays, EL_GPU_PCIE_REPLAYS, 1)
#undef FIELD

#define MEMORY(function, member, scale)                                    \
    static bool function(const struct sample *sample, double *ret_value) { \
        *ret_value = sample->health->memory.member * scale;                \
        return sample->health->memory.available;                           \
    }
MEMORY(allocated, allocated_mb, 0x1p20)
MEMORY(reserved, reserved_mb, 0x1p20)
MEMORY(peak, max_allocated_mb, 0x1p20)
MEMORY(budget, budget_mb, 0x1p20)
MEMORY(fragmentation, fragmentation, 1)
#undef MEMORY

// ---- the table ----

enum labels { BY_DEVICE_ID, BY_GPU, BY_DEVICE };

static const struct {
    const char *name, *type, *help;
    enum labels labels;
    bool (*value)(const struct sample *sample, double *ret_value);
} rows[] = {
    {"gpu_memory_used_mb", "gauge", "GPU memory used", BY_DEVICE_ID, memory_used},
    {"gpu_memory_total_mb", "gauge", "GPU memory total", BY_DEVICE_ID, memory_total},
    {"gpu_utilization_pct", "gauge", "GPU utilization", BY_DEVICE_ID, utilization},
    {"DCGM_FI_DEV_SM_CLOCK", "gauge", "Clock of the multiprocessors in MHz", BY_GPU, sm_clock},
    {"DCGM_FI_DEV_MEM_CLOCK", "gauge", "Clock of the memory in MHz", BY_GPU, memory_clock},
    {"DCGM_FI_DEV_GPU_TEMP", "gauge", "Temperature in C", BY_GPU, temperature},
    {"DCGM_FI_DEV_POWER_USAGE", "gauge", "Power drawn in W", BY_GPU, watts},
    {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy taken since the driver started in mJ", BY_GPU,
     millijoules},
    {"DCGM_FI_DEV_GPU_UTIL", "gauge", "Time in which a kernel ran in percent", BY_GPU, utilization},
    {"DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Time in which memory was used in percent", BY_GPU,
     memory_utilization},
    {"DCGM_FI_DEV_FB_FREE", "gauge", "Free memory in MiB", BY_GPU, memory_free_mib},
    {"DCGM_FI_DEV_FB_USED", "gauge", "Used memory in MiB", BY_GPU, memory_used_mib},
    {"DCGM_FI_DEV_XID_ERRORS", "gauge", "The last Xid error", BY_GPU, xid},
    {"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "gauge", "Bits that say why the clocks are held down", BY_GPU,
     throttle},
    {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "Packets that were sent again over PCIe", BY_GPU,
     pcie_replays},
    {"eleanor_gpu_xid_errors_total", "counter", "Xid errors since the start", BY_DEVICE, xid_count},
    {"eleanor_gpu_ecc_errors", "gauge", "Memory errors beyond repair since the driver started", BY_DEVICE,
     ecc},
    {"eleanor_gpu_power_limit_watts", "gauge", "Power that the GPU may draw", BY_DEVICE, watts_limit},
    {"eleanor_gpu_nvlinks", "gauge", "NVLinks that are up", BY_DEVICE, nvlinks},
    {"eleanor_device_healthy", "gauge", "1 while the device computes what it should", BY_DEVICE, is_healthy},
    {"eleanor_device_canary_seconds", "gauge", "Time that the last canary took", BY_DEVICE, canary_seconds},
    {"eleanor_device_busy_seconds_total", "counter", "Time in which streams computed, over all of them",
     BY_DEVICE, busy_seconds},
    {"eleanor_device_allocated_bytes", "gauge", "Memory in use on the device", BY_DEVICE, allocated},
    {"eleanor_device_reserved_bytes", "gauge", "Memory that was taken from the driver", BY_DEVICE, reserved},
    {"eleanor_device_peak_bytes", "gauge", "Most memory that was in use at once", BY_DEVICE, peak},
    {"eleanor_device_budget_bytes", "gauge", "Memory that this process may take of the device", BY_DEVICE,
     budget},
    {"eleanor_device_fragmentation", "gauge", "1 - largest free block / free bytes", BY_DEVICE,
     fragmentation},
};

// dcgm-exporter counts GPUs as NVML does.
static int put_labels(struct el_str *str, enum labels labels, const struct sample *sample) {
    const struct el_candidate *candidate = sample->candidate;
    if (labels == BY_DEVICE_ID) return el_str_printf(str, "{device_id=\"%d\"}", sample->health->device_id);
    if (labels == BY_DEVICE) return el_str_printf(str, "{device=\"%s\"}", candidate->id);
    return el_str_printf(str, "{gpu=\"%d\",UUID=\"%s\"}", candidate->gpu, candidate->facts.uuid);
}

static int put_row(struct el_str *str, size_t row, const struct el_manager *manager,
                   const struct el_health *health) {
    bool has_head = false;
    for (int i = 0; i < health->count; i++) {
        const struct sample sample = {el_manager_candidate(manager, i), &health->devices[i]};
        const bool is_gpu = !el_streq(sample.candidate->kind, "cpu");
        double value;
        if ((!is_gpu && rows[row].labels != BY_DEVICE) || !rows[row].value(&sample, &value)) continue;
        if (!has_head) EL_TRY(el_metrics_put_head(str, rows[row].name, rows[row].type, rows[row].help));
        has_head = true;
        EL_TRY(el_str_puts(str, rows[row].name));
        EL_TRY(put_labels(str, rows[row].labels, &sample));
        EL_TRY(el_str_printf(str, " %.17g\n", value));
    }
    return 0;
}

static int put_alerts(struct el_str *str, const struct el_monitor_view *view) {
    EL_TRY(el_metrics_put_head(str, "eleanor_alert_active", "gauge",
                               "1 while the figure is over its threshold"));
    for (int i = 0; i < view->health.count; i++)
        for (int kind = 0; kind < EL_ALERT_COUNT; kind++) {
            const struct el_alert *alert = &view->samples[i].alerts[kind];
            if (alert->known && alert->threshold > 0)
                EL_TRY(el_str_printf(str, "eleanor_alert_active{device=\"%s\",kind=\"%s\"} %d\n",
                                     view->health.devices[i].id, el_alert_names[kind], alert->active));
        }
    return 0;
}

int el_device_metrics_write(const struct el_manager *manager, const struct el_monitor_view *view,
                            struct el_str *str) {
    for (size_t row = 0; row < EL_COUNT(rows); row++)
        EL_TRY(put_row(str, row, manager, &view->health));
    return put_alerts(str, view);
}
