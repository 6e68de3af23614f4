// SPDX-License-Identifier: Apache-2.0
// Replicas on all devices, and what happens when one of them is lost.
#include "engine/replicas_parts.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

_Static_assert((int)EL_MOST_REPLICAS <= (int)EL_BATCH_GROUPS, "a group for each device and the reserve");
_Static_assert((int)EL_MOST_REPLICAS <= (int)EL_REJOIN_MEMBERS, "each may be given up");

// ---- groups ----

bool el_replicas_is_host(const struct el_replicas *replicas, int device) {
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
        parts += el_replicas_is_host(replicas, i);
    for (int i = 0; i < devices; i++) {
        replicas->devices[i] = el_manager_candidate(options->manager, i)->id;
        replicas->groups[i] = el_replicas_is_host(replicas, i)
                                  ? host_group(options->threads, part++, parts)
                                  : (struct el_batch_group){.workers = options->streams};
    }
    replicas->count = devices;
    if (parts > 0) return;
    replicas->devices[devices] = "cpu";
    replicas->groups[devices] = host_group(options->threads, 0, 1);
    replicas->has_reserve = true;
    replicas->count++;
}

int el_replicas_groups(const struct el_replicas *replicas, const struct el_batch_group **ret_groups) {
    *ret_groups = replicas->groups;
    return replicas->count;
}

// ---- opening ----

// Of all groups: any of them may compute on any replica.
static int count_workers(const struct el_replicas *replicas) {
    int workers = 0;
    for (int g = 0; g < replicas->count; g++)
        workers += replicas->groups[g].workers;
    return workers;
}

int el_replicas_open_one(struct el_replicas *replicas, int i, int threads) {
    const struct el_replicas_options *options = &replicas->options;
    struct el_replica *replica = NULL;
    const struct el_replica_options one = {
        .manager = options->manager,
        .device = replicas->devices[i],
        .precision = options->precision,
        .any_precision = i > 0,
        .workers = count_workers(replicas) + 1, // and el_replicas_run_beside
        .threads = threads,
        .load = options->load,
        .unload = options->unload,
        .context = options->context,
    };
    EL_TRY(el_replica_open(&one, &replica));
    atomic_store(&replicas->replicas[i], replica);
    return 0;
}

