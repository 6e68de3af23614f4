// SPDX-License-Identifier: Apache-2.0
// The manager: opens the devices that were chosen, and opens them again. Its answers about health are in
// health.c.
#include "device/manager/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/manager/device_list.h"
#include "eleanor/status.h"

enum { CLOSE_TIMEOUT_MS = 2000 };

// ---- one device ----

// The bytes of a GPU that may be taken; 0: all.
static uint64_t budget_of(const struct el_manager *manager, const struct el_candidate *candidate) {
    if (el_streq(candidate->kind, "cpu")) return 0;
    const uint64_t share = candidate->facts.memory / 100 * (uint64_t)manager->budget_pct;
    return share > 0 && (manager->budget == 0 || share < manager->budget) ? share : manager->budget;
}

static int open_device(const struct el_manager *manager, const struct el_candidate *candidate,
                       struct el_device **ret_device) {
    const bool is_cpu = el_streq(candidate->kind, "cpu");
    const struct el_device_options options = {.parts = is_cpu ? manager->candidates.cpu_parts : 0,
                                              .budget = budget_of(manager, candidate),
                                              .trace = manager->trace};
    EL_TRY(el_device_open(is_cpu ? "host" : candidate->kind, candidate->index, &options, ret_device));
    memcpy((*ret_device)->id, candidate->id, sizeof candidate->id);
    return 0;
}

static int open_managed(struct el_manager *manager, struct el_candidate *candidate) {
    struct el_managed *managed = &manager->devices[manager->count];
    struct el_device *device = NULL;
    EL_TRY(open_device(manager, candidate, &device));
    int status = el_probe_open(device, manager->nvml, candidate->gpu, &managed->probe);
    if (status < 0) {
        el_device_close(device);
        return status;
    }
    managed->device = device;
    managed->candidate = candidate;
    pthread_rwlock_init(&managed->lock, NULL);
    manager->count++;
    return 0;
}

// With the lock held for writing.
static void close_device(struct el_managed *managed) {
    managed->hangs |= !el_probe_close(managed->probe, CLOSE_TIMEOUT_MS);
    el_device_close(managed->device);
    managed->probe = NULL;
    managed->device = NULL;
}

// ---- opening ----

static void close_all(struct el_manager *manager) {
    for (int i = 0; i < manager->count; i++) {
        close_device(&manager->devices[i]);
        pthread_rwlock_destroy(&manager->devices[i].lock);
    }
    manager->count = 0;
}

static struct el_candidate *chosen_as(struct el_candidates *candidates, int device) {
    for (int i = 0; i < candidates->count; i++)
        if (candidates->all[i].device == device) return &candidates->all[i];
    return NULL;
}

// Opens all that are chosen. Where auto chose one that does not open, it is marked so, to choose again.
static int open_chosen(struct el_manager *manager, bool is_auto, bool *ret_again) {
    while (manager->count < manager->candidates.chosen_count) {
        struct el_candidate *candidate = chosen_as(&manager->candidates, manager->count);
        int status = open_managed(manager, candidate);
        if (status == 0) continue;
        if (!is_auto || el_streq(candidate->kind, "cpu")) return el_fail_in(status, "%s", candidate->id);
        candidate->usable = false;
        snprintf(candidate->reason, sizeof candidate->reason, "it does not open: %s", el_error_detail());
        close_all(manager);
        *ret_again = true;
        return 0;
    }
    return 0;
}

static void write_report(struct el_manager *manager, bool is_auto) {
    manager->report = (struct el_manager_report){
        .candidates = manager->candidates.all,
        .candidate_count = manager->candidates.count,
        .mode = manager->candidates.mode,
        .is_auto = is_auto,
        .fallback = manager->candidates.fallback,
        .warnings = manager->candidates.warnings,
        .warning_count = manager->candidates.warning_count,
        .cuda_visible_devices = getenv("CUDA_VISIBLE_DEVICES"),
        .cuda_device_order = getenv("CUDA_DEVICE_ORDER"),
        .nvml_problem = manager->nvml_problem,
    };
}

static int open_manager(struct el_manager *manager, const struct el_manager_options *options) {
    const bool is_auto = el_is_auto(options);
    manager->budget = options->budget;
    manager->budget_pct = options->budget_pct;
    manager->trace = options->trace;
    int status = is_auto || strstr(options->devices, "cuda")
                     ? el_nvml_open(&manager->nvml)
                     : el_fail(EL_EUNSUPPORTED, "not looked for, since --device names no GPU of CUDA");
    if (status == EL_ENOMEM) return status;
    if (status < 0) snprintf(manager->nvml_problem, sizeof manager->nvml_problem, "%s", el_error_detail());
    EL_TRY(el_candidates_find(options, manager->nvml, &manager->candidates));
    bool again = true;
    while (again) {
        again = false;
        EL_TRY(el_candidates_choose(options, &manager->candidates));
        EL_TRY(open_chosen(manager, is_auto, &again));
    }
    write_report(manager, is_auto);
    return 0;
}

