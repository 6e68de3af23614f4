// SPDX-License-Identifier: Apache-2.0
// The batcher: one queue, one lock, groups of workers that take packed batches. Whoever puts work into the
// queue, or takes some and leaves some, wakes one idle worker: of the group that has least to do.
#include "engine/batcher.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "engine/compute.h"
#include "engine/shortage.h"

struct worker {
    struct el_batcher *batcher;
    struct group *group;
    int rank; // within its group
    pthread_t thread;
    struct el_compute compute;
    pthread_cond_t wake;
    bool idle; // waits for work, and nobody has woken it
};

struct group {
    struct el_batch_group options;
    struct worker *workers; // [options.workers]
    struct el_team *team;   // shared by whichever worker finds the others idle; or NULL
    int active;             // workers that take batches
    int64_t batch_tokens;   // as they were asked for
    struct el_shortage shortage;
    int running; // batches
    int64_t running_tokens;
    bool lost;       // its device, and `recover` has not been called yet
    bool recovering; // it is being called
    uint64_t tokens; // computed
};

struct el_batcher {
    struct el_batcher_options options;
    struct worker *workers; // of all groups
    int started;

    pthread_mutex_t lock; // guards all below but the histograms and the ladder's counts
    pthread_cond_t idle;  // nothing queued, nothing running
    struct group groups[EL_BATCH_GROUPS];
    struct el_queue queue;
    int running;   // batches
    int finishing; // whatever else drain must wait for
    bool closing;
    uint64_t batches, returned, queue_ns, compute_ns;
    double ns_per_token;

    struct el_ladder_counts ladder;
    struct el_histogram histograms[EL_BATCH_HISTOGRAMS];
};

// A batch, and what it found when it began.
struct run {
    struct el_taken taken;
    uint64_t began_ns;
    bool with_team;
};

// ---- waking (all locked) ----

static struct worker *idle_worker(const struct group *group) {
    for (int i = 0; i < group->active; i++)
        if (group->workers[i].idle) return &group->workers[i];
    return NULL;
}

static void wake(struct worker *worker) {
    worker->idle = false;
    pthread_cond_signal(&worker->wake);
}

// One idle worker, of the group that computes least.
static void wake_one(struct el_batcher *batcher) {
    struct worker *best = NULL;
    for (int i = 0; i < batcher->options.group_count; i++) {
        const struct group *group = &batcher->groups[i];
        if (best && group->running_tokens >= best->group->running_tokens) continue;
        struct worker *worker = idle_worker(group);
        if (worker) best = worker;
    }
    if (best) wake(best);
}

static void wake_all(struct el_batcher *batcher) {
    for (int i = 0; i < batcher->started; i++)
        wake(&batcher->workers[i]);
}

static bool is_idle(const struct el_batcher *batcher) {
    return el_queue_is_empty(&batcher->queue) && batcher->running == 0 && batcher->finishing == 0;
}

// ---- taking (all locked) ----

// What a batch of the group may hold: as asked for, and now.
static struct el_batch_limits most_of(const struct el_batcher *batcher, const struct group *group) {
    return (struct el_batch_limits){.tokens = group->batch_tokens,
                                    .sequences = batcher->options.batch_sequences};
}

static struct el_batch_limits largest_batch(const struct el_batcher *batcher, const struct group *group) {
    const struct el_batch_limits most = most_of(batcher, group);
    return el_shortage_limits(&group->shortage, &most);
}

// Shares what waits among the groups that have nothing to do; with one group, or none idle, all of it.
static struct el_batch_limits limits_of(const struct el_batcher *batcher, const struct group *group) {
    struct el_batch_limits limits = largest_batch(batcher, group);
    int idle = 0;
    for (int i = 0; i < batcher->options.group_count; i++)
        idle += batcher->groups[i].active > 0 && batcher->groups[i].running == 0;
    if (idle > 1) limits.tokens = EL_MIN(limits.tokens, el_divide_up(batcher->queue.tokens, idle));
    return limits;
}

// When a batch of what waits may be made: at once if it is full, else when the oldest has waited its time.
static uint64_t due_ns(const struct el_batcher *batcher, const struct group *group) {
    const struct el_queue *queue = &batcher->queue;
    const struct el_batch_limits limits = largest_batch(batcher, group);
    if (batcher->closing || batcher->options.wait_us == 0 || queue->tokens >= limits.tokens ||
        (limits.sequences > 0 && queue->sequences >= limits.sequences))
        return 0;
    return el_queue_oldest_ns(queue) + (uint64_t)batcher->options.wait_us * 1000u;
}

