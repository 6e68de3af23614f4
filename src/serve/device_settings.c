// SPDX-License-Identifier: Apache-2.0
// Settings of devices: lists of words become what the manager reads.
#include "serve/device_settings.h"

#include "base/error.h"
#include "base/mem.h"
#include "device/trace.h"
#include "service/tuned.h"
#include "store/store.h"

enum { MS_PER_S = 1000 };

int el_device_settings_read(const struct el_config *config, struct el_device_settings *ret_settings) {
    if (config->device_preference.count > EL_DEVICE_WISHES || config->device_ids.count > EL_DEVICE_WISHES)
        return el_fail(EL_ETOOBIG, "device_preference and device_ids may have at most %d items",
                       EL_DEVICE_WISHES);
    *ret_settings = (struct el_device_settings){
        .options = {.devices = config->device,
                    .multi = config->multi_gpu,
                    .budget = (uint64_t)config->max_memory_per_gpu,
                    .budget_pct = (int)config->gpu_memory_pct},
    };
    for (size_t i = 0; i < config->device_preference.count; i++)
        ret_settings->preference[i] = config->device_preference.item[i];
    if (config->device_preference.count) ret_settings->options.preference = ret_settings->preference;
    for (size_t i = 0; i < config->device_ids.count; i++) {
        int64_t index = 0;
        EL_TRY(el_parse_i64(config->device_ids.item[i], 0, INT32_MAX, &index));
        ret_settings->indices[i] = (int)index;
    }
    ret_settings->options.indices = ret_settings->indices;
    // Without multi_gpu the list says which one device it is.
    const size_t count = config->device_ids.count;
    ret_settings->options.index_count = (int)(config->multi_gpu ? count : EL_MIN(count, 1));
    return 0;
}

int el_devices_open(const struct el_config *config, struct el_trace **ret_trace,
                    struct el_manager **ret_manager) {
    struct el_device_settings settings;
    struct el_trace *trace = NULL;
    EL_TRY(el_device_settings_read(config, &settings));
    if (config->trace) EL_TRY(el_trace_open(config->trace, &trace));
    settings.options.trace = trace;
    int status = el_manager_open(&settings.options, ret_manager);
    if (status < 0)
        el_trace_close(trace);
    else
        *ret_trace = trace;
    return status;
}

static const char *precision_of(const struct el_config *config, const struct el_manager *manager) {
    const bool gpus_alone = el_streq(config->precision, "fp16") || el_streq(config->precision, "tf32");
    return gpus_alone && *el_manager_report(manager)->fallback ? "auto" : config->precision;
}

void el_embedder_settings(const struct el_config *config, struct el_manager *manager, char **ret_tuned,
                          struct el_embedder_options *ret_options) {
    char *tuned = NULL;
    if (el_store_beside(EL_TUNED_FILE, &tuned) < 0) tuned = NULL; // nowhere to remember
    *ret_tuned = tuned;
    *ret_options = (struct el_embedder_options){
        .precision = precision_of(config, manager),
        .manager = manager,
        .streams = (int)config->streams,
        .threads = (int)config->threads,
        .pin = config->pin,
        .batch_tokens = (int)config->batch_tokens,
        .batch_texts = (int)config->max_batch_size,
        .tuned = tuned,
        .vram_reserved = config->vram_reserved > 0 ? config->vram_reserved : -1,
        .batch_wait_us = (int)config->batch_wait_us,
        .queue_tokens = (int)config->max_queue_tokens,
        .queue_ms = (int)config->max_queue_ms,
        .rejoin_ms = config->rejoin_s > 0 ? (int)config->rejoin_s * MS_PER_S : -1,
        .rejoin_longest_ms = (int)config->rejoin_longest_s * MS_PER_S,
        .rejoin_probes = (int)config->rejoin_probes,
    };
}
