// SPDX-License-Identifier: Apache-2.0
// A replica: one model on one device, with what it takes to go on when the device does not. When a call finds
// the device lost, the replica closes it, opens it again or takes the next of its list, loads the model there
// and makes the call again: the caller sees a slow call, not a failed one.
#ifndef EL_ENGINE_REPLICA_H
#define EL_ENGINE_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/exec.h"

struct el_manager;
struct el_replica;

struct el_replica_options {
    struct el_manager *manager;  // of whom devices are asked; must outlive the replica
    const char *const *devices;  // "cuda:1", "opencl:0", "cpu": in order of preference; copied
    int device_count;            // >= 1
    enum el_precision precision; // a device of the list's rest that lacks it gets auto
    int workers;                 // threads that may call el_replica_run at once
    // Loads the model for a target and unloads it; one call at a time.
    int (*load)(void *context, const struct el_target *target, void **ret_model);
    void (*unload)(void *model);
    // Told of each move in a sentence, from a worker's thread; may be NULL. Must not block.
    void (*notice)(void *context, const char *text);
    void *context;
};

// EL_ENOENT, EL_EUNSUPPORTED, EL_ENOMEM of the first device; EL_ELOST: none is left.
int el_replica_open(const struct el_replica_options *options, struct el_replica **ret_replica);
void el_replica_close(struct el_replica *replica); // no call may be running

// Work on the model. Temporaries of `exec` are given back when it returns.
typedef int el_replica_fn(void *context, const void *model, struct el_exec *exec);

// Calls fn for worker 0 .. workers - 1 (each one call at a time), `team` shared by its operations on the
// processor, again after a move. EL_ENOMEM has given back what temporaries held; EL_ELOST: no device of the
// list is left.
int el_replica_run(struct el_replica *replica, int worker, struct el_team *team, el_replica_fn *fn,
                   void *context);

// Where it is; while it moves, where it was. Never waits.
struct el_replica_state {
    struct el_device_facts facts;
    char device[32];
    const char *ops;
    enum el_precision precision;
    bool on_host, moving;
    uint64_t moves; // since it was opened
};
void el_replica_state(struct el_replica *replica, struct el_replica_state *ret_state);

#endif
