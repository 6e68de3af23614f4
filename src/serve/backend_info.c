// SPDX-License-Identifier: Apache-2.0
// Writes get_info's fields. vram_gb and the others are in units of 2^30 bytes, as in the original.
#include "serve/backend_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static int put_text(struct el_str *json, const char *name, const char *value) {
    EL_TRY(el_str_printf(json, "\"%s\": ", name));
    EL_TRY(value && *value ? el_str_put_json(json, value, strlen(value)) : el_str_puts(json, "null"));
    return el_str_puts(json, ", ");
}

// 0 is not known.
static int put_count(struct el_str *json, const char *name, int64_t value) {
    if (value < 1) return el_str_printf(json, "\"%s\": null, ", name);
    return el_str_printf(json, "\"%s\": %" PRId64 ", ", name, value);
}

static int put_bool(struct el_str *json, const char *name, bool value) {
    return el_str_printf(json, "\"%s\": %s, ", name, value ? "true" : "false");
}

static int put_gb(struct el_str *json, const char *name, bool known, double bytes) {
    if (!known) return el_str_printf(json, "\"%s\": null, ", name);
    return el_str_printf(json, "\"%s\": %.4f, ", name, bytes * 0x1p-30);
}

static int put_reading(struct el_str *json, const char *name, const struct el_device_health *health,
                       enum el_gpu_field value, const char *end) {
    if (!health || !health->has_reading || !el_gpu_knows(&health->reading, value))
        return el_str_printf(json, "\"%s\": null%s", name, end);
    return el_str_printf(json, "\"%s\": %" PRIu64 "%s", name, health->reading.value[value], end);
}

static int put_settings(const struct el_backend_info *info, struct el_str *json) {
    const struct el_config *config = info->config;
    EL_TRY(put_bool(json, "dynamic_batching", config->batching && config->dynamic_batching));
    EL_TRY(put_bool(json, "mixed_precision", config->mixed_precision));
    EL_TRY(put_bool(json, "multi_gpu", config->multi_gpu));
    EL_TRY(put_bool(json, "pinned_memory", true));
    return put_bool(json, "faiss_gpu", false);
}

// Memory in use is NVML's, of all processes, where NVML knows the device; reserved is what our pool holds.
static int put_memory(const struct el_backend_info *info, bool is_gpu, struct el_str *json) {
    const struct el_device_health *health = is_gpu ? info->health : NULL;
    const bool pool = health && health->memory.available;
    const bool nvml = health && health->has_reading && el_gpu_knows(&health->reading, EL_GPU_MEMORY_USED);
    const double used = nvml   ? (double)health->reading.value[EL_GPU_MEMORY_USED]
                        : pool ? health->memory.allocated_mb * 0x1p20
                               : 0;
    EL_TRY(put_gb(json, "vram_gb", is_gpu && info->device->memory > 0, (double)info->device->memory));
    EL_TRY(put_gb(json, "vram_used_gb", nvml || pool, used));
    return put_gb(json, "vram_reserved_gb", pool, pool ? health->memory.reserved_mb * 0x1p20 : 0);
}

// "cuda" of "cuda:0".
static bool is_kind(const struct el_backend_info *info, const char *kind) {
    const size_t length = strlen(kind);
    return el_starts_with(info->device_id, kind) &&
           (info->device_id[length] == ':' || !info->device_id[length]);
}

static int put_gpu(const struct el_backend_info *info, struct el_str *json) {
    const struct el_device_facts *facts = info->device;
    const bool is_gpu = !is_kind(info, "cpu"), is_cuda = is_kind(info, "cuda");
    char capability[16] = "";
    if (is_cuda)
        snprintf(capability, sizeof capability, "%d.%d", facts->capability / 10, facts->capability % 10);
    EL_TRY(put_text(json, "gpu_name", is_gpu ? facts->name : NULL));
    EL_TRY(el_str_printf(json, "\"gpu_count\": %d, ", is_gpu ? info->device_count : 0));
    EL_TRY(put_memory(info, is_gpu, json));
    EL_TRY(
        put_text(json, "cuda_version",
                 is_cuda && el_starts_with(facts->driver, "CUDA ") ? facts->driver + strlen("CUDA ") : NULL));
    EL_TRY(put_text(json, "compute_capability", capability));
    EL_TRY(put_count(json, "multi_processor_count", is_gpu ? facts->units : 0));
    EL_TRY(put_reading(json, "gpu_utilization", info->health, EL_GPU_UTILIZATION, ", "));
    return put_reading(json, "gpu_temperature", info->health, EL_GPU_TEMPERATURE, "");
}

int el_backend_info_put_json(const struct el_backend_info *info, struct el_str *json) {
    EL_TRY(el_str_putc(json, '{'));
    EL_TRY(
        el_str_printf(json, "\"backend\": \"%.*s\", ", (int)strcspn(info->device_id, ":"), info->device_id));
    EL_TRY(put_text(json, "device", info->device_id));
    EL_TRY(put_text(json, "model", info->model));
    EL_TRY(put_count(json, "embedding_dim", info->embedding_dim));
    EL_TRY(put_count(json, "batch_size", info->batch_size));
    EL_TRY(put_count(json, "current_batch_size", info->batch_size));
    EL_TRY(put_count(json, "max_batch_size", info->max_batch_size));
    EL_TRY(put_count(json, "batch_tokens", info->batch_tokens));
    EL_TRY(put_text(json, "batch_source", info->batch_source));
    EL_TRY(put_settings(info, json));
    EL_TRY(el_str_printf(json, "\"oom_count\": %" PRIu64 ", \"rejoins\": %" PRIu64 ", ", info->oom_count,
                         info->rejoins));
    EL_TRY(put_gpu(info, json));
    return el_str_putc(json, '}');
}
