// SPDX-License-Identifier: Apache-2.0
// Settings that speak of one thing come to one: gpu.yaml says in several keys what `precision`, `device` and
// `max_batch_size` say alone. What decides is the higher source; two of one source may not contradict.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "config/settings.h"

static const struct el_config_origin *origin_of(const struct el_config *config, const char *name) {
    return &config->origin[el_setting_row(name) - el_settings];
}

// `cause` sets `name` to `value`, unless a higher source has set it.
static int decide(struct el_config *config, const char *cause, const char *name, const char *value) {
    const struct el_config_origin *origin = origin_of(config, cause);
    return el_config_assign(config, el_setting_row(name), &value, 1, origin->source, origin->place, false);
}

// Whether `name` was set where `cause` was.
static bool is_equal_source(const struct el_config *config, const char *cause, const char *name) {
    return origin_of(config, cause)->source == origin_of(config, name)->source;
}

static int contradiction(const struct el_config *config, const char *cause, const char *meaning,
                         const char *name, const char *value) {
    return el_fail(EL_EINVAL, "%s: %s asks for %s, but %s is %s (%s); take one of the two out",
                   origin_of(config, cause)->place, cause, meaning, name, value,
                   origin_of(config, name)->place);
}

static int settle_precision(struct el_config *config) {
    if (!config->mixed_precision) {
        const bool agrees = el_streq(config->precision, "auto") || el_streq(config->precision, "fp32");
        if (config->quantize && is_equal_source(config, "mixed_precision", "quantize"))
            return contradiction(config, "mixed_precision", "fp32 throughout", "quantize", "true");
        if (!agrees && is_equal_source(config, "mixed_precision", "precision"))
            return contradiction(config, "mixed_precision", "fp32 throughout", "precision",
                                 config->precision);
        EL_TRY(decide(config, "mixed_precision", "precision", "fp32"));
    }
    return config->quantize ? decide(config, "quantize", "precision", "int8") : 0;
}

static int settle_device(struct el_config *config) {
    if (config->gpu_enabled) return 0;
    const bool agrees = el_streq(config->device, "auto") || el_starts_with(config->device, "cpu");
    if (!agrees && is_equal_source(config, "gpu_enabled", "device"))
        return contradiction(config, "gpu_enabled", "the CPU alone", "device", config->device);
    return el_starts_with(config->device, "cpu") ? 0 : decide(config, "gpu_enabled", "device", "cpu");
}

static int settle_batches(struct el_config *config) {
    char size[24];
    if (!config->batching) return decide(config, "batching", "max_batch_size", "1");
    if (config->embed_batch_size > 0) {
        snprintf(size, sizeof size, "%" PRId64, config->embed_batch_size);
        return decide(config, "embed_batch_size", "max_batch_size", size);
    }
    if (config->dynamic_batching) return 0;
    snprintf(size, sizeof size, "%" PRId64, config->default_batch_size);
    return decide(config, "dynamic_batching", "max_batch_size", size);
}

static int settle_trace(struct el_config *config) {
    if (!config->enable_profiling || config->trace) return 0;
    return decide(config, "enable_profiling", "trace", "eleanor-trace.json");
}

int el_config_settle(struct el_config *config) {
    EL_TRY(settle_trace(config));
    EL_TRY(settle_precision(config));
    EL_TRY(settle_device(config));
    return settle_batches(config);
}
