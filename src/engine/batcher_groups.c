// SPDX-License-Identifier: Apache-2.0
// The groups of a batcher side by side: which of them is woken for work, what a batch of each may hold, and
// whether any is left.
#include "base/error.h"
#include "base/mem.h"
#include "engine/batcher_parts.h"

// ---- waking ----

static struct el_batcher_worker *idle_worker(const struct el_batcher_group *group) {
    for (int i = 0; i < group->active; i++)
        if (group->workers[i].idle) return &group->workers[i];
    return NULL;
}

static void wake(struct el_batcher_worker *worker) {
    worker->idle = false;
    pthread_cond_signal(&worker->wake);
}

void el_batcher_wake_one(struct el_batcher *batcher) {
    struct el_batcher_worker *best = NULL;
    for (int i = 0; i < batcher->options.group_count; i++) {
        const struct el_batcher_group *group = &batcher->groups[i];
        if (best && group->running_tokens >= best->group->running_tokens) continue;
        struct el_batcher_worker *worker = idle_worker(group);
        if (worker) best = worker;
    }
    if (best) wake(best);
}

void el_batcher_wake_all(struct el_batcher *batcher) {
    for (int i = 0; i < batcher->started; i++)
        wake(&batcher->workers[i]);
}

// ---- how they stand ----

bool el_batcher_is_idle(const struct el_batcher *batcher) {
    return el_queue_is_empty(&batcher->queue) && batcher->running == 0 && batcher->finishing == 0;
}

bool el_batcher_is_lost(const struct el_batcher *batcher) {
    for (int i = 0; i < batcher->options.group_count; i++)
        if (batcher->groups[i].active > 0 || batcher->groups[i].lost || batcher->groups[i].recovering)
            return false;
    return true;
}

int el_batcher_none_left(void) {
    return el_fail(EL_ELOST, "no device is left to compute on");
}

// ---- how large a batch may be ----

struct el_batch_limits el_batcher_wanted(const struct el_batcher *batcher,
                                         const struct el_batcher_group *group) {
    return (struct el_batch_limits){.tokens = group->batch_tokens,
                                    .sequences = batcher->options.batch_sequences};
}

struct el_batch_limits el_batcher_largest(const struct el_batcher *batcher,
                                          const struct el_batcher_group *group) {
    const struct el_batch_limits wanted = el_batcher_wanted(batcher, group);
    return el_shortage_limits(&group->shortage, &wanted);
}

struct el_batch_limits el_batcher_share(const struct el_batcher *batcher,
                                        const struct el_batcher_group *group) {
    struct el_batch_limits limits = el_batcher_largest(batcher, group);
    int idle = 0;
    for (int i = 0; i < batcher->options.group_count; i++)
        idle += batcher->groups[i].active > 0 && batcher->groups[i].running == 0;
    if (idle > 1) limits.tokens = EL_MIN(limits.tokens, el_divide_up(batcher->queue.tokens, idle));
    return limits;
}
