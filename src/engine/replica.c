// SPDX-License-Identifier: Apache-2.0
// Calls enter and leave; a move waits until all have left, and calls that come meanwhile wait for the move.
#include "engine/replica.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/manager.h"
#include "device/trace.h"
#include "ops/ops.h"

enum { SAME_DEVICE_TRIES = 2 }; // how often a device that was lost is opened again before the next is taken

struct el_replica {
    struct el_replica_options options;
    char **devices; // owned
    int place;      // of the list; device_count: none is left
    int reopened;   // times that the current device was opened again

    pthread_mutex_t lock; // guards all below
    pthread_cond_t changed;
    int running;
    bool moving;
    uint64_t moves;
    struct el_device *device; // NULL: none
    struct el_target target;
    void *model;
    int *tracks;           // [workers] of the device's trace; 0: no span yet
    struct el_exec *execs; // [workers]; those with ops are open. A worker's own while it runs.
    struct el_replica_state shown;
};

// ---- one device ----

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

static int init_target(const struct el_replica *replica, bool strict, struct el_target *ret_target) {
    int status = el_target_init(replica->device, replica->options.precision, ret_target);
    if (status == EL_EUNSUPPORTED && !strict)
        status = el_target_init(replica->device, EL_PRECISION_AUTO, ret_target);
    return status;
}

static void show(struct el_replica *replica) {
    struct el_replica_state state = {.device = "none", .ops = "none", .moves = replica->moves};
    if (replica->device) {
        state.facts = replica->device->facts;
        state.precision = replica->target.precision;
        state.ops = replica->target.ops->name;
        state.on_host = el_device_is_host(replica->device);
        snprintf(state.device, sizeof state.device, "%s", replica->device->id);
    }
    replica->shown = state;
}

// Opens devices[place] and loads the model there. `strict`: in the precision that was asked for.
static int enter_device(struct el_replica *replica, bool strict) {
    const struct el_replica_options *options = &replica->options;
    int status = el_manager_acquire(options->manager, replica->devices[replica->place], &replica->device);
    if (status == 0) status = init_target(replica, strict, &replica->target);
    if (status == 0) status = options->load(options->context, &replica->target, &replica->model);
    if (status < 0) leave_device(replica);
    return status;
}

// ---- moving ----

static void say_move(const struct el_replica *replica, const char *lost, const char *why, char *text,
                     size_t size) {
    if (replica->device)
        snprintf(text, size, "%s was lost (%s); the model was loaded again on %s (%s)", lost, why,
                 replica->device->id, replica->device->facts.name);
    else
        snprintf(text, size, "%s was lost (%s), and no other device is left", lost, why);
}

// The same device again, a few times, then down the list.
static void find_place(struct el_replica *replica) {
    while (replica->place < replica->options.device_count) {
        if (replica->reopened++ < SAME_DEVICE_TRIES && enter_device(replica, false) == 0) return;
        if (replica->reopened <= SAME_DEVICE_TRIES) continue;
        replica->place++;
        replica->reopened = 0;
        if (replica->place < replica->options.device_count && enter_device(replica, false) == 0) return;
    }
}

// Away from the device at `place`, whose loss is this thread's last error. Nobody is in, and nobody comes in
// before it ends; the lock is not held, so that others can ask meanwhile how it stands.
static int leave_lost(struct el_replica *replica) {
    char why[256], text[640];
    const char *lost = replica->devices[replica->place];
    snprintf(why, sizeof why, "%s", el_error_detail());
    leave_device(replica);
    find_place(replica);
    say_move(replica, lost, why, text, sizeof text);
    int status = replica->device ? 0 : el_fail_copy(EL_ELOST, text);

    pthread_mutex_lock(&replica->lock);
    replica->moves++;
    replica->moving = false;
    show(replica);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
    if (replica->options.notice) replica->options.notice(replica->options.context, text);
    return status;
}

// Moves away from the device that call number `seen` found lost, unless another has done so. Locked; the
// error's detail is this thread's.
static int move(struct el_replica *replica, uint64_t seen) {
    while (replica->moving)
        pthread_cond_wait(&replica->changed, &replica->lock);
    if (replica->moves != seen) return 0;
    replica->moving = true;
    while (replica->running > 0)
        pthread_cond_wait(&replica->changed, &replica->lock);
    pthread_mutex_unlock(&replica->lock);
    int status = leave_lost(replica);
    pthread_mutex_lock(&replica->lock);
    return status;
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
    if (status < 0) {
        char detail[512];
        snprintf(detail, sizeof detail, "%s", el_error_detail());
        el_exec_sync(exec); // what was queued still uses the temporaries
        el_fail_copy(status, detail);
    }
    if (status == 0) note_call(replica, worker, began);
    el_exec_release(exec, mark);
    if (status == EL_ENOMEM) el_exec_trim(exec); // what a large batch took may be what is missing
    return status;
}

int el_replica_run(struct el_replica *replica, int worker, struct el_team *team, el_replica_fn *fn,
                   void *context) {
    pthread_mutex_lock(&replica->lock);
    int status;
    do {
        while (replica->moving)
            pthread_cond_wait(&replica->changed, &replica->lock);
        if (!replica->device) {
            status = el_fail(EL_ELOST, "no device is left to compute on");
            break;
        }
        const uint64_t seen = replica->moves;
        replica->running++;
        pthread_mutex_unlock(&replica->lock);
        status = run_once(replica, worker, team, fn, context);
        pthread_mutex_lock(&replica->lock);
        if (--replica->running == 0) pthread_cond_broadcast(&replica->changed);
        if (status != EL_ELOST) break;
        status = move(replica, seen);
    } while (status == 0);
    pthread_mutex_unlock(&replica->lock);
    return status;
}

// ---- the replica ----

static int copy_devices(struct el_replica *replica, const struct el_replica_options *options) {
    EL_TRY(el_zalloc((size_t)options->device_count, sizeof *replica->devices, &replica->devices));
    for (int i = 0; i < options->device_count; i++)
        EL_TRY(el_strdup(options->devices[i], &replica->devices[i]));
    EL_TRY(el_zalloc((size_t)options->workers, sizeof *replica->tracks, &replica->tracks));
    return el_zalloc((size_t)options->workers, sizeof *replica->execs, &replica->execs);
}

int el_replica_open(const struct el_replica_options *options, struct el_replica **ret_replica) {
    struct el_replica *replica = NULL;
    EL_TRY(el_zalloc(1, sizeof *replica, &replica));
    replica->options = *options;
    pthread_mutex_init(&replica->lock, NULL);
    pthread_cond_init(&replica->changed, NULL);
    int status = copy_devices(replica, options);
    if (status == 0) status = enter_device(replica, true);
    if (status == EL_ELOST) status = leave_lost(replica);
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
    for (int i = 0; replica->devices && i < replica->options.device_count; i++)
        el_free(replica->devices[i]);
    pthread_cond_destroy(&replica->changed);
    pthread_mutex_destroy(&replica->lock);
    el_free(replica->execs);
    el_free(replica->tracks);
    el_free(replica->devices);
    el_free(replica);
}

void el_replica_state(struct el_replica *replica, struct el_replica_state *ret_state) {
    pthread_mutex_lock(&replica->lock);
    *ret_state = replica->shown;
    ret_state->moving = replica->moving;
    pthread_mutex_unlock(&replica->lock);
}
