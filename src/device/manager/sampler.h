// SPDX-License-Identifier: Apache-2.0
// What the looks at the devices have shown: memory, utilization, temperature and power of the last minutes,
// and the alerts that stand. It is fed with each look of el_manager_watch; it has no thread and no lock.
#ifndef EL_DEVICE_SAMPLER_H
#define EL_DEVICE_SAMPLER_H

#include "base/str.h"
#include "device/manager/history.h"
#include "device/manager/manager.h"

enum el_figure { EL_FIGURE_MEMORY, EL_FIGURE_UTILIZATION, EL_FIGURE_TEMPERATURE, EL_FIGURE_POWER };
enum { EL_FIGURE_COUNT = EL_FIGURE_POWER + 1 };

struct el_figure_info {
    const char *name; // "memory_pct", "utilization_pct", "temperature_c", "power_w"
    const char *text; // "memory", ...
    const char *unit; // "%", "%", "C", "W"
};
extern const struct el_figure_info el_figures[EL_FIGURE_COUNT];

// An alert is raised when its figure reaches the threshold, and ends when it is EL_ALERT_MARGIN below (half
// the threshold, where that is nearer), so that a figure which trembles about the threshold raises it once.
enum el_alert_kind { EL_ALERT_MEMORY, EL_ALERT_TEMPERATURE };
enum { EL_ALERT_COUNT = EL_ALERT_TEMPERATURE + 1, EL_ALERT_MARGIN = 5 };
extern const char *const el_alert_names[EL_ALERT_COUNT]; // "memory", "temperature"

struct el_alert {
    double threshold; // 0: never raised
    double value;     // of its figure, at the last look
    bool known;       // false: the device did not tell; the alert stays as it was
    bool active;
    bool changed; // by the last look
};

// One device, as of the last look.
struct el_samples {
    struct el_span figures[EL_FIGURE_COUNT];
    struct el_alert alerts[EL_ALERT_COUNT];
};

struct el_sampler;

// For the devices of a manager, `count` of them. `thresholds` by el_alert_kind: percent and degrees.
// EL_ENOMEM.
int el_sampler_open(int count, const double thresholds[EL_ALERT_COUNT], struct el_sampler **ret_sampler);
void el_sampler_close(struct el_sampler *sampler); // takes NULL

void el_sampler_add(struct el_sampler *sampler, uint64_t now_ns, const struct el_health *health);
// Device i; figures of the last `seconds`, at most EL_HISTORY_S.
void el_sampler_read(const struct el_sampler *sampler, int i, uint64_t now_ns, int seconds,
                     struct el_samples *ret_samples);

// Memory in use in percent: of the whole GPU by all processes where NVML tells, without what the pool keeps
// but would give back; or of the memory that this process may take, where that share is the larger. False
// where the device does not tell.
bool el_memory_pct(const struct el_device_health *device, double *ret_pct);

// {"id": "cuda:0", "alerts": ["memory"], "memory_pct": {"last": 91.0, "min": 40.0, "mean": 73.2,
// "max": 91.0}, ...}; what the device has not told is null. EL_ENOMEM.
int el_samples_put_json(const char *id, const struct el_samples *samples, struct el_str *json);

#endif
