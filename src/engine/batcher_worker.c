// SPDX-License-Identifier: Apache-2.0
// A worker of the batcher: it waits until a batch may be made, takes it, computes it, and sees to its group
// when the device is lost. Whoever takes some work and leaves some wakes another worker.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "engine/batcher_parts.h"

// A batch, and what it found when it began.
struct run {
    struct el_taken taken;
    uint64_t began_ns;
    bool with_team;
};

// ---- waiting (all locked) ----

// When a batch of what waits may be made: at once if it is full, else when the oldest has waited its time.
static uint64_t due_ns(const struct el_batcher *batcher, const struct el_batcher_group *group) {
    const struct el_queue *queue = &batcher->queue;
    const struct el_batch_limits limits = el_batcher_largest(batcher, group);
    if (batcher->closing || batcher->options.wait_us == 0 || queue->tokens >= limits.tokens ||
        (limits.sequences > 0 && queue->sequences >= limits.sequences))
        return 0;
    return el_queue_oldest_ns(queue) + (uint64_t)batcher->options.wait_us * 1000u;
}

// Until woken, or until `due` (0: no limit).
static void wait(struct el_batcher_worker *worker, uint64_t due) {
    struct el_batcher *batcher = worker->batcher;
    worker->idle = worker->rank < worker->group->active;
    if (due)
        el_cond_wait_until(&worker->wake, &batcher->lock, due);
    else
        pthread_cond_wait(&worker->wake, &batcher->lock);
    worker->idle = false;
}

// Waits until a batch may be made. False at the end: a batch that runs may come back until it is through.
static bool wait_for_work(struct el_batcher_worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    for (;;) {
        if (batcher->closing && el_batcher_is_idle(batcher)) return false;
        if (worker->rank >= worker->group->active || el_queue_is_empty(&batcher->queue)) {
            wait(worker, 0);
            continue;
        }
        const uint64_t due = due_ns(batcher, worker->group);
        if (due == 0 || el_now_ns() >= due) return true;
        wait(worker, due);
    }
}

// ---- running ----

// Counts the batch in; notes how long its sequences waited. Locked.
static void begin(struct el_batcher_worker *worker, struct run *run) {
    struct el_batcher *batcher = worker->batcher;
    struct el_batcher_group *group = worker->group;
    el_batch_counts_taken(&batcher->counts, &run->taken, run->began_ns);
    run->with_team = group->team && group->running == 0 && el_queue_is_empty(&batcher->queue);
    batcher->running++;
    group->running++;
    group->running_tokens += run->taken.tokens;
}

// Counts the batch out; what its device has lost goes back into the queue. Locked.
static void end(struct el_batcher_worker *worker, const struct run *run) {
    struct el_batcher *batcher = worker->batcher;
    struct el_batcher_group *group = worker->group;
    const struct el_taken *returned = &worker->compute.returned;
    if (returned->count == 0)
        el_batch_counts_computed(&batcher->counts, &run->taken, el_now_ns() - run->began_ns,
                                 batcher->running);
    batcher->running--;
    group->running--;
    group->running_tokens -= run->taken.tokens;
    group->tokens += (uint64_t)(run->taken.tokens - returned->tokens);
    if (returned->count == 0) return;
    batcher->counts.returned += (uint64_t)returned->count;
    el_queue_put_back(&batcher->queue, returned);
    group->lost = true;
    group->active = 0;
}

// True when memory has become short just now. Locked.
static bool note_memory(const struct el_batcher_worker *worker, const struct run *run) {
    struct el_batcher_group *group = worker->group;
    if (worker->compute.short_of_memory)
        return el_shortage_note(&group->shortage, &run->taken, worker->compute.halvings);
    const struct el_batch_limits most = el_batcher_wanted(worker->batcher, group);
    el_shortage_pass(&group->shortage, &most);
    return false;
}

static void tell_short(const struct el_batcher *batcher, const struct run *run,
                       const struct el_compute *compute, const struct el_batch_limits *limits) {
    char text[512];
    snprintf(text, sizeof text,
             "no memory for a batch of %d texts with %" PRId64 " tokens (%s); batches have %" PRId64
             " tokens at most until more fits again",
             run->taken.count, run->taken.tokens, compute->detail, limits->tokens);
    batcher->options.short_of_memory(batcher->options.context, compute->self.group, text);
}

