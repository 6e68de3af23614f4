// SPDX-License-Identifier: Apache-2.0
// The batcher: one queue, one lock, workers that take packed batches.
#include "engine/batcher.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct worker {
    struct el_batcher *batcher;
    pthread_t thread;
    struct el_batch_worker self;
    struct el_arena scratch; // the packed batch
};

struct el_batcher {
    struct el_batcher_options options; // but for batch_tokens, which the lock guards
    struct el_team *team;              // shared by whichever worker finds the others idle
    struct worker *workers;
    int started;

    pthread_mutex_t lock;   // guards all below but the histograms
    pthread_cond_t arrived; // the queue has grown, or the end has come
    pthread_cond_t resized; // other workers rest
    pthread_cond_t idle;    // nothing queued, nothing running
    struct el_sequence *head, **tail;
    int64_t queued_sequences, queued_tokens, running_tokens;
    int running_batches, active; // workers that take batches
    bool team_taken, closing;
    uint64_t batches, halved, queue_ns, compute_ns;
    double ns_per_token;

    struct el_histogram histograms[EL_BATCH_HISTOGRAMS];
};

// Sequences taken off the queue to be computed together.
struct taken {
    struct el_sequence *first;
    int count;
    int64_t tokens;
    bool with_team;
};

// ---- computing ----

// Lays the sequences end to end. The batch lives in the arena.
static int pack(struct el_arena *arena, const struct taken *taken, struct el_batch *ret_batch) {
    int32_t *ids = NULL, *positions = NULL, *start = NULL;
    EL_TRY(el_arena_alloc(arena, (size_t)taken->tokens, sizeof *ids, &ids));
    EL_TRY(el_arena_alloc(arena, (size_t)taken->tokens, sizeof *positions, &positions));
    EL_TRY(el_arena_alloc(arena, (size_t)taken->count + 1, sizeof *start, &start));
    int32_t row = 0;
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next) {
        start[i] = row;
        memcpy(ids + row, s->ids, (size_t)s->count * sizeof *ids);
        for (int32_t t = 0; t < s->count; t++)
            positions[row + t] = t;
        row += s->count;
    }
    start[taken->count] = row;
    *ret_batch = (struct el_batch){
        .ids = ids, .positions = positions, .seqs = {.count = taken->count, .start = start}, .tokens = row};
    return 0;
}

static int compute_once(struct worker *worker, const struct taken *taken) {
    const struct el_batcher_options *options = &worker->batcher->options;
    struct el_arena *arena = &worker->scratch;
    struct el_batch batch;
    float *vectors = NULL;
    EL_TRY(pack(arena, taken, &batch));
    EL_TRY(el_arena_alloc(arena, (size_t)taken->count, (size_t)options->dim * sizeof *vectors, &vectors));
    EL_TRY(options->run(options->context, &worker->self, &batch, vectors));
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next)
        memcpy(s->vector, vectors + (size_t)i * (size_t)options->dim, (size_t)options->dim * sizeof *vectors);
    return 0;
}

static void finish(struct el_batcher *batcher, struct el_sequence *first, int count, int status) {
    for (int i = 0; i < count; i++) {
        struct el_sequence *next = first->next; // done may free it
        batcher->options.done(first, status);
        first = next;
    }
}

// The first half of `taken` by count; *taken keeps the rest.
static struct taken split_half(struct taken *taken) {
    struct taken half = {.first = taken->first, .count = taken->count / 2};
    for (int i = 0; i < half.count; i++) {
        half.tokens += taken->first->count;
        taken->first = taken->first->next;
    }
    taken->count -= half.count;
    taken->tokens -= half.tokens;
    return half;
}

// Computes and finishes a batch. Out of memory: the same sequences in halves, down to one alone.
static void compute(struct worker *worker, struct taken taken) {
    struct el_arena_mark mark = el_arena_mark(&worker->scratch);
    int status = compute_once(worker, &taken);
    el_arena_release(&worker->scratch, mark);
    if (status == EL_ENOMEM && taken.count > 1) {
        __atomic_fetch_add(&worker->batcher->halved, 1, __ATOMIC_RELAXED);
        el_arena_done(&worker->scratch); // what a large batch took may be what is missing
        compute(worker, split_half(&taken));
        compute(worker, taken);
        return;
    }
    finish(worker->batcher, taken.first, taken.count, status);
}

// ---- taking ----

static bool is_dropped(const struct el_sequence *s) {
    return s->dropped && __atomic_load_n(s->dropped, __ATOMIC_RELAXED);
}

static struct el_sequence *pop(struct el_batcher *batcher) {
    struct el_sequence *s = batcher->head;
    batcher->head = s->next;
    if (!batcher->head) batcher->tail = &batcher->head;
    s->next = NULL;
    batcher->queued_sequences--;
    batcher->queued_tokens -= s->count;
    return s;
}

// Whether so many sequences make a batch full.
static bool is_full(const struct el_batcher *batcher, int64_t sequences) {
    return batcher->options.batch_sequences > 0 && sequences >= batcher->options.batch_sequences;
}

