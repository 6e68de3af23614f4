// SPDX-License-Identifier: Apache-2.0
// Calls enter and leave; opening the device again waits until all have left, and calls that come meanwhile
// wait for it.
#include "engine/replica.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/manager/manager.h"
#include "device/pool.h"
#include "device/trace.h"
#include "ops/ops.h"

enum { MOST_REOPENINGS = 2 };                       // of a device within REOPENINGS_NS
static const uint64_t REOPENINGS_NS = 600000000000; // ten minutes

struct el_replica {
    struct el_replica_options options;
    char *name; // of the device; owned

    pthread_mutex_t lock; // guards all below
    pthread_cond_t changed;
    int running;
    bool alone;               // one thread has all that follows to itself
    int recent;               // reopenings since `since_ns`
    uint64_t since_ns;        // on the clock of el_now_ns
    struct el_device *device; // NULL: none
    struct el_target target;
    void *model;
    int *tracks;           // [workers] of the device's trace; 0: no span yet
    struct el_exec *execs; // [workers]; those with ops are open. A worker's own while it runs.
    struct el_replica_state shown;
};

// ---- the device ----

static void leave_device(struct el_replica *replica) {
    for (int i = 0; i < replica->options.workers; i++) {
        el_exec_close(&replica->execs[i]);
        replica->execs[i] = (struct el_exec){0};
        replica->tracks[i] = 0; // of another device from now on
    }
    if (replica->model) replica->options.unload(replica->model);
    replica->model = NULL;
    el_device_close(replica->device);
    replica->device = NULL;
}

static int init_target(struct el_replica *replica) {
    const struct el_replica_options *options = &replica->options;
    int status = el_target_init(replica->device, options->precision, &replica->target);
    if (status == EL_EUNSUPPORTED && options->any_precision)
        status = el_target_init(replica->device, EL_PRECISION_AUTO, &replica->target);
    return status;
}

// Opens the device and loads the model there.
static int enter_device(struct el_replica *replica, int threads) {
    const struct el_replica_options *options = &replica->options;
    int status = el_manager_acquire(options->manager, replica->name, &replica->device);
    if (status == 0) status = init_target(replica);
    if (status == 0) status = options->load(options->context, &replica->target, threads, &replica->model);
    if (status < 0) leave_device(replica);
    return status;
}

static void show(struct el_replica *replica) {
    struct el_replica_state *shown = &replica->shown;
    shown->open = replica->device != NULL;
    if (!shown->open) return; // where it was
    shown->facts = replica->device->facts;
    shown->memory = el_device_memory(replica->device);
    shown->precision = replica->target.precision;
    shown->ops = replica->target.ops->name;
    shown->on_host = el_device_is_host(replica->device);
    snprintf(shown->device, sizeof shown->device, "%s", replica->device->id);
}

// Whether it may be tried once more, which counts.
static bool may_reopen(struct el_replica *replica) {
    const uint64_t now = el_now_ns();
    if (now - replica->since_ns > REOPENINGS_NS) {
        replica->since_ns = now;
        replica->recent = 0;
    }
    return replica->recent++ < MOST_REOPENINGS;
}

// Nobody is in, and nobody comes in; the lock is not held, so that others can ask how it stands.
static int reopen(struct el_replica *replica) {
    leave_device(replica);
    int status = el_fail(EL_ELOST, "%s was lost more than %d times within ten minutes", replica->name,
                         MOST_REOPENINGS);
    while (status < 0 && may_reopen(replica))
        status = enter_device(replica, replica->options.threads);
    return status;
}

// Waits until all calls have left; those that come then wait until it ends.
static void begin_alone(struct el_replica *replica) {
    pthread_mutex_lock(&replica->lock);
    while (replica->alone)
        pthread_cond_wait(&replica->changed, &replica->lock);
    replica->alone = true;
    while (replica->running > 0)
        pthread_cond_wait(&replica->changed, &replica->lock);
    pthread_mutex_unlock(&replica->lock);
}

