// SPDX-License-Identifier: Apache-2.0
// A replica: one model on one device. A call that finds the device lost ends in EL_ELOST; el_replica_reopen
// then closes what is there, opens the device again and loads the model anew.
#ifndef EL_ENGINE_REPLICA_H
#define EL_ENGINE_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/exec.h"

struct el_manager;
struct el_replica;

struct el_replica_options {
    struct el_manager *manager; // of whom the device is asked; must outlive the replica
    const char *device;         // "cuda:1", "opencl:0", "cpu"; copied
    enum el_precision precision;
    bool any_precision; // a device that lacks the precision gets auto instead of EL_EUNSUPPORTED
    int workers;        // threads that may call el_replica_run at once
    int threads;        // that loading may take
    // Loads the model for a target and unloads it.
    int (*load)(void *context, const struct el_target *target, int threads, void **ret_model);
    void (*unload)(void *model);
    void *context;
};

// EL_ENOENT, EL_EUNSUPPORTED, EL_ENOMEM, EL_ELOST.
int el_replica_open(const struct el_replica_options *options, struct el_replica **ret_replica);
void el_replica_close(struct el_replica *replica); // no call may be running

// Work on the model. Temporaries of `exec` are given back when it returns.
typedef int el_replica_fn(void *context, const void *model, struct el_exec *exec);

// Calls fn for worker 0 .. workers - 1 (each one call at a time), `team` shared by its operations on the
// processor. EL_ENOMEM has given back what temporaries held; EL_ELOST: the device is lost. Waits while it is
// opened again.
int el_replica_run(struct el_replica *replica, int worker, struct el_team *team, el_replica_fn *fn,
                   void *context);

// For a device that is lost: opens it again, when all calls have left. A context that died of a sticky error
// works again then. EL_ELOST, EL_ENOMEM: it has failed, or was opened again too often in a short time; every
// call answers EL_ELOST from now on.
int el_replica_reopen(struct el_replica *replica);

// For one that el_replica_reopen has given up: tries it once more, however often it was opened again, and
// loads with one thread, so that those who compute meanwhile are not held up. Codes as el_replica_reopen.
int el_replica_rejoin(struct el_replica *replica);

// Gives back what temporaries of all workers keep, and what the device's pool does, when all calls have left.
void el_replica_trim(struct el_replica *replica);

// Where it is; while it is opened again, where it was. Never waits.
struct el_replica_state {
    struct el_device_facts facts;
    uint64_t memory; // bytes that may be taken of the device; 0: not known
    char device[32];
    const char *ops;
    enum el_precision precision;
    bool on_host;
    bool open;      // the model is there
    char loss[192]; // what the device answered when it was lost last; "" where it never was
};
void el_replica_state(struct el_replica *replica, struct el_replica_state *ret_state);

#endif
