// SPDX-License-Identifier: Apache-2.0
// Replicas on all devices, and what happens when one of them is lost.
#include "engine/replicas.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "device/manager.h"

enum { MOST = EL_MANAGER_DEVICES + 1 };
_Static_assert((int)MOST <= (int)EL_BATCH_GROUPS, "a group for each device and the reserve");

struct el_replicas {
    struct el_replicas_options options;
    int count; // with the reserve
    struct el_batch_group groups[MOST];
    const char *devices[MOST];                   // the manager's
    _Atomic(struct el_replica *) replicas[MOST]; // NULL: not opened
    pthread_mutex_t lock;                        // one at a time gives up a device
};

// ---- groups ----

static bool is_host(const struct el_replicas *replicas, int device) {
    return el_streq(el_manager_candidate(replicas->options.manager, device)->kind, "cpu");
}

// Part `part` of `parts` of the processor.
static struct el_batch_group host_group(int threads, int part, int parts) {
    const int first = threads * part / parts, end = threads * (part + 1) / parts;
    const int share = EL_MAX(end - first, 1);
    return (struct el_batch_group){.workers = share, .threads = share, .first_processor = first};
}

// The manager's devices; where the processor is not among them, it is the reserve.
static void make_groups(struct el_replicas *replicas) {
    const struct el_replicas_options *options = &replicas->options;
    const int devices = el_manager_count(options->manager);
    int parts = 0, part = 0;
    for (int i = 0; i < devices; i++)
        parts += is_host(replicas, i);
    for (int i = 0; i < devices; i++) {
        replicas->devices[i] = el_manager_candidate(options->manager, i)->id;
        replicas->groups[i] = is_host(replicas, i) ? host_group(options->threads, part++, parts)
                                                   : (struct el_batch_group){.workers = options->streams};
    }
    replicas->count = devices;
    if (parts > 0) return;
    replicas->devices[devices] = "cpu";
    replicas->groups[devices] = host_group(options->threads, 0, 1);
    replicas->count++;
}

int el_replicas_groups(const struct el_replicas *replicas, const struct el_batch_group **ret_groups) {
    *ret_groups = replicas->groups;
    return replicas->count;
}

// ---- opening ----

static int open_replica(struct el_replicas *replicas, int i) {
    const struct el_replicas_options *options = &replicas->options;
    struct el_replica *replica = NULL;
    int workers = 0;
    for (int g = 0; g < replicas->count; g++)
        workers += replicas->groups[g].workers;
    const struct el_replica_options one = {
        .manager = options->manager,
        .device = replicas->devices[i],
        .precision = options->precision,
        .any_precision = i > 0,
        .workers = workers,
        .load = options->load,
        .unload = options->unload,
        .context = options->context,
    };
    EL_TRY(el_replica_open(&one, &replica));
    atomic_store(&replicas->replicas[i], replica);
    return 0;
}

static bool is_open(struct el_replicas *replicas, int i) {
    struct el_replica_state state;
    el_replicas_state(replicas, i, &state);
    return state.open;
}

static bool any_is_open(struct el_replicas *replicas) {
    for (int i = 0; i < replicas->count; i++)
        if (is_open(replicas, i)) return true;
    return false;
}

// ---- losing ----

// The names of those that are open; "" when none is.
static void list_open(struct el_replicas *replicas, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < replicas->count && used < size; i++)
        if (is_open(replicas, i))
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", replicas->devices[i]);
}

static void tell(const struct el_replicas *replicas, const char *text) {
    if (replicas->options.notice) replicas->options.notice(replicas->options.context, text);
}

// Replica i is given up; the last to go calls the reserve.
static void give_up(struct el_replicas *replicas, int i, const char *why, bool is_last) {
    const int reserve = replicas->count - 1;
    char others[256], text[768];
    int status = 0;
    if (is_last && !replicas->replicas[reserve]) status = open_replica(replicas, reserve);
    list_open(replicas, others, sizeof others);
    if (others[0])
        snprintf(text, sizeof text, "%s was lost (%s); %s %s", replicas->devices[i], why,
                 is_last ? "the model was loaded again on" : "its work goes to", others);
    else
        snprintf(text, sizeof text, "%s was lost (%s)%s%s%s", replicas->devices[i], why,
                 is_last ? ", and no other device is left" : "", status < 0 ? ": " : "",
                 status < 0 ? el_error_detail() : "");
    tell(replicas, text);
}

void el_replicas_recover(struct el_replicas *replicas, int i) {
    char text[768];
    struct el_replica_state state;
    const int status = el_replica_reopen(replicas->replicas[i]);
    el_replicas_state(replicas, i, &state);
    if (status < 0) {
        pthread_mutex_lock(&replicas->lock);
        give_up(replicas, i, state.loss, !any_is_open(replicas));
        pthread_mutex_unlock(&replicas->lock);
        return;
    }
    snprintf(text, sizeof text, "%s was lost (%s); the model was loaded again on it (%s)",
             replicas->devices[i], state.loss, state.facts.name);
    tell(replicas, text);
}

// ---- the replicas ----

static int open_all(struct el_replicas *replicas) {
    const int devices = el_manager_count(replicas->options.manager);
    for (int i = 0; i < devices; i++) {
        char why[256];
        int status = open_replica(replicas, i);
        if (status == 0) continue;
        if (status != EL_ELOST) return status;
        snprintf(why, sizeof why, "%s", el_error_detail());
        give_up(replicas, i, why, i == devices - 1 && !any_is_open(replicas));
    }
    return any_is_open(replicas) ? 0 : el_fail(EL_ELOST, "no device is left to compute on");
}

int el_replicas_open(const struct el_replicas_options *options, struct el_replicas **ret_replicas) {
    struct el_replicas *replicas = NULL;
    EL_TRY(el_zalloc(1, sizeof *replicas, &replicas));
    replicas->options = *options;
    pthread_mutex_init(&replicas->lock, NULL);
    make_groups(replicas);
    int status = open_all(replicas);
    if (status < 0) {
        el_replicas_close(replicas);
        return status;
    }
    *ret_replicas = replicas;
    return 0;
}

void el_replicas_close(struct el_replicas *replicas) {
    if (!replicas) return;
    for (int i = 0; i < replicas->count; i++)
        el_replica_close(replicas->replicas[i]);
    pthread_mutex_destroy(&replicas->lock);
    el_free(replicas);
}

int el_replicas_run(struct el_replicas *replicas, const struct el_batch_worker *worker, el_replica_fn *fn,
                    void *context) {
    return el_replica_run(replicas->replicas[worker->group], worker->index, worker->team, fn, context);
}

void el_replicas_state(struct el_replicas *replicas, int i, struct el_replica_state *ret_state) {
    struct el_replica *replica = atomic_load(&replicas->replicas[i]);
    if (replica) {
        el_replica_state(replica, ret_state);
        return;
    }
    *ret_state = (struct el_replica_state){.ops = "none"};
    snprintf(ret_state->device, sizeof ret_state->device, "%s", replicas->devices[i]);
}
