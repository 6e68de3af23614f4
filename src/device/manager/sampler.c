// SPDX-License-Identifier: Apache-2.0
// Figures of a look, their histories, and the alerts on them.
#include "device/manager/sampler.h"

#include "base/error.h"
#include "base/mem.h"

const struct el_figure_info el_figures[EL_FIGURE_COUNT] = {
    [EL_FIGURE_MEMORY] = {"memory_pct", "memory", "%"},
    [EL_FIGURE_UTILIZATION] = {"utilization_pct", "utilization", "%"},
    [EL_FIGURE_TEMPERATURE] = {"temperature_c", "temperature", "C"},
    [EL_FIGURE_POWER] = {"power_w", "power", "W"},
};
const char *const el_alert_names[EL_ALERT_COUNT] = {
    [EL_ALERT_MEMORY] = "memory",
    [EL_ALERT_TEMPERATURE] = "temperature",
};
static const enum el_figure alert_figures[EL_ALERT_COUNT] = {
    [EL_ALERT_MEMORY] = EL_FIGURE_MEMORY,
    [EL_ALERT_TEMPERATURE] = EL_FIGURE_TEMPERATURE,
};

struct sampled {
    struct el_history figures[EL_FIGURE_COUNT];
    struct el_alert alerts[EL_ALERT_COUNT];
};

struct el_sampler {
    int count;
    struct sampled devices[]; // [count]
};

// ---- figures ----

bool el_memory_pct(const struct el_device_health *device, double *ret_pct) {
    const struct el_gpu_reading *reading = &device->reading;
    const struct el_memory_stats *own = &device->memory;
    const bool has_reading = device->has_reading && el_gpu_knows(reading, EL_GPU_MEMORY_USED) &&
                             el_gpu_knows(reading, EL_GPU_MEMORY_TOTAL) &&
                             reading->value[EL_GPU_MEMORY_TOTAL] > 0;
    double pct = own->available && own->budget_mb > 0 ? 100 * own->allocated_mb / own->budget_mb : 0;
    if (has_reading) {
        const double kept = own->available ? (own->reserved_mb - own->allocated_mb) * 0x1p20 : 0,
                     used = (double)reading->value[EL_GPU_MEMORY_USED] - kept;
        pct = EL_MAX(pct, 100 * used / (double)reading->value[EL_GPU_MEMORY_TOTAL]);
    }
    if (has_reading || own->available) *ret_pct = pct;
    return has_reading || own->available;
}

static bool read_field(const struct el_device_health *device, enum el_gpu_field field, double scale,
                       double *ret_value) {
    if (!device->has_reading || !el_gpu_knows(&device->reading, field)) return false;
    *ret_value = (double)device->reading.value[field] * scale;
    return true;
}

// False where the device does not tell.
static bool read_figure(const struct el_device_health *device, enum el_figure figure, double *ret_value) {
    switch (figure) {
    case EL_FIGURE_MEMORY:
        return el_memory_pct(device, ret_value);
    case EL_FIGURE_UTILIZATION:
        return read_field(device, EL_GPU_UTILIZATION, 1, ret_value);
    case EL_FIGURE_TEMPERATURE:
        return read_field(device, EL_GPU_TEMPERATURE, 1, ret_value);
    case EL_FIGURE_POWER:
        return read_field(device, EL_GPU_POWER, 1e-3, ret_value);
    }
    return false;
}

// ---- alerts ----

static void judge(struct el_alert *alert, bool known, double value) {
    const bool was_active = alert->active;
    const double margin = EL_MIN((double)EL_ALERT_MARGIN, alert->threshold / 2);
    alert->known = known;
    if (known && alert->threshold > 0) {
        alert->value = value;
        alert->active = value >= (was_active ? alert->threshold - margin : alert->threshold);
    }
    alert->changed = alert->active != was_active;
}

// ---- sampling ----

int el_sampler_open(int count, const double thresholds[EL_ALERT_COUNT], struct el_sampler **ret_sampler) {
    struct el_sampler *sampler = NULL;
    EL_TRY(el_zalloc(1, sizeof *sampler + (size_t)count * sizeof sampler->devices[0], &sampler));
    sampler->count = count;
    for (int i = 0; i < count; i++)
        for (int kind = 0; kind < EL_ALERT_COUNT; kind++)
            sampler->devices[i].alerts[kind].threshold = thresholds[kind];
    *ret_sampler = sampler;
    return 0;
}

void el_sampler_close(struct el_sampler *sampler) {
    el_free(sampler);
}

static void add(struct sampled *sampled, uint64_t now_ns, const struct el_device_health *device) {
    double values[EL_FIGURE_COUNT] = {0};
    bool known[EL_FIGURE_COUNT];
    for (int figure = 0; figure < EL_FIGURE_COUNT; figure++) {
        known[figure] = read_figure(device, (enum el_figure)figure, &values[figure]);
        if (known[figure]) el_history_add(&sampled->figures[figure], now_ns, values[figure]);
    }
    for (int kind = 0; kind < EL_ALERT_COUNT; kind++)
        judge(&sampled->alerts[kind], known[alert_figures[kind]], values[alert_figures[kind]]);
}

void el_sampler_add(struct el_sampler *sampler, uint64_t now_ns, const struct el_health *health) {
    for (int i = 0; i < sampler->count && i < health->count; i++)
        add(&sampler->devices[i], now_ns, &health->devices[i]);
}

void el_sampler_read(const struct el_sampler *sampler, int i, uint64_t now_ns, int seconds,
                     struct el_samples *ret_samples) {
    const struct sampled *sampled = &sampler->devices[i];
    for (int figure = 0; figure < EL_FIGURE_COUNT; figure++)
        ret_samples->figures[figure] = el_history_span(&sampled->figures[figure], now_ns, seconds);
    for (int kind = 0; kind < EL_ALERT_COUNT; kind++)
        ret_samples->alerts[kind] = sampled->alerts[kind];
}

// ---- JSON ----

static int put_span(const struct el_span *span, struct el_str *json) {
    if (span->count == 0) return el_str_puts(json, "null");
    return el_str_printf(json, "{\"last\": %.1f, \"min\": %.1f, \"mean\": %.1f, \"max\": %.1f}", span->last,
                         span->min, span->sum / (double)span->count, span->max);
}

int el_samples_put_json(const char *id, const struct el_samples *samples, struct el_str *json) {
    const char *separator = "";
    EL_TRY(el_str_printf(json, "{\"id\": \"%s\", \"alerts\": [", id));
    for (int kind = 0; kind < EL_ALERT_COUNT; kind++) {
        if (!samples->alerts[kind].active) continue;
        EL_TRY(el_str_printf(json, "%s\"%s\"", separator, el_alert_names[kind]));
        separator = ", ";
    }
    EL_TRY(el_str_putc(json, ']'));
    for (int figure = 0; figure < EL_FIGURE_COUNT; figure++) {
        EL_TRY(el_str_printf(json, ", \"%s\": ", el_figures[figure].name));
        EL_TRY(put_span(&samples->figures[figure], json));
    }
    return el_str_putc(json, '}');
}
