// SPDX-License-Identifier: Apache-2.0
// Looking at devices, and what is logged of that.
#include "serve/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

enum {
    INTERVAL_MS = 500,
    ALERT_MARGIN = 5, // percent below the threshold at which an alert is over
};

struct el_monitor {
    struct el_manager *manager;
    const struct el_config *config;
    pthread_t thread;
    bool started;
    uint64_t logged_ns; // when the memory was logged last
    bool unhealthy[EL_MANAGER_DEVICES], alerted[EL_MANAGER_DEVICES];

    pthread_mutex_t lock; // guards all below
    pthread_cond_t stopped;
    bool stops;
    struct el_health health;
};

// ---- logging ----

// Memory in use in percent: of all processes where NVML tells, else of this one.
static double used_pct(const struct el_device_health *device) {
    const struct el_gpu_reading *reading = &device->reading;
    if (!device->has_reading || !el_gpu_knows(reading, EL_GPU_MEMORY_USED) ||
        !el_gpu_knows(reading, EL_GPU_MEMORY_TOTAL) || reading->value[EL_GPU_MEMORY_TOTAL] == 0)
        return device->memory.utilization_pct;
    return 100.0 * (double)reading->value[EL_GPU_MEMORY_USED] / (double)reading->value[EL_GPU_MEMORY_TOTAL];
}

static void log_health(struct el_monitor *monitor, int i, const struct el_device_health *device) {
    if (device->healthy != monitor->unhealthy[i]) return;
    monitor->unhealthy[i] = !device->healthy;
    if (device->healthy)
        el_info("%s is healthy again", device->id);
    else
        el_warn("%s is not healthy: %s", device->id, device->error);
}

static void log_alert(struct el_monitor *monitor, int i, const struct el_device_health *device) {
    const double used = used_pct(device), threshold = (double)monitor->config->alert_threshold_pct;
    if (threshold > 0 && used >= threshold && !monitor->alerted[i]) {
        el_warn("%s: %.0f %% of its memory is used; alert_threshold_pct is %.0f", device->id, used,
                threshold);
        monitor->alerted[i] = true;
    } else if (used < threshold - ALERT_MARGIN) {
        monitor->alerted[i] = false;
    }
}

static void log_memory(const struct el_device_health *device) {
    const struct el_memory_stats *memory = &device->memory;
    if (memory->available)
        el_info("%s: %.0f MB allocated, %.0f reserved, %.0f at most, of %.0f; %.0f %% of its memory used",
                device->id, memory->allocated_mb, memory->reserved_mb, memory->max_allocated_mb,
                memory->total_mb, used_pct(device));
}

static void log_all(struct el_monitor *monitor, const struct el_health *health) {
    const uint64_t now = el_now_ns(),
                   interval = (uint64_t)monitor->config->memory_check_interval * 1000000000u;
    const bool is_due = monitor->config->log_memory_stats && now - monitor->logged_ns >= interval;
    if (is_due) monitor->logged_ns = now;
    for (int i = 0; i < health->count; i++) {
        log_health(monitor, i, &health->devices[i]);
        log_alert(monitor, i, &health->devices[i]);
        if (is_due) log_memory(&health->devices[i]);
    }
}

// ---- looking ----

static void look(struct el_monitor *monitor) {
    struct el_health *health = NULL;
    if (el_zalloc(1, sizeof *health, &health) < 0) return; // the next look may have better luck
    el_manager_health_check(monitor->manager, 0, health);
    pthread_mutex_lock(&monitor->lock);
    monitor->health = *health;
    pthread_mutex_unlock(&monitor->lock);
    log_all(monitor, health);
    el_free(health);
}

// False when the monitor ends.
static bool rest(struct el_monitor *monitor) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += INTERVAL_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&monitor->lock);
    while (!monitor->stops &&
           pthread_cond_timedwait(&monitor->stopped, &monitor->lock, &until) != ETIMEDOUT) {
    }
    const bool goes_on = !monitor->stops;
    pthread_mutex_unlock(&monitor->lock);
    return goes_on;
}

static void *monitor_main(void *argument) {
    struct el_monitor *monitor = argument;
    el_thread_name("el-monitor");
    while (rest(monitor))
        look(monitor);
    return NULL;
}

int el_monitor_open(struct el_manager *manager, const struct el_config *config,
                    struct el_monitor **ret_monitor) {
    struct el_monitor *monitor = NULL;
    pthread_condattr_t monotonic;
    EL_TRY(el_zalloc(1, sizeof *monitor, &monitor));
    monitor->manager = manager;
    monitor->config = config;
    pthread_mutex_init(&monitor->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&monitor->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    look(monitor);
    const int error = pthread_create(&monitor->thread, NULL, monitor_main, monitor);
    monitor->started = error == 0;
    if (error) {
        el_monitor_close(monitor);
        return el_fail(EL_ENOMEM, "cannot start the monitor of the devices: %s", strerror(error));
    }
    *ret_monitor = monitor;
    return 0;
}

void el_monitor_close(struct el_monitor *monitor) {
    if (!monitor) return;
    pthread_mutex_lock(&monitor->lock);
    monitor->stops = true;
    pthread_cond_signal(&monitor->stopped);
    pthread_mutex_unlock(&monitor->lock);
    if (monitor->started) pthread_join(monitor->thread, NULL);
    pthread_cond_destroy(&monitor->stopped);
    pthread_mutex_destroy(&monitor->lock);
    el_free(monitor);
}

void el_monitor_read(struct el_monitor *monitor, struct el_health *ret_health) {
    pthread_mutex_lock(&monitor->lock);
    *ret_health = monitor->health;
    pthread_mutex_unlock(&monitor->lock);
}
