// SPDX-License-Identifier: Apache-2.0
// The thread that runs canaries on one device.
#include "device/manager/probe.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/canary.h"

enum {
    GROUPS = 8,  // of the canary kernel, for as many multiprocessors
    LANES = 256, // of a group
    ROUNDS = 4,
    WORDS = GROUPS * LANES,
};

struct el_probe {
    struct el_device *device;
    struct el_nvml *nvml;
    int gpu;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; // on the clock of el_now_ns
    // Guarded by `lock`.
    uint64_t asked, begun, ended; // numbers of runs
    uint64_t waiting_since;       // of el_now_ns: how long the run that did not end lasts
    struct el_device_health last; // of the run `ended`
    bool stops, has_stopped, is_left;
    // The thread's own.
    struct el_stream stream;
    struct el_buffer buffer;
    uint32_t seed; // another one for each run: no bits of an earlier run pass for this one's
    uint32_t right[WORDS], got[WORDS];
};

// ---- the canary ----

static int check_bits(const struct el_probe *probe) {
    for (int i = 0; i < WORDS; i++)
        if (probe->got[i] != probe->right[i])
            return el_fail(EL_EIO, "%s computes wrong: word %d of the canary is %08x, not %08x",
                           probe->device->id, i, probe->got[i], probe->right[i]);
    return 0;
}

// The processor's canary: the same chains, whose sum for one seed is known.
static int run_on_processor(struct el_probe *probe) {
    enum { SEED = 1 };
    const uint32_t right = 0x09d134d4;
    uint32_t sum = 0;
    el_canary_expect(SEED, ROUNDS, GROUPS, probe->got);
    for (int i = 0; i < WORDS; i++)
        sum = sum * 31 + probe->got[i];
    if (sum == right) return 0;
    return el_fail(EL_EIO, "%s computes wrong: the canary's sum is %08x, not %08x", probe->device->id, sum,
                   right);
}

static int run_on_device(struct el_probe *probe) {
    struct el_device *device = probe->device;
    if (!probe->stream.device) EL_TRY(el_stream_open(device, &probe->stream));
    if (!probe->buffer.device) EL_TRY(el_buffer_open(device, sizeof probe->got, &probe->buffer));
    const struct el_arg args[] = {EL_MEMORY(probe->buffer.address), EL_INT(probe->seed), EL_INT(ROUNDS)};
    const struct el_launch launch = {
        .kernel = EL_KERNEL_canary, .groups = {GROUPS, 1, 1}, .args = args, .arg_count = EL_COUNT(args)};
    memset(probe->got, 0, sizeof probe->got);
    EL_TRY(el_stream_launch(&probe->stream, &launch));
    EL_TRY(el_stream_download(&probe->stream, probe->got, probe->buffer.address, sizeof probe->got));
    EL_TRY(el_stream_sync(&probe->stream));
    el_canary_expect((int)probe->seed, ROUNDS, GROUPS, probe->right);
    return check_bits(probe);
}

static void run(struct el_probe *probe, struct el_device_health *health) {
    const uint64_t begin = el_now_ns();
    probe->seed += 0x9e3779b9u;
    int status = el_device_is_host(probe->device) ? run_on_processor(probe) : run_on_device(probe);
    health->canary_ns = el_now_ns() - begin;
    health->canary_right = status == 0;
    if (status < 0) snprintf(health->error, sizeof health->error, "%s", el_error_detail());
    if (probe->nvml && probe->gpu >= 0) {
        el_nvml_read(probe->nvml, probe->gpu, &health->reading);
        health->has_reading = true;
        if (health->reading.is_lost)
            snprintf(health->error, sizeof health->error, "%s has fallen off the bus (NVML)", health->id);
    }
    el_device_memory_stats(probe->device, &health->memory);
    health->busy_ns = atomic_load(&probe->device->busy_ns);
    health->healthy = health->canary_right && !health->reading.is_lost;
}

static void free_probe(struct el_probe *probe) {
    el_nvml_close(probe->nvml);
    el_device_close(probe->device);
    pthread_cond_destroy(&probe->changed);
    pthread_mutex_destroy(&probe->lock);
    el_free(probe);
}

