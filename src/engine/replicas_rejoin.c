// SPDX-License-Identifier: Apache-2.0
// Devices that were given up come back: what is asked of them first, and what is done when they are well.
#include <stdio.h>

#include "base/error.h"
#include "engine/replicas_parts.h"

static int probe(void *context, int i) {
    const struct el_replicas *replicas = context;
    return el_manager_probe(replicas->options.manager, replicas->devices[i], EL_HEALTH_DEADLINE_MS);
}

// The reserve's batches end, but it takes no more of them.
static int join(void *context, int i) {
    struct el_replicas *replicas = context;
    struct el_replica *replica = atomic_load(&replicas->replicas[i]);
    char text[128];
    EL_TRY(replica ? el_replica_rejoin(replica) : el_replicas_open_one(replicas, i, 1));
    pthread_mutex_lock(&replicas->lock);
    atomic_store(&replicas->given_up[i], false);
    atomic_store(&replicas->reserve_works, false);
    pthread_mutex_unlock(&replicas->lock);
    snprintf(text, sizeof text, "%s is well again; the model was loaded on it, and it works as before",
             replicas->devices[i]);
    el_replicas_tell(replicas, text);
    replicas->rejoined(replicas->options.context, i);
    return 0;
}

// The processor is never lost.
static bool may_lose(const struct el_replicas *replicas) {
    for (int i = 0; i < el_manager_count(replicas->options.manager); i++)
        if (!el_replicas_is_host(replicas, i)) return true;
    return false;
}

int el_replicas_rejoin_start(struct el_replicas *replicas, const struct el_rejoin_options *options,
                             el_replicas_rejoined_fn *rejoined) {
    struct el_rejoin_options all = *options;
    struct el_rejoin *rejoin = NULL;
    if (!may_lose(replicas)) return 0;
    all.members = replicas->count;
    all.probe = probe;
    all.join = join;
    all.context = replicas;
    EL_TRY(el_rejoin_open(&all, &rejoin));
    replicas->rejoin = rejoin;
    replicas->rejoined = rejoined;
    for (int i = 0; i < replicas->count; i++)
        if (replicas->given_up[i]) el_rejoin_out(rejoin, i);
    return el_rejoin_start(rejoin);
}

void el_replicas_rejoin_stop(struct el_replicas *replicas) {
    if (replicas) el_rejoin_stop(replicas->rejoin);
}

void el_replicas_rejoin_state(struct el_replicas *replicas, int i, struct el_rejoin_state *ret_state) {
    *ret_state = (struct el_rejoin_state){0};
    if (replicas->rejoin) el_rejoin_state(replicas->rejoin, i, ret_state);
    ret_state->out = atomic_load(&replicas->given_up[i]);
}