int el_manager_open(const struct el_manager_options *options, struct el_manager **ret_manager) {
    static const struct el_manager_options defaults = {0};
    struct el_manager *manager = NULL;
    EL_TRY(el_zalloc(1, sizeof *manager, &manager));
    int status = open_manager(manager, options ? options : &defaults);
    if (status < 0) {
        el_manager_close(manager);
        return status;
    }
    *ret_manager = manager;
    return 0;
}

void el_manager_close(struct el_manager *manager) {
    if (!manager) return;
    el_manager_unwatch(manager);
    close_all(manager);
    el_nvml_close(manager->nvml);
    el_free(manager);
}

static int open_again(struct el_manager *manager, struct el_managed *managed) {
    const struct el_candidate *candidate = managed->candidate;
    managed->openings++;
    close_device(managed);
    if (managed->hangs)
        return el_fail(EL_ELOST, "%s hangs, and cannot be opened again by this process", candidate->id);
    int status = open_device(manager, candidate, &managed->device);
    if (status == EL_ENOMEM) return status;
    if (status < 0) return el_fail_in(EL_ELOST, "%s does not open again", candidate->id);
    status = el_probe_open(managed->device, manager->nvml, candidate->gpu, &managed->probe);
    if (status < 0) close_device(managed);
    return status;
}

// `if_lost`: unless another has opened it again already.
static int reopen(struct el_manager *manager, int i, bool if_lost) {
    struct el_managed *managed = &manager->devices[i];
    int status = 0;
    pthread_rwlock_wrlock(&managed->lock);
    if (!if_lost || !managed->device || atomic_load(&managed->device->lost)) {
        status = open_again(manager, managed);
        snprintf(managed->problem, sizeof managed->problem, "%s", status < 0 ? el_error_detail() : "");
    }
    pthread_rwlock_unlock(&managed->lock);
    return status;
}

int el_manager_reopen(struct el_manager *manager, int i) {
    return reopen(manager, i, false);
}

static int index_of(const struct el_manager *manager, const char *id) {
    for (int i = 0; i < manager->count; i++)
        if (el_streq(manager->devices[i].candidate->id, id)) return i;
    return -1;
}

int el_manager_acquire(struct el_manager *manager, const char *id, struct el_device **ret_device) {
    const int i = index_of(manager, id);
    if (i < 0) return el_device_open_id(id, &(struct el_device_options){.trace = manager->trace}, ret_device);
    struct el_managed *managed = &manager->devices[i];
    struct el_device *device = NULL;
    EL_TRY(reopen(manager, i, true));
    pthread_rwlock_rdlock(&managed->lock);
    if (managed->device) device = el_device_ref(managed->device);
    pthread_rwlock_unlock(&managed->lock);
    if (!device) return el_fail(EL_ELOST, "%s is lost", id);
    *ret_device = device;
    return 0;
}

int el_manager_probe(struct el_manager *manager, const char *id, int deadline_ms) {
    struct el_device *device = NULL;
    struct el_probe *probe = NULL;
    struct el_device_health health;
    EL_TRY(el_manager_acquire(manager, id, &device));
    const int status = el_probe_open(device, NULL, -1, &probe);
    el_device_close(device); // the probe has a reference of its own
    EL_TRY(status);
    const uint64_t number = el_probe_ask(probe);
    el_probe_answer(probe, number, el_now_ns() + (uint64_t)deadline_ms * 1000000u, &health);
    el_probe_close(probe, CLOSE_TIMEOUT_MS);
    return health.healthy ? 0 : el_fail(EL_ELOST, "%s", health.error);
}

// ---- what there is ----

const struct el_manager_report *el_manager_report(const struct el_manager *manager) {
    return &manager->report;
}

int el_manager_count(const struct el_manager *manager) {
    return manager->count;
}

struct el_device *el_manager_device(struct el_manager *manager, int i) {
    pthread_rwlock_rdlock(&manager->devices[i].lock);
    struct el_device *device = manager->devices[i].device;
    pthread_rwlock_unlock(&manager->devices[i].lock);
    return device;
}

const struct el_candidate *el_manager_candidate(const struct el_manager *manager, int i) {
    return manager->devices[i].candidate;
}