static void end_alone(struct el_replica *replica) {
    pthread_mutex_lock(&replica->lock);
    replica->alone = false;
    show(replica);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void note_loss(struct el_replica *replica) {
    pthread_mutex_lock(&replica->lock);
    if (replica->device)
        snprintf(replica->shown.loss, sizeof replica->shown.loss, "%s", replica->device->loss);
    pthread_mutex_unlock(&replica->lock);
}

int el_replica_reopen(struct el_replica *replica) {
    begin_alone(replica);
    note_loss(replica);
    int status = reopen(replica);
    end_alone(replica);
    return status;
}

int el_replica_rejoin(struct el_replica *replica) {
    begin_alone(replica);
    int status = enter_device(replica, 1);
    end_alone(replica);
    return status;
}

void el_replica_trim(struct el_replica *replica) {
    begin_alone(replica);
    for (int i = 0; i < replica->options.workers; i++)
        if (replica->execs[i].ops) el_exec_trim(&replica->execs[i]);
    if (replica->device) el_pool_trim(replica->device->pool);
    end_alone(replica);
}

// ---- running ----

// Counts a call that worked and puts it into the device's trace, a track for each worker.
static void note_call(struct el_replica *replica, int worker, uint64_t began_ns) {
    struct el_device *device = replica->device;
    const uint64_t ended_ns = el_now_ns();
    atomic_fetch_add(&device->busy_ns, ended_ns - began_ns);
    if (!device->trace) return;
    if (replica->tracks[worker] == 0) {
        char name[64];
        snprintf(name, sizeof name, "%s worker %d", device->id, worker);
        replica->tracks[worker] = el_trace_track(device->trace, name);
    }
    el_trace_span(device->trace, replica->tracks[worker], "batch", began_ns, ended_ns, 0);
}

static int run_once(struct el_replica *replica, int worker, struct el_team *team, el_replica_fn *fn,
                    void *context) {
    struct el_exec *exec = &replica->execs[worker];
    if (!exec->ops) EL_TRY(el_exec_open(&replica->target, team, exec));
    exec->team = team;
    const struct el_exec_mark mark = el_exec_mark(exec);
    const uint64_t began = el_now_ns();
    int status = fn(context, replica->model, exec);
    if (status < 0) el_exec_settle(exec, status);
    if (status == 0) note_call(replica, worker, began);
    el_exec_release(exec, mark);
    if (status == EL_ENOMEM) el_exec_trim(exec); // what a large batch took may be what is missing
    return status;
}

int el_replica_run(struct el_replica *replica, int worker, struct el_team *team, el_replica_fn *fn,
                   void *context) {
    pthread_mutex_lock(&replica->lock);
    while (replica->alone)
        pthread_cond_wait(&replica->changed, &replica->lock);
    if (!replica->device) {
        pthread_mutex_unlock(&replica->lock);
        return el_fail(EL_ELOST, "%s is lost", replica->name);
    }
    replica->running++;
    pthread_mutex_unlock(&replica->lock);
    int status = run_once(replica, worker, team, fn, context);
    pthread_mutex_lock(&replica->lock);
    if (--replica->running == 0) pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
    return status;
}

// ---- the replica ----

static int init(struct el_replica *replica) {
    const size_t workers = (size_t)replica->options.workers;
    EL_TRY(el_strdup(replica->options.device, &replica->name));
    EL_TRY(el_zalloc(workers, sizeof *replica->tracks, &replica->tracks));
    EL_TRY(el_zalloc(workers, sizeof *replica->execs, &replica->execs));
    int status = enter_device(replica, replica->options.threads);
    return status == EL_ELOST ? el_replica_reopen(replica) : status;
}

int el_replica_open(const struct el_replica_options *options, struct el_replica **ret_replica) {
    struct el_replica *replica = NULL;
    EL_TRY(el_zalloc(1, sizeof *replica, &replica));
    replica->options = *options;
    replica->shown = (struct el_replica_state){.ops = "none"};
    snprintf(replica->shown.device, sizeof replica->shown.device, "%s", options->device);
    pthread_mutex_init(&replica->lock, NULL);
    pthread_cond_init(&replica->changed, NULL);
    int status = init(replica);
    if (status < 0) {
        el_replica_close(replica);
        return status;
    }
    show(replica);
    *ret_replica = replica;
    return 0;
}

void el_replica_close(struct el_replica *replica) {
    if (!replica) return;
    if (replica->execs) leave_device(replica);
    pthread_cond_destroy(&replica->changed);
    pthread_mutex_destroy(&replica->lock);
    el_free(replica->execs);
    el_free(replica->tracks);
    el_free(replica->name);
    el_free(replica);
}

void el_replica_state(struct el_replica *replica, struct el_replica_state *ret_state) {
    pthread_mutex_lock(&replica->lock);
    *ret_state = replica->shown;
    pthread_mutex_unlock(&replica->lock);
}