static void *probe_thread(void *context) {
    struct el_probe *probe = context;
    el_thread_name("probe");
    pthread_mutex_lock(&probe->lock);
    for (;;) {
        while (!probe->stops && probe->asked == probe->ended)
            pthread_cond_wait(&probe->changed, &probe->lock);
        if (probe->stops) break;
        const uint64_t number = probe->begun = probe->asked;
        struct el_device_health health = {0};
        memcpy(health.id, probe->device->id, sizeof health.id);
        pthread_mutex_unlock(&probe->lock);
        run(probe, &health);
        pthread_mutex_lock(&probe->lock);
        probe->last = health;
        probe->ended = number;
        probe->waiting_since = el_now_ns();
        pthread_cond_broadcast(&probe->changed);
    }
    pthread_mutex_unlock(&probe->lock);
    el_buffer_close(&probe->buffer);
    el_stream_close(&probe->stream);
    pthread_mutex_lock(&probe->lock);
    const bool is_left = probe->is_left;
    probe->has_stopped = true;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
    if (is_left) free_probe(probe); // else whoever closes it does
    return NULL;
}

// ---- asking ----

int el_probe_open(struct el_device *device, struct el_nvml *nvml, int gpu, struct el_probe **ret_probe) {
    struct el_probe *probe = NULL;
    assert(el_kernels[EL_KERNEL_canary].lanes == LANES);
    EL_TRY(el_zalloc(1, sizeof *probe, &probe));
    probe->device = el_device_ref(device);
    probe->nvml = el_nvml_ref(nvml);
    probe->gpu = gpu;
    probe->seed = (uint32_t)el_now_ns();
    pthread_mutex_init(&probe->lock, NULL);
    el_cond_init(&probe->changed);
    if (pthread_create(&probe->thread, NULL, probe_thread, probe) != 0) {
        free_probe(probe);
        return el_fail(EL_ENOMEM, "no memory for the thread that probes %s", device->id);
    }
    *ret_probe = probe;
    return 0;
}

bool el_probe_close(struct el_probe *probe, int timeout_ms) {
    if (!probe) return true;
    const uint64_t until = el_now_ns() + (uint64_t)timeout_ms * 1000000u;
    pthread_mutex_lock(&probe->lock);
    probe->stops = true;
    pthread_cond_broadcast(&probe->changed);
    while (!probe->has_stopped && el_cond_wait_until(&probe->changed, &probe->lock, until)) {
    }
    const bool has_stopped = probe->has_stopped;
    probe->is_left = !has_stopped;
    pthread_mutex_unlock(&probe->lock);
    if (has_stopped) {
        pthread_join(probe->thread, NULL);
        free_probe(probe);
    } else {
        pthread_detach(probe->thread);
    }
    return has_stopped;
}

uint64_t el_probe_ask(struct el_probe *probe) {
    pthread_mutex_lock(&probe->lock);
    if (probe->asked == probe->ended) probe->waiting_since = el_now_ns();
    // A run that has begun may have looked already; the next one has not.
    if (probe->asked == probe->begun) probe->asked++;
    const uint64_t number = probe->asked;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
    return number;
}

uint64_t el_probe_answer(struct el_probe *probe, uint64_t number, uint64_t until_ns,
                         struct el_device_health *ret_health) {
    struct el_device_health health = {0};
    uint64_t waiting = 0;
    pthread_mutex_lock(&probe->lock);
    while (probe->ended < number && el_cond_wait_until(&probe->changed, &probe->lock, until_ns)) {
    }
    if (probe->ended >= number) {
        health = probe->last;
    } else {
        waiting = EL_MAX(el_now_ns() - probe->waiting_since, 1);
        memcpy(health.id, probe->device->id, sizeof health.id);
        snprintf(health.error, sizeof health.error, "%s has not answered for %.1f s", health.id,
                 (double)waiting / 1e9);
    }
    pthread_mutex_unlock(&probe->lock);
    *ret_health = health;
    return waiting;
}
