// SPDX-License-Identifier: Apache-2.0
// How the devices are: asked of all at once, as JSON, and watched.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/manager/parts.h"
#include "eleanor/status.h"

enum { NS_PER_MS = 1000000 };

// ---- asking ----

// A run of a probe that was asked for.
struct question {
    unsigned opening; // of the device, when it was asked
    uint64_t number;
};

static struct question ask(struct el_managed *managed) {
    struct question question = {0};
    pthread_rwlock_rdlock(&managed->lock);
    question.opening = managed->openings;
    if (managed->probe) question.number = el_probe_ask(managed->probe);
    pthread_rwlock_unlock(&managed->lock);
    return question;
}

// As el_probe_answer; a device that is gone answers at once, and one that was opened again meanwhile is asked
// again.
static uint64_t answer(struct el_manager *manager, int i, struct question question, uint64_t until,
                       struct el_device_health *ret_health) {
    struct el_managed *managed = &manager->devices[i];
    struct el_device_health health = {0};
    uint64_t waiting = 0;
    pthread_rwlock_rdlock(&managed->lock);
    if (managed->probe) {
        if (question.opening != managed->openings) question.number = el_probe_ask(managed->probe);
        waiting = el_probe_answer(managed->probe, question.number, until, &health);
    } else {
        memcpy(health.id, managed->candidate->id, sizeof health.id);
        memcpy(health.error, managed->problem, sizeof health.error);
    }
    pthread_rwlock_unlock(&managed->lock);
    health.device_id = health.memory.device_id = i;
    *ret_health = health;
    return waiting;
}

void el_manager_health_check(struct el_manager *manager, int deadline_ms, struct el_health *ret_health) {
    struct question questions[EL_MANAGER_DEVICES];
    const uint64_t until =
        el_now_ns() + (uint64_t)(deadline_ms > 0 ? deadline_ms : EL_HEALTH_DEADLINE_MS) * NS_PER_MS;
    ret_health->healthy = true;
    ret_health->mode = manager->report.mode;
    ret_health->count = manager->count;
    for (int i = 0; i < manager->count; i++)
        questions[i] = ask(&manager->devices[i]);
    for (int i = 0; i < manager->count; i++) {
        answer(manager, i, questions[i], until, &ret_health->devices[i]);
        ret_health->healthy &= ret_health->devices[i].healthy;
    }
}

int el_manager_memory_stats(struct el_manager *manager, int i, struct el_memory_stats *ret_stats) {
    if (i < 0 || i >= manager->count)
        return el_fail(EL_ENOENT, "no device %d; there are %d in use, numbered from 0", i, manager->count);
    struct el_memory_stats stats = {0};
    pthread_rwlock_rdlock(&manager->devices[i].lock);
    if (manager->devices[i].device) el_device_memory_stats(manager->devices[i].device, &stats);
    pthread_rwlock_unlock(&manager->devices[i].lock);
    stats.device_id = i;
    *ret_stats = stats;
    return 0;
}

// ---- JSON ----

static int put_memory(const struct el_memory_stats *stats, struct el_str *json) {
    return el_str_printf(json,
                         "{\"device_id\": %d, \"allocated_mb\": %.1f, \"reserved_mb\": %.1f, "
                         "\"max_allocated_mb\": %.1f, \"total_mb\": %.1f, \"utilization_pct\": %.2f, "
                         "\"available\": %s}",
                         stats->device_id, stats->allocated_mb, stats->reserved_mb, stats->max_allocated_mb,
                         stats->total_mb, stats->utilization_pct, stats->available ? "true" : "false");
}

