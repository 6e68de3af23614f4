// SPDX-License-Identifier: Apache-2.0
// A batcher's inside, for its three files: batcher.c has what callers ask of it, batcher_groups.c who is
// woken and how large a batch may be, batcher_worker.c what a worker does.
#ifndef EL_ENGINE_BATCHER_PARTS_H
#define EL_ENGINE_BATCHER_PARTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "engine/batch_counts.h"
#include "engine/batcher.h"
#include "engine/compute.h"
#include "engine/shortage.h"

struct el_batcher_worker {
    struct el_batcher *batcher;
    struct el_batcher_group *group;
    int rank; // within its group
    pthread_t thread;
    struct el_compute compute;
    pthread_cond_t wake;
    bool idle; // waits for work, and nobody has woken it
};

struct el_batcher_group {
    struct el_batch_group options;
    struct el_batcher_worker *workers; // [options.workers]
    struct el_team *team;              // shared by whichever worker finds the others idle; or NULL
    int active;                        // workers that take batches
    int64_t batch_tokens;              // as they were asked for
    struct el_shortage shortage;
    int running; // batches
    int64_t running_tokens;
    bool lost;       // its device, and `recover` has not been called yet
    bool recovering; // it is being called
    uint64_t tokens; // computed
};

struct el_batcher {
    struct el_batcher_options options;
    struct el_batcher_worker *workers; // of all groups
    int started;

    pthread_mutex_t lock; // guards all below but the histograms and the ladder's counts
    pthread_cond_t idle;  // nothing queued, nothing running
    struct el_batcher_group groups[EL_BATCH_GROUPS];
    struct el_queue queue;
    int running;   // batches
    int finishing; // whatever else drain must wait for
    bool closing;
    struct el_batch_counts counts;

    struct el_ladder_counts ladder;
};

// ---- batcher_groups.c; all locked ----

// Wakes one idle worker, of the group that computes least.
void el_batcher_wake_one(struct el_batcher *batcher);
void el_batcher_wake_all(struct el_batcher *batcher);

bool el_batcher_is_idle(const struct el_batcher *batcher);
// No group takes batches, and none is about to.
bool el_batcher_is_lost(const struct el_batcher *batcher);
// What befalls all sequences then: sets the detail, returns EL_ELOST.
int el_batcher_none_left(void);

// What a batch of the group may hold: as asked for; as far as memory goes; of what waits now, which groups
// that have nothing to do share.
struct el_batch_limits el_batcher_wanted(const struct el_batcher *batcher,
                                         const struct el_batcher_group *group);
struct el_batch_limits el_batcher_largest(const struct el_batcher *batcher,
                                          const struct el_batcher_group *group);
struct el_batch_limits el_batcher_share(const struct el_batcher *batcher,
                                        const struct el_batcher_group *group);

// ---- batcher_worker.c ----

// Starts the batcher's next worker, of group `group`. EL_ENOMEM.
int el_batcher_worker_start(struct el_batcher *batcher, int group, int rank);
// Waits until all have ended, which they do when the batcher is closing and idle.
void el_batcher_workers_join(struct el_batcher *batcher);

#endif