// Until woken, or until `due` (0: no limit).
static void wait(struct worker *worker, uint64_t due) {
    struct el_batcher *batcher = worker->batcher;
    const struct timespec until = {.tv_sec = (time_t)(due / 1000000000u),
                                   .tv_nsec = (long)(due % 1000000000u)};
    worker->idle = worker->rank < worker->group->active;
    if (due)
        pthread_cond_timedwait(&worker->wake, &batcher->lock, &until);
    else
        pthread_cond_wait(&worker->wake, &batcher->lock);
    worker->idle = false;
}

// Waits until a batch may be made. False at the end: a batch that runs may come back until it is through.
static bool wait_for_work(struct worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    for (;;) {
        if (batcher->closing && is_idle(batcher)) return false;
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
static void begin(struct worker *worker, struct run *run) {
    struct el_batcher *batcher = worker->batcher;
    struct group *group = worker->group;
    const struct el_sequence *s = run->taken.first;
    for (int i = 0; i < run->taken.count; i++, s = s->next) {
        const uint64_t waited = run->began_ns - s->queued_ns;
        batcher->queue_ns += waited;
        el_histogram_add(&batcher->histograms[EL_BATCH_QUEUE_SECONDS], (double)waited * 1e-9);
    }
    run->with_team = group->team && group->running == 0 && el_queue_is_empty(&batcher->queue);
    batcher->running++;
    group->running++;
    group->running_tokens += run->taken.tokens;
}

// Learns what a token costs. Locked.
static void learn(struct el_batcher *batcher, const struct run *run, uint64_t spent_ns) {
    // Batches that run side by side share the machine: a token costs the batcher 1 / batches of its time.
    const double cost = (double)spent_ns / (double)run->taken.tokens / batcher->running;
    batcher->ns_per_token = batcher->ns_per_token > 0 ? 0.9 * batcher->ns_per_token + 0.1 * cost : cost;
    batcher->batches++;
    batcher->compute_ns += spent_ns;
    el_histogram_add(&batcher->histograms[EL_BATCH_SEQUENCES], run->taken.count);
    el_histogram_add(&batcher->histograms[EL_BATCH_TOKENS], (double)run->taken.tokens);
    el_histogram_add(&batcher->histograms[EL_BATCH_COMPUTE_SECONDS], (double)spent_ns * 1e-9);
}

// Counts the batch out; what its device has lost goes back into the queue. Locked.
static void end(struct worker *worker, const struct run *run) {
    struct el_batcher *batcher = worker->batcher;
    struct group *group = worker->group;
    const struct el_taken *returned = &worker->compute.returned;
    if (returned->count == 0) learn(batcher, run, el_now_ns() - run->began_ns);
    batcher->running--;
    group->running--;
    group->running_tokens -= run->taken.tokens;
    group->tokens += (uint64_t)(run->taken.tokens - returned->tokens);
    if (returned->count == 0) return;
    batcher->returned += (uint64_t)returned->count;
    el_queue_put_back(&batcher->queue, returned);
    group->lost = true;
    group->active = 0;
}

// True when memory has become short just now. Locked.
static bool note_memory(const struct worker *worker, const struct run *run) {
    struct group *group = worker->group;
    if (worker->compute.short_of_memory)
        return el_shortage_note(&group->shortage, &run->taken, worker->compute.halvings);
    const struct el_batch_limits most = most_of(worker->batcher, group);
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

static void run_batch(struct worker *worker, struct el_taken taken) {
    struct el_batcher *batcher = worker->batcher;
    struct run run = {.taken = taken, .began_ns = el_now_ns()};
    begin(worker, &run);
    pthread_mutex_unlock(&batcher->lock);
    worker->compute.self.team = run.with_team ? worker->group->team : NULL;
    el_compute(&worker->compute, taken);
    pthread_mutex_lock(&batcher->lock);
    end(worker, &run);
    if (!note_memory(worker, &run) || !batcher->options.short_of_memory) return;
    const struct el_batch_limits limits = largest_batch(batcher, worker->group);
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

static bool nobody_is_left(const struct el_batcher *batcher) {
    for (int i = 0; i < batcher->options.group_count; i++)
        if (batcher->groups[i].active > 0 || batcher->groups[i].lost || batcher->groups[i].recovering)
            return false;
    return true;
}

static int none_left(void) {
    return el_fail(EL_ELOST, "no device is left to compute on");
}

static void fail_all(struct el_batcher *batcher) {
    static const struct el_batch_limits no_limits = {.tokens = INT64_MAX};
    struct el_sequence *dropped = NULL;
    struct el_taken all = el_queue_take(&batcher->queue, &no_limits, &dropped);
    if (dropped) finish_unlocked(batcher, dropped, el_fail(EL_ECANCELED, "the client has gone"));
    if (all.first) finish_unlocked(batcher, all.first, none_left());
}

// The last of the group's batches has ended: its device may be opened again, or others take over. A group
// that goes on may lose its device once more before this is through.
static void recover(struct worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    struct group *group = worker->group;
    group->recovering = true;
    batcher->finishing++;
    wake_one(batcher); // others go on meanwhile
    while (group->lost && group->running == 0) {
        group->lost = false;
        pthread_mutex_unlock(&batcher->lock);
        if (batcher->options.recover)
            batcher->options.recover(batcher->options.context, worker->compute.self.group);
        pthread_mutex_lock(&batcher->lock);
    }
    batcher->finishing--;
    group->recovering = false;
    if (nobody_is_left(batcher)) fail_all(batcher);
}

// ---- the worker ----

static void work(struct worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    struct el_sequence *dropped = NULL;
    const struct el_batch_limits limits = limits_of(batcher, worker->group);
    struct el_taken taken = el_queue_take(&batcher->queue, &limits, &dropped);
    if (!el_queue_is_empty(&batcher->queue)) wake_one(batcher); // more than one worker's share
    if (taken.count > 0) run_batch(worker, taken);
    if (dropped) finish_unlocked(batcher, dropped, el_fail(EL_ECANCELED, "the client has gone"));
    if (worker->group->lost && worker->group->running == 0 && !worker->group->recovering) recover(worker);
    if (!is_idle(batcher)) return;
    pthread_cond_broadcast(&batcher->idle);
    if (batcher->closing) wake_all(batcher);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct el_batcher *batcher = worker->batcher;
    el_thread_name("el-worker");
    if (batcher->options.pin) el_thread_pin(worker->group->options.first_processor + worker->rank);
    pthread_mutex_lock(&batcher->lock);
    while (wait_for_work(worker))
        work(worker);
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

// ---- the batcher ----

static int start_worker(struct el_batcher *batcher, int group, int rank) {
    const int index = batcher->started;
    struct worker *worker = &batcher->workers[index];
    *worker = (struct worker){.batcher = batcher, .group = &batcher->groups[group], .rank = rank};
    worker->compute = (struct el_compute){
        .options = &batcher->options, .self = {.group = group, .index = index}, .counts = &batcher->ladder};
    el_arena_init(&worker->compute.scratch);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (error) {
        pthread_cond_destroy(&worker->wake);
        return el_fail(EL_ENOMEM, "cannot start worker %d: %s", index, strerror(error));
    }
    batcher->started++;
    return 0;
}

static int start_group(struct el_batcher *batcher, int i) {
    struct group *group = &batcher->groups[i];
    const struct el_batch_group *options = &group->options;
    // A team pins its helpers to the first processors, which are those of the first group alone.
    if (options->threads > 1)
        EL_TRY(el_team_open(options->threads, batcher->options.pin && options->first_processor == 0,
                            &group->team));
    for (int rank = 0; rank < options->workers; rank++)
        EL_TRY(start_worker(batcher, i, rank));
    return 0;
}

static int start(struct el_batcher *batcher) {
    const struct el_batcher_options *options = &batcher->options;
    if (options->group_count < 1 || options->group_count > EL_BATCH_GROUPS)
        return el_fail(EL_EINVAL, "a batcher has 1 to %d groups, not %d", EL_BATCH_GROUPS,
                       options->group_count);
    int count = 0;
    for (int i = 0; i < options->group_count; i++)
        count += options->groups[i].workers;
    EL_TRY(el_zalloc((size_t)count, sizeof *batcher->workers, &batcher->workers));
    for (int i = 0, first = 0; i < options->group_count; first += options->groups[i++].workers)
        batcher->groups[i] =
            (struct group){.options = options->groups[i], .workers = &batcher->workers[first]};
    for (int i = 0; i < options->group_count; i++)
        EL_TRY(start_group(batcher, i));
    return 0;
}

int el_batcher_open(const struct el_batcher_options *options, struct el_batcher **ret_batcher) {
    struct el_batcher *batcher = NULL;
    EL_TRY(el_zalloc(1, sizeof *batcher, &batcher));
    batcher->options = *options;
    el_queue_init(&batcher->queue);
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_cond_init(&batcher->idle, NULL);
    el_histogram_init(&batcher->histograms[EL_BATCH_SEQUENCES], 1, 2);
    el_histogram_init(&batcher->histograms[EL_BATCH_TOKENS], 8, 2);
    el_histogram_init(&batcher->histograms[EL_BATCH_QUEUE_SECONDS], 1e-4, 2.5);
    el_histogram_init(&batcher->histograms[EL_BATCH_COMPUTE_SECONDS], 1e-4, 2.5);
    int status = start(batcher);
    batcher->options.groups = NULL; // the caller's
    if (status < 0) {
        el_batcher_close(batcher);
        return status;
    }
    *ret_batcher = batcher;
    return 0;
}

void el_batcher_close(struct el_batcher *batcher) {
    if (!batcher) return;
    pthread_mutex_lock(&batcher->lock);
    batcher->closing = true;
    wake_all(batcher);
    pthread_mutex_unlock(&batcher->lock);
    for (int i = 0; i < batcher->started; i++)
        pthread_join(batcher->workers[i].thread, NULL);
    for (int i = 0; i < batcher->started; i++) {
        el_arena_done(&batcher->workers[i].compute.scratch);
        pthread_cond_destroy(&batcher->workers[i].wake);
    }
    for (int i = 0; i < EL_BATCH_GROUPS; i++)
        el_team_close(batcher->groups[i].team);
    pthread_cond_destroy(&batcher->idle);
    pthread_mutex_destroy(&batcher->lock);
    el_free(batcher->workers);
    el_free(batcher);
}

void el_batcher_resize(struct el_batcher *batcher, int group, int workers, int64_t batch_tokens) {
    struct group *resized = &batcher->groups[group];
    pthread_mutex_lock(&batcher->lock);
    if (!resized->lost) resized->active = EL_MIN(workers, resized->options.workers);
    resized->batch_tokens = batch_tokens;
    wake_all(batcher);
    pthread_mutex_unlock(&batcher->lock);
}

// Stamps the chain; returns its last.
static struct el_sequence *stamp(struct el_sequence *first) {
    const uint64_t now = el_now_ns();
    for (;; first = first->next) {
        first->queued_ns = now;
        if (!first->next) return first;
    }
}

int el_batcher_put(struct el_batcher *batcher, enum el_lane lane, struct el_sequence *first, size_t count,
                   int64_t tokens) {
    struct el_sequence *last = stamp(first);
    int status = 0;
    pthread_mutex_lock(&batcher->lock);
    if (batcher->closing)
        status = el_fail(EL_ESHUTDOWN, "the service is shutting down");
    else if (nobody_is_left(batcher))
        status = none_left();
    if (status == 0) {
        el_queue_put(&batcher->queue, lane, first, last, count, tokens);
        wake_one(batcher);
    }
    pthread_mutex_unlock(&batcher->lock);
    return status;
}

void el_batcher_drain(struct el_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    while (!is_idle(batcher))
        pthread_cond_wait(&batcher->idle, &batcher->lock);
    pthread_mutex_unlock(&batcher->lock);
}

void el_batcher_stats(struct el_batcher *batcher, struct el_batcher_stats *ret_stats) {
    pthread_mutex_lock(&batcher->lock);
    *ret_stats = (struct el_batcher_stats){
        .batches = batcher->batches,
        .returned = batcher->returned,
        .queue_ns = batcher->queue_ns,
        .compute_ns = batcher->compute_ns,
        .queued_sequences = batcher->queue.sequences,
        .queued_tokens = batcher->queue.tokens,
        .ns_per_token = batcher->ns_per_token,
    };
    for (int i = 0; i < EL_LANES; i++)
        ret_stats->lane_tokens[i] = batcher->queue.lanes[i].tokens;
    for (int i = 0; i < batcher->options.group_count; i++)
        ret_stats->running_tokens += batcher->groups[i].running_tokens;
    pthread_mutex_unlock(&batcher->lock);
}

const struct el_ladder_counts *el_batcher_ladder(const struct el_batcher *batcher) {
    return &batcher->ladder;
}

void el_batcher_group_stats(struct el_batcher *batcher, int group, struct el_batch_group_stats *ret_stats) {
    const struct group *g = &batcher->groups[group];
    pthread_mutex_lock(&batcher->lock);
    *ret_stats = (struct el_batch_group_stats){.tokens = g->tokens, .limits = largest_batch(batcher, g)};
    pthread_mutex_unlock(&batcher->lock);
}

const struct el_histogram *el_batcher_histogram(const struct el_batcher *batcher,
                                                enum el_batcher_histogram which) {
    return &batcher->histograms[which];
}