// Takes sequences up to the budget, at least one; dropped ones go to *ret_dropped instead. Locked.
static struct taken take_batch(struct el_batcher *batcher, struct el_sequence **ret_dropped) {
    const int64_t budget = batcher->options.batch_tokens;
    struct taken taken = {0};
    struct el_sequence **end = &taken.first, **dropped = ret_dropped;
    while (batcher->head) {
        if (is_dropped(batcher->head)) {
            *dropped = pop(batcher);
            dropped = &(*dropped)->next;
            continue;
        }
        if (taken.count > 0 && taken.tokens + batcher->head->count > budget) break;
        if (is_full(batcher, taken.count)) break;
        *end = pop(batcher);
        taken.tokens += (*end)->count;
        taken.count++;
        end = &(*end)->next;
    }
    return taken;
}

// Waits until a batch may be made: the budget is full, or the oldest sequence has waited its time. False at
// the end. Locked.
static bool wait_for_work(const struct worker *worker) {
    struct el_batcher *batcher = worker->batcher;
    for (;;) {
        if (worker->self.index >= batcher->active && !batcher->closing) {
            pthread_cond_wait(&batcher->resized, &batcher->lock);
            continue;
        }
        if (!batcher->head) {
            if (batcher->closing) return false;
            pthread_cond_wait(&batcher->arrived, &batcher->lock);
            continue;
        }
        uint64_t due = batcher->head->queued_ns + (uint64_t)batcher->options.wait_us * 1000u;
        if (batcher->closing || batcher->queued_tokens >= batcher->options.batch_tokens ||
            is_full(batcher, batcher->queued_sequences) || el_now_ns() >= due)
            return true;
        struct timespec until = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
        pthread_cond_timedwait(&batcher->arrived, &batcher->lock, &until);
    }
}

// Counts the batch in; notes how long its sequences waited. Locked.
static void begin(struct el_batcher *batcher, struct taken *taken, uint64_t now) {
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next) {
        batcher->queue_ns += now - s->queued_ns;
        el_histogram_add(&batcher->histograms[EL_BATCH_QUEUE_SECONDS], (double)(now - s->queued_ns) * 1e-9);
    }
    taken->with_team = batcher->running_batches == 0 && !batcher->head && !batcher->team_taken;
    if (taken->with_team) batcher->team_taken = true;
    batcher->running_batches++;
    batcher->running_tokens += taken->tokens;
}

// Counts the batch out and learns what a token costs. Locked.
static void end(struct el_batcher *batcher, const struct taken *taken, uint64_t spent_ns) {
    // Batches that run side by side share the machine: a token costs the batcher 1 / batches of its time.
    double cost = (double)spent_ns / (double)taken->tokens / batcher->running_batches;
    batcher->ns_per_token = batcher->ns_per_token > 0 ? 0.9 * batcher->ns_per_token + 0.1 * cost : cost;
    if (taken->with_team) batcher->team_taken = false;
    batcher->running_batches--;
    batcher->running_tokens -= taken->tokens;
    batcher->batches++;
    batcher->compute_ns += spent_ns;
    el_histogram_add(&batcher->histograms[EL_BATCH_SEQUENCES], taken->count);
    el_histogram_add(&batcher->histograms[EL_BATCH_TOKENS], (double)taken->tokens);
    el_histogram_add(&batcher->histograms[EL_BATCH_COMPUTE_SECONDS], (double)spent_ns * 1e-9);
}

static void run_batch(struct worker *worker, struct taken taken) {
    struct el_batcher *batcher = worker->batcher;
    uint64_t began = el_now_ns();
    begin(batcher, &taken, began);
    pthread_mutex_unlock(&batcher->lock);
    worker->self.team = taken.with_team ? batcher->team : NULL;
    compute(worker, taken);
    pthread_mutex_lock(&batcher->lock);
    end(batcher, &taken, el_now_ns() - began);
}

// Finishes what nobody waits for any more. Locked; not meanwhile.
static void cancel(struct el_batcher *batcher, struct el_sequence *dropped) {
    int count = 0;
    for (const struct el_sequence *s = dropped; s; s = s->next)
        count++;
    batcher->running_batches++; // so that drain waits for it
    pthread_mutex_unlock(&batcher->lock);
    finish(batcher, dropped, count, el_fail(EL_ECANCELED, "the client has gone"));
    pthread_mutex_lock(&batcher->lock);
    batcher->running_batches--;
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct el_batcher *batcher = worker->batcher;
    el_thread_name("el-worker");
    if (batcher->options.pin) el_thread_pin(worker->self.index);
    pthread_mutex_lock(&batcher->lock);
    while (wait_for_work(worker)) {
        struct el_sequence *dropped = NULL;
        struct taken taken = take_batch(batcher, &dropped);
        if (batcher->head) pthread_cond_signal(&batcher->arrived); // more than one worker's share
        if (taken.count > 0) run_batch(worker, taken);
        if (dropped) cancel(batcher, dropped);
        if (!batcher->head && batcher->running_batches == 0) pthread_cond_broadcast(&batcher->idle);
    }
    pthread_mutex_unlock(&batcher->lock);
    return NULL;
}