static int open_replica(struct el_replicas *replicas, int i) {
    return el_replicas_open_one(replicas, i, replicas->options.threads);
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

void el_replicas_tell(const struct el_replicas *replicas, const char *text) {
    if (replicas->options.notice) replicas->options.notice(replicas->options.context, text);
}

// The processor takes over. EL_ENOENT: it is no reserve, but one of the devices.
static int call_reserve(struct el_replicas *replicas) {
    const int reserve = replicas->count - 1;
    if (!replicas->has_reserve) return el_fail(EL_ENOENT, "the processor is no reserve");
    if (!replicas->replicas[reserve]) EL_TRY(open_replica(replicas, reserve));
    atomic_store(&replicas->reserve_works, true);
    return 0;
}

// "; it is tried again in 5 s", where it is.
static void schedule(struct el_replicas *replicas, int i, char *text, size_t size) {
    text[0] = '\0';
    atomic_store(&replicas->given_up[i], true);
    if (!replicas->rejoin) return;
    const uint64_t ns = el_rejoin_out(replicas->rejoin, i);
    snprintf(text, size, "; it is tried again in %.3g s", (double)ns * 1e-9);
}

// Replica i is given up: `what` happened to its device. The last to go calls the reserve. Locked.
static void give_up(struct el_replicas *replicas, int i, const char *what, const char *why, bool is_last) {
    char others[256], again[64], text[1024];
    const int status = is_last ? call_reserve(replicas) : 0;
    schedule(replicas, i, again, sizeof again);
    list_open(replicas, others, sizeof others);
    if (others[0])
        snprintf(text, sizeof text, "%s %s (%s); %s %s%s", replicas->devices[i], what, why,
                 is_last ? "the model was loaded on" : "its work goes to", others, again);
    else
        snprintf(text, sizeof text, "%s %s (%s)%s%s%s%s", replicas->devices[i], what, why,
                 is_last ? ", and no other device is left" : "", status < 0 ? ": " : "",
                 status < 0 ? el_error_detail() : "", again);
    el_replicas_tell(replicas, text);
}

void el_replicas_recover(struct el_replicas *replicas, int i) {
    char text[768];
    struct el_replica_state state;
    const int status = el_replica_reopen(replicas->replicas[i]);
    el_replicas_state(replicas, i, &state);
    if (status < 0) {
        pthread_mutex_lock(&replicas->lock);
        give_up(replicas, i, "was lost", state.loss, !any_is_open(replicas));
        pthread_mutex_unlock(&replicas->lock);
        return;
    }
    snprintf(text, sizeof text, "%s was lost (%s); the model was loaded again on it (%s)",
             replicas->devices[i], state.loss, state.facts.name);
    el_replicas_tell(replicas, text);
}

// ---- short memory ----

void el_replicas_trim(struct el_replicas *replicas, int i) {
    struct el_replica *replica = replicas->replicas[i];
    if (replica) el_replica_trim(replica);
}

// Opens the reserve for a batch that fits nowhere else; it does not take others yet.
static int open_reserve(struct el_replicas *replicas) {
    int status = 0;
    pthread_mutex_lock(&replicas->lock);
    if (!replicas->replicas[replicas->count - 1]) status = open_replica(replicas, replicas->count - 1);
    pthread_mutex_unlock(&replicas->lock);
    return status;
}

static int run_elsewhere(struct el_replicas *replicas, const struct el_batch_worker *worker,
                         el_replica_fn *fn, void *context) {
    for (int i = 0; i < replicas->count; i++) {
        if (i == worker->group) continue;
        const bool is_reserve = replicas->has_reserve && i == replicas->count - 1;
        if (is_reserve) EL_TRY(open_reserve(replicas));
        if (!is_reserve && !is_open(replicas, i)) continue; // it may be loading
        const int status = el_replica_run(replicas->replicas[i], worker->index, NULL, fn, context);
        if (status != EL_ENOMEM && status != EL_ELOST) return status;
    }
    return el_fail_in(EL_ENOMEM, "it fits no device");
}

int el_replicas_run(struct el_replicas *replicas, const struct el_batch_worker *worker, el_replica_fn *fn,
                    void *context) {
    if (worker->elsewhere) return run_elsewhere(replicas, worker, fn, context);
    return el_replica_run(replicas->replicas[worker->group], worker->index, worker->team, fn, context);
}

int el_replicas_run_beside(struct el_replicas *replicas, int i, el_replica_fn *fn, void *context) {
    struct el_replica *replica = atomic_load(&replicas->replicas[i]);
    if (!replica) return el_fail(EL_ELOST, "%s is not in use", replicas->devices[i]);
    return el_replica_run(replica, count_workers(replicas), NULL, fn, context);
}

// ---- the replicas ----

// A device that was not chosen, but could have been: of the same kind, and not tried yet. NULL: none.
static const char *another_device(const struct el_replicas *replicas, int i) {
    const struct el_manager_report *report = el_manager_report(replicas->options.manager);
    bool seen = false;
    for (int c = 0; c < report->candidate_count; c++) {
        const struct el_candidate *candidate = &report->candidates[c];
        if (seen && candidate->usable && !candidate->chosen && el_streq(candidate->kind, report->mode))
            return candidate->id;
        seen |= el_streq(candidate->id, replicas->devices[i]);
    }
    return NULL;
}

// Opens replica i. Where the manager was free to choose, a device without room for the model gives way to
// the next that was not chosen.
static int open_first(struct el_replicas *replicas, int i) {
    int status = open_replica(replicas, i);
    while (status == EL_ENOMEM && el_manager_report(replicas->options.manager)->is_auto) {
        const char *other = another_device(replicas, i);
        if (!other) return status;
        char text[768];
        snprintf(text, sizeof text, "%s has no room for the model (%s); %s is tried", replicas->devices[i],
                 el_error_detail(), other);
        el_replicas_tell(replicas, text);
        replicas->devices[i] = other;
        status = open_replica(replicas, i);
    }
    return status;
}

static int open_all(struct el_replicas *replicas) {
    const struct el_manager_report *report = el_manager_report(replicas->options.manager);
    const int devices = el_manager_count(replicas->options.manager);
    for (int i = 0; i < devices; i++) {
        char why[512];
        int status = open_first(replicas, i);
        if (status == 0) continue;
        const bool goes_on = status == EL_ELOST || (status == EL_ENOMEM && report->is_auto);
        if (!goes_on || el_replicas_is_host(replicas, i)) return status;
        snprintf(why, sizeof why, "%s", el_error_detail());
        give_up(replicas, i, status == EL_ELOST ? "was lost" : "has no room for the model", why,
                i == devices - 1 && !any_is_open(replicas));
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
    el_rejoin_close(replicas->rejoin);
    for (int i = 0; i < replicas->count; i++)
        el_replica_close(replicas->replicas[i]);
    pthread_mutex_destroy(&replicas->lock);
    el_free(replicas);
}

void el_replicas_state(struct el_replicas *replicas, int i, struct el_replica_state *ret_state) {
    const bool is_reserve = replicas->has_reserve && i == replicas->count - 1;
    struct el_replica *replica = atomic_load(&replicas->replicas[i]);
    if (replica) {
        el_replica_state(replica, ret_state);
        if (is_reserve && !atomic_load(&replicas->reserve_works)) ret_state->open = false;
        return;
    }
    *ret_state = (struct el_replica_state){.ops = "none"};
    snprintf(ret_state->device, sizeof ret_state->device, "%s", replicas->devices[i]);
}
