// SPDX-License-Identifier: Apache-2.0
// The replicas' inside, for their two files: replicas.c opens them, runs on them and gives them up,
// replicas_rejoin.c takes back what was given up.
#ifndef EL_ENGINE_REPLICAS_PARTS_H
#define EL_ENGINE_REPLICAS_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "device/manager/manager.h"
#include "engine/replicas.h"

enum { EL_MOST_REPLICAS = EL_MANAGER_DEVICES + 1 }; // the reserve is one more

struct el_replicas {
    struct el_replicas_options options;
    int count; // with the reserve
    struct el_batch_group groups[EL_MOST_REPLICAS];
    const char *devices[EL_MOST_REPLICAS];                   // the manager's
    _Atomic(struct el_replica *) replicas[EL_MOST_REPLICAS]; // NULL: not opened
    bool has_reserve;                                        // the last of them
    atomic_bool reserve_works;                               // since no other is left
    pthread_mutex_t lock; // one at a time gives up a device, or takes one back
    atomic_bool given_up[EL_MOST_REPLICAS];
    struct el_rejoin *rejoin; // NULL: nothing is taken back
    el_replicas_rejoined_fn *rejoined;
};

// Device i, which is not the reserve, is the processor or a part of it.
bool el_replicas_is_host(const struct el_replicas *replicas, int i);
// Opens the replica of device i, which loads with `threads`. EL_ENOENT, EL_EUNSUPPORTED, EL_ENOMEM, EL_ELOST.
int el_replicas_open_one(struct el_replicas *replicas, int i, int threads);
void el_replicas_tell(const struct el_replicas *replicas, const char *text);

#endif
