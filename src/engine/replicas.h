// SPDX-License-Identifier: Apache-2.0
// The replicas of one model: one on each device that the manager has chosen, and the processor in reserve for
// when none of them is left. They are the groups of a batcher: whoever is free takes the next batch.
#ifndef EL_ENGINE_REPLICAS_H
#define EL_ENGINE_REPLICAS_H

#include "engine/batcher.h"
#include "engine/rejoin.h"
#include "engine/replica.h"

struct el_replicas;

struct el_replicas_options {
    struct el_manager *manager;  // must outlive them
    enum el_precision precision; // of the first device; another that lacks it gets auto
    int threads;                 // of the processor; where it is split into devices, they share them
    int streams;                 // batches in flight on a GPU
    // As in el_replica_options; several replicas may load at once.
    int (*load)(void *context, const struct el_target *target, int threads, void **ret_model);
    void (*unload)(void *model);
    // Told in a sentence of each device that is lost or taken back, from a worker's thread or the one that
    // takes back; may be NULL. Must not block.
    void (*notice)(void *context, const char *text);
    void *context;
};

// A device that is lost at the start is passed over with a notice; so is one without room for the model,
// where the manager was free to choose. EL_ENOENT, EL_EUNSUPPORTED, EL_ENOMEM; EL_ELOST: none is left.
int el_replicas_open(const struct el_replicas_options *options, struct el_replicas **ret_replicas);
void el_replicas_close(struct el_replicas *replicas); // no call may be running

// A group of workers for each replica, the reserve's last; owned by the replicas.
int el_replicas_groups(const struct el_replicas *replicas, const struct el_batch_group **ret_groups);

// As el_replica_run, on replica worker->group; `elsewhere`: on any other, at last on the reserve.
int el_replicas_run(struct el_replicas *replicas, const struct el_batch_worker *worker, el_replica_fn *fn,
                    void *context);
// The same on replica i for one caller at a time beside the batcher's workers: who measures. EL_ENOMEM: it
// does not fit there, and nothing else is tried.
int el_replicas_run_beside(struct el_replicas *replicas, int i, el_replica_fn *fn, void *context);
// Replica i has lost its device: opens it again, or gives it up; the last one hands over to the reserve.
// The caller says to the batcher who works after it.
void el_replicas_recover(struct el_replicas *replicas, int i);

// Starts a thread that tries devices that were given up, in the distances and as often as `options` says (of
// which it takes first_ns, longest_ns and probes): a device that is well gets the model again, and `rejoined`
// is called from the thread, to say to the batcher who works from then on. Once, before anything runs on the
// replicas. EL_ENOMEM.
typedef void el_replicas_rejoined_fn(void *context, int i);
int el_replicas_rejoin_start(struct el_replicas *replicas, const struct el_rejoin_options *options,
                             el_replicas_rejoined_fn *rejoined);
// Before the batcher is closed, for `rejoined` may speak to it. Waits for what is under way.
void el_replicas_rejoin_stop(struct el_replicas *replicas);
// How it stands with replica i. Never waits for work.
void el_replicas_rejoin_state(struct el_replicas *replicas, int i, struct el_rejoin_state *ret_state);

// As el_replica_trim.
void el_replicas_trim(struct el_replicas *replicas, int i);

// Of replica i of 0 .. groups - 1; the reserve counts as open when it has taken over.
void el_replicas_state(struct el_replicas *replicas, int i, struct el_replica_state *ret_state);

#endif
