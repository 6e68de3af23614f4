// SPDX-License-Identifier: Apache-2.0
// What manager.c and health.c share.
#ifndef EL_DEVICE_MANAGER_PARTS_H
#define EL_DEVICE_MANAGER_PARTS_H

#include <pthread.h>

#include "device/manager/candidates.h"
#include "device/manager/probe.h"

struct el_managed {
    struct el_candidate *candidate;
    pthread_rwlock_t lock;    // of all below: for writing while the device is reopened
    struct el_device *device; // NULL: gone, `problem` says why
    struct el_probe *probe;   // as device
    bool hangs;               // its device was left to the thread that waits for it, for good
    unsigned openings;        // how often it was opened again
    char problem[256];        // of the last reopening; "" when it worked
};

// The thread of el_manager_watch.
struct el_watch {
    pthread_t thread;
    bool runs;
    int interval_ms;
    el_health_look_fn *looked;
    void *context;
    struct el_health health; // at the last look; the thread's
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stops; // guarded by `lock`
};

struct el_manager {
    struct el_candidates candidates;
    struct el_manager_report report;
    struct el_nvml *nvml; // NULL: none
    char nvml_problem[256];
    uint64_t budget; // bytes per GPU; 0: no limit
    int budget_pct;  // percent of a GPU's memory; 0: no limit
    struct el_trace *trace;
    struct el_managed devices[EL_MANAGER_DEVICES];
    int count;
    struct el_watch watch;
};

#endif