static int put_device(const struct el_device_health *health, struct el_str *json) {
    EL_TRY(el_str_printf(json, "{\"device_id\": %d, \"id\": \"%s\", \"healthy\": %s, \"canary_us\": ",
                         health->device_id, health->id, health->healthy ? "true" : "false"));
    EL_TRY(health->canary_ns ? el_str_printf(json, "%.1f", (double)health->canary_ns / 1e3)
                             : el_str_puts(json, "null"));
    EL_TRY(el_str_puts(json, ", \"error\": "));
    EL_TRY(health->error[0] ? el_str_put_json(json, health->error, strlen(health->error))
                            : el_str_puts(json, "null"));
    EL_TRY(el_str_puts(json, ", \"memory_stats\": "));
    EL_TRY(put_memory(&health->memory, json));
    EL_TRY(el_str_puts(json, ", \"nvml\": "));
    EL_TRY(health->has_reading ? el_gpu_reading_put_json(&health->reading, json) : el_str_puts(json, "null"));
    return el_str_putc(json, '}');
}

int el_health_put_json(const struct el_health *health, struct el_str *json) {
    EL_TRY(el_str_printf(json, "{\"healthy\": %s, \"mode\": \"%s\", \"devices\": [",
                         health->healthy ? "true" : "false", health->mode));
    for (int i = 0; i < health->count; i++) {
        if (i > 0) EL_TRY(el_str_puts(json, ", "));
        EL_TRY(put_device(&health->devices[i], json));
    }
    return el_str_puts(json, "]}");
}

// ---- watching ----

// One look at all devices. One that is slow to answer stays as it was: it may have much to do. One that takes
// the deadline is not healthy.
static void look(struct el_manager *manager) {
    struct question questions[EL_MANAGER_DEVICES];
    struct el_watch *watch = &manager->watch;
    struct el_health *health = &watch->health;
    const uint64_t until = el_now_ns() + (uint64_t)watch->interval_ms * NS_PER_MS / 2;
    for (int i = 0; i < manager->count; i++)
        questions[i] = ask(&manager->devices[i]);
    health->healthy = true;
    for (int i = 0; i < manager->count; i++) {
        struct el_device_health device;
        const uint64_t waiting = answer(manager, i, questions[i], until, &device);
        if (waiting == 0 || waiting >= (uint64_t)EL_HEALTH_DEADLINE_MS * NS_PER_MS)
            health->devices[i] = device;
        health->healthy &= health->devices[i].healthy;
    }
    watch->looked(watch->context, health);
}

// False when the watch ends.
static bool sleep_until(struct el_watch *watch, uint64_t until) {
    pthread_mutex_lock(&watch->lock);
    while (!watch->stops && el_cond_wait_until(&watch->stopped, &watch->lock, until)) {
    }
    const bool goes_on = !watch->stops;
    pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

static void *watch_thread(void *context) {
    struct el_manager *manager = context;
    const uint64_t interval = (uint64_t)manager->watch.interval_ms * NS_PER_MS;
    el_thread_name("health");
    for (uint64_t next = el_now_ns() + interval; sleep_until(&manager->watch, next);
         next = EL_MAX(next + interval, el_now_ns()))
        look(manager);
    return NULL;
}

int el_manager_watch(struct el_manager *manager, int interval_ms, el_health_look_fn *looked, void *context) {
    struct el_watch *watch = &manager->watch;
    if (watch->runs || interval_ms < 0) return el_fail(EL_EINVAL, "the devices are watched already");
    *watch = (struct el_watch){.interval_ms = interval_ms ? interval_ms : EL_HEALTH_INTERVAL_MS,
                               .looked = looked,
                               .context = context};
    pthread_mutex_init(&watch->lock, NULL);
    el_cond_init(&watch->stopped);
    el_manager_health_check(manager, 0, &watch->health);
    looked(context, &watch->health);
    watch->runs = pthread_create(&watch->thread, NULL, watch_thread, manager) == 0;
    if (watch->runs) return 0;
    pthread_cond_destroy(&watch->stopped);
    pthread_mutex_destroy(&watch->lock);
    return el_fail(EL_ENOMEM, "no memory for the thread that watches the devices");
}

void el_manager_unwatch(struct el_manager *manager) {
    struct el_watch *watch = &manager->watch;
    if (!watch->runs) return;
    pthread_mutex_lock(&watch->lock);
    watch->stops = true;
    pthread_cond_signal(&watch->stopped);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->stopped);
    pthread_mutex_destroy(&watch->lock);
    watch->runs = false;
}