static void run_batch(struct el_batcher_worker *worker, struct el_taken taken) {
    struct el_batcher *batcher = worker->batcher;
    struct run run = {.taken = taken, .began_ns = el_now_ns()};
    begin(worker, &run);
    pthread_mutex_unlock(&batcher->lock);
    worker->compute.self.team = run.with_team ? worker->group->team : NULL;
    el_compute(&worker->compute, taken);
    pthread_mutex_lock(&batcher->lock);
    end(worker, &run);
    if (!note_memory(worker, &run) || !batcher->options.short_of_memory) return;
    const struct el_batch_limits limits = el_batcher_largest(batcher, worker->group);
    batcher->finishing++;
    pthread_mutex_unlock(&batcher->lock);
    tell_short(batcher, &run, &worker->compute, &limits);
    pthread_mutex_lock(&batcher->lock);
    batcher->finishing--;
}

// Finishes sequences that are not to be computed. Locked; not meanwhile.
static void finish_unlocked(struct el_batcher *batcher, struct el_sequence *first, int status) {
    int count = 0;
    for (const struct el_sequence *s = first; s; s = s->next)
        count++;
    batcher->finishing++;
    pthread_mutex_unlock(&batcher->lock);
    el_finish(&batcher->options, first, count, status);
    pthread_mutex_lock(&batcher->lock);
    batcher->finishing--;
}

// ---- a device that is lost (all locked) ----

static void fail_all(struct el_batcher *batcher) {
    static const struct el_batch_limits no_limits = {.tokens = INT64_MAX};
    struct el_sequence *dropped = NULL;
    struct el_taken all = el_queue_take(&batcher->queue, &no_limits, &dropped);
    if (dropped) finish_unlocked(batcher, dropped, el_fail(EL_ECANCELED, "the client has gone"));
    if (all.first) finish_unlocked(batcher, all.first, el_batcher_none_left());
}

// The last of the group's batches has ended: its device may be opened again, or others take over. A group
// that goes on may lose its device once more before this is through.
static void recover(struct el_batcher_worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    struct el_batcher_group *group = worker->group;
    group->recovering = true;
    batcher->finishing++;
    el_batcher_wake_one(batcher); // others go on meanwhile
    while (group->lost && group->running == 0) {
        group->lost = false;
        pthread_mutex_unlock(&batcher->lock);
        if (batcher->options.recover)
            batcher->options.recover(batcher->options.context, worker->compute.self.group);
        pthread_mutex_lock(&batcher->lock);
    }
    batcher->finishing--;
    group->recovering = false;
    if (el_batcher_is_lost(batcher)) fail_all(batcher);
}

// ---- the worker ----

static void work(struct el_batcher_worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    struct el_sequence *dropped = NULL;
    const struct el_batch_limits limits = el_batcher_share(batcher, worker->group);
    struct el_taken taken = el_queue_take(&batcher->queue, &limits, &dropped);
    if (!el_queue_is_empty(&batcher->queue)) el_batcher_wake_one(batcher); // more than one worker's share
    if (taken.count > 0) run_batch(worker, taken);
    if (dropped) finish_unlocked(batcher, dropped, el_fail(EL_ECANCELED, "the client has gone"));
    if (worker->group->lost && worker->group->running == 0 && !worker->group->recovering) recover(worker);
    if (!el_batcher_is_idle(batcher)) return;
    pthread_cond_broadcast(&batcher->idle);
    if (batcher->closing) el_batcher_wake_all(batcher);
}

static void *worker_main(void *argument) {
    struct el_batcher_worker *worker = argument;
    struct el_batcher *batcher = worker->batcher;
    el_thread_name("el-worker");
    if (batcher->options.pin) el_thread_pin(worker->group->options.first_processor + worker->rank);
    pthread_mutex_lock(&batcher->lock);
    while (wait_for_work(worker))
        work(worker);
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

int el_batcher_worker_start(struct el_batcher *batcher, int group, int rank) {
    const int index = batcher->started;
    struct el_batcher_worker *worker = &batcher->workers[index];
    *worker = (struct el_batcher_worker){.batcher = batcher, .group = &batcher->groups[group], .rank = rank};
    worker->compute = (struct el_compute){
        .options = &batcher->options, .self = {.group = group, .index = index}, .counts = &batcher->ladder};
    el_arena_init(&worker->compute.scratch);
    el_cond_init(&worker->wake);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (error) {
        pthread_cond_destroy(&worker->wake);
        return el_fail(EL_ENOMEM, "cannot start worker %d: %s", index, strerror(error));
    }
    batcher->started++;
    return 0;
}

void el_batcher_workers_join(struct el_batcher *batcher) {
    for (int i = 0; i < batcher->started; i++)
        pthread_join(batcher->workers[i].thread, NULL);
    for (int i = 0; i < batcher->started; i++) { // until now any of them may have woken any
        el_arena_done(&batcher->workers[i].compute.scratch);
        pthread_cond_destroy(&batcher->workers[i].wake);
    }
}