// ---- the batcher ----

static int start_workers(struct el_batcher *batcher) {
    EL_TRY(el_zalloc((size_t)batcher->options.workers, sizeof *batcher->workers, &batcher->workers));
    for (int i = 0; i < batcher->options.workers; i++) {
        struct worker *worker = &batcher->workers[i];
        *worker = (struct worker){.batcher = batcher, .self = {.index = i}};
        el_arena_init(&worker->scratch);
        int error = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (error) return el_fail(EL_ENOMEM, "cannot start worker %d: %s", i, strerror(error));
        batcher->started++;
    }
    return 0;
}

int el_batcher_open(const struct el_batcher_options *options, struct el_batcher **ret_batcher) {
    struct el_batcher *batcher = NULL;
    pthread_condattr_t monotonic;
    EL_TRY(el_zalloc(1, sizeof *batcher, &batcher));
    batcher->options = *options;
    batcher->active = options->workers;
    batcher->tail = &batcher->head;
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&batcher->arrived, &monotonic);
    pthread_cond_init(&batcher->resized, NULL);
    pthread_cond_init(&batcher->idle, NULL);
    pthread_condattr_destroy(&monotonic);
    el_histogram_init(&batcher->histograms[EL_BATCH_SEQUENCES], 1, 2);
    el_histogram_init(&batcher->histograms[EL_BATCH_TOKENS], 8, 2);
    el_histogram_init(&batcher->histograms[EL_BATCH_QUEUE_SECONDS], 1e-4, 2.5);
    el_histogram_init(&batcher->histograms[EL_BATCH_COMPUTE_SECONDS], 1e-4, 2.5);
    int status = el_team_open(options->threads, options->pin, &batcher->team);
    if (status == 0) status = start_workers(batcher);
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
    pthread_cond_broadcast(&batcher->resized);
    pthread_cond_broadcast(&batcher->arrived);
    pthread_mutex_unlock(&batcher->lock);
    for (int i = 0; i < batcher->started; i++) {
        pthread_join(batcher->workers[i].thread, NULL);
        el_arena_done(&batcher->workers[i].scratch);
    }
    el_team_close(batcher->team);
    pthread_cond_destroy(&batcher->arrived);
    pthread_cond_destroy(&batcher->resized);
    pthread_cond_destroy(&batcher->idle);
    pthread_mutex_destroy(&batcher->lock);
    el_free(batcher->workers);
    el_free(batcher);
}

void el_batcher_resize(struct el_batcher *batcher, int workers, int64_t batch_tokens) {
    pthread_mutex_lock(&batcher->lock);
    batcher->active = EL_MIN(workers, batcher->options.workers);
    batcher->options.batch_tokens = batch_tokens;
    pthread_cond_broadcast(&batcher->resized);
    pthread_cond_broadcast(&batcher->arrived);
    pthread_mutex_unlock(&batcher->lock);
}

int el_batcher_put(struct el_batcher *batcher, struct el_sequence *first, size_t count, int64_t tokens) {
    struct el_sequence *last = first;
    const uint64_t now = el_now_ns();
    for (;; last = last->next) {
        last->queued_ns = now;
        if (!last->next) break;
    }
    pthread_mutex_lock(&batcher->lock);
    if (batcher->closing) {
        pthread_mutex_unlock(&batcher->lock);
        return el_fail(EL_ESHUTDOWN, "the service is shutting down");
    }
    *batcher->tail = first;
    batcher->tail = &last->next;
    batcher->queued_sequences += (int64_t)count;
    batcher->queued_tokens += tokens;
    pthread_cond_signal(&batcher->arrived);
    pthread_mutex_unlock(&batcher->lock);
    return 0;
}

void el_batcher_drain(struct el_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    while (batcher->head || batcher->running_batches > 0)
        pthread_cond_wait(&batcher->idle, &batcher->lock);
    pthread_mutex_unlock(&batcher->lock);
}

void el_batcher_stats(struct el_batcher *batcher, struct el_batcher_stats *ret_stats) {
    pthread_mutex_lock(&batcher->lock);
    *ret_stats = (struct el_batcher_stats){
        .batches = batcher->batches,
        .halved = __atomic_load_n(&batcher->halved, __ATOMIC_RELAXED),
        .queue_ns = batcher->queue_ns,
        .compute_ns = batcher->compute_ns,
        .queued_sequences = batcher->queued_sequences,
        .queued_tokens = batcher->queued_tokens,
        .running_tokens = batcher->running_tokens,
        .ns_per_token = batcher->ns_per_token,
    };
    pthread_mutex_unlock(&batcher->lock);
}

const struct el_histogram *el_batcher_histogram(const struct el_batcher *batcher,
                                                enum el_batcher_histogram which) {
    return &batcher->histograms[which];
}
