// SPDX-License-Identifier: Apache-2.0
// What is kept of the looks at the devices, and what is logged of them.
#include "serve/monitor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

struct el_monitor {
    struct el_manager *manager;
    const struct el_config *config;
    uint64_t logged_ns; // when the memory was logged last
    bool unhealthy[EL_MANAGER_DEVICES];

    pthread_mutex_t lock; // guards all below
    struct el_health health;
    struct el_sampler *sampler;
};

// ---- logging ----

static void log_health(struct el_monitor *monitor, int i, const struct el_device_health *device) {
    if (device->healthy != monitor->unhealthy[i]) return;
    monitor->unhealthy[i] = !device->healthy;
    if (device->healthy)
        el_info("%s is healthy again", device->id);
    else
        el_warn("%s is not healthy: %s", device->id, device->error);
}

// One line when an alert is raised, one when it is over.
static void log_alerts(const char *id, const struct el_alert alerts[EL_ALERT_COUNT]) {
    const struct el_alert *memory = &alerts[EL_ALERT_MEMORY], *heat = &alerts[EL_ALERT_TEMPERATURE];
    if (memory->changed && memory->active)
        el_warn("%s: %.0f %% of its memory is used; alert_threshold_pct is %.0f", id, memory->value,
                memory->threshold);
    else if (memory->changed)
        el_info("%s: only %.0f %% of its memory is used again", id, memory->value);
    if (heat->changed && heat->active)
        el_warn("%s has %.0f C; alert_temperature_c is %.0f: see to its cooling", id, heat->value,
                heat->threshold);
    else if (heat->changed)
        el_info("%s has cooled down to %.0f C", id, heat->value);
}

// "cuda:0: 80 MB allocated, ...; in the last 60 s memory 3 to 12 %, utilization 0 to 98 %"
static void log_memory(const struct el_monitor *monitor, int i, uint64_t now) {
    const struct el_device_health *device = &monitor->health.devices[i];
    const struct el_memory_stats *memory = &device->memory;
    const int seconds = (int)EL_MIN(monitor->config->memory_check_interval, (int64_t)EL_HISTORY_S);
    struct el_str text el_auto(el_str_done) = {0};
    struct el_samples samples;
    if (!memory->available) return;
    el_sampler_read(monitor->sampler, i, now, seconds, &samples);
    int status = 0;
    for (int figure = 0; status == 0 && figure < EL_FIGURE_COUNT; figure++) {
        const struct el_span *span = &samples.figures[figure];
        if (span->count > 0)
            status = el_str_printf(&text, ", %s %.0f to %.0f %s", el_figures[figure].text, span->min,
                                   span->max, el_figures[figure].unit);
    }
    el_info("%s: %.0f MB allocated, %.0f reserved, %.0f at most, of %.0f; in the last %d s%s", device->id,
            memory->allocated_mb, memory->reserved_mb, memory->max_allocated_mb, memory->total_mb, seconds,
            status == 0 && text.data ? text.data + 1 : " nothing more is known");
}

static void log_look(struct el_monitor *monitor, uint64_t now) {
    const uint64_t interval = (uint64_t)monitor->config->memory_check_interval * 1000000000u;
    const bool is_due = monitor->config->log_memory_stats && now - monitor->logged_ns >= interval;
    if (is_due) monitor->logged_ns = now;
    for (int i = 0; i < monitor->health.count; i++) {
        struct el_samples samples;
        el_sampler_read(monitor->sampler, i, now, 1, &samples);
        log_health(monitor, i, &monitor->health.devices[i]);
        log_alerts(monitor->health.devices[i].id, samples.alerts);
        if (is_due) log_memory(monitor, i, now);
    }
}

// ---- looking ----

// On the watching thread, the only one that writes: it may read what it has written without the lock.
static void take_look(void *context, const struct el_health *health) {
    struct el_monitor *monitor = context;
    const uint64_t now = el_now_ns();
    pthread_mutex_lock(&monitor->lock);
    monitor->health = *health;
    el_sampler_add(monitor->sampler, now, health);
    pthread_mutex_unlock(&monitor->lock);
    log_look(monitor, now);
}

int el_monitor_open(struct el_manager *manager, const struct el_config *config,
                    struct el_monitor **ret_monitor) {
    const double thresholds[EL_ALERT_COUNT] = {
        [EL_ALERT_MEMORY] = (double)config->alert_threshold_pct,
        [EL_ALERT_TEMPERATURE] = (double)config->alert_temperature_c,
    };
    struct el_monitor *monitor = NULL;
    EL_TRY(el_zalloc(1, sizeof *monitor, &monitor));
    monitor->manager = manager;
    monitor->config = config;
    pthread_mutex_init(&monitor->lock, NULL);
    int status = el_sampler_open(el_manager_count(manager), thresholds, &monitor->sampler);
    if (status == 0) status = el_manager_watch(manager, 0, take_look, monitor);
    if (status < 0) {
        el_monitor_close(monitor);
        return status;
    }
    *ret_monitor = monitor;
    return 0;
}

void el_monitor_close(struct el_monitor *monitor) {
    if (!monitor) return;
    el_manager_unwatch(monitor->manager);
    el_sampler_close(monitor->sampler);
    pthread_mutex_destroy(&monitor->lock);
    el_free(monitor);
}

void el_monitor_read(struct el_monitor *monitor, struct el_monitor_view *ret_view) {
    const uint64_t now = el_now_ns();
    pthread_mutex_lock(&monitor->lock);
    ret_view->health = monitor->health;
    for (int i = 0; i < monitor->health.count; i++)
        el_sampler_read(monitor->sampler, i, now, EL_HISTORY_S, &ret_view->samples[i]);
    pthread_mutex_unlock(&monitor->lock);
}
