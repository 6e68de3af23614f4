// SPDX-License-Identifier: Apache-2.0
// The batcher as its callers see it: one queue, one lock, groups of workers. Whoever puts work into the queue
// wakes one idle worker.
#include "engine/batcher.h"

#include "base/error.h"
#include "base/mem.h"
#include "engine/batcher_parts.h"

static int start_group(struct el_batcher *batcher, int i) {
    struct el_batcher_group *group = &batcher->groups[i];
    const struct el_batch_group *options = &group->options;
    // A team pins its helpers to the first processors, which are those of the first group alone.
    if (options->threads > 1)
        EL_TRY(el_team_open(options->threads, batcher->options.pin && options->first_processor == 0,
                            &group->team));
    for (int rank = 0; rank < options->workers; rank++)
        EL_TRY(el_batcher_worker_start(batcher, i, rank));
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
            (struct el_batcher_group){.options = options->groups[i], .workers = &batcher->workers[first]};
    for (int i = 0; i < options->group_count; i++)
        EL_TRY(start_group(batcher, i));
    return 0;
}

int el_batcher_open(const struct el_batcher_options *options, struct el_batcher **ret_batcher) {
    struct el_batcher *batcher = NULL;
    EL_TRY(el_zalloc(1, sizeof *batcher, &batcher));
    batcher->options = *options;
    el_queue_init(&batcher->queue);
    el_batch_counts_init(&batcher->counts);
    pthread_mutex_init(&batcher->lock, NULL);
    pthread_cond_init(&batcher->idle, NULL);
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
    el_batcher_wake_all(batcher);
    pthread_mutex_unlock(&batcher->lock);
    el_batcher_workers_join(batcher);
    for (int i = 0; i < EL_BATCH_GROUPS; i++)
        el_team_close(batcher->groups[i].team);
    pthread_cond_destroy(&batcher->idle);
    pthread_mutex_destroy(&batcher->lock);
    el_free(batcher->workers);
    el_free(batcher);
}

void el_batcher_resize(struct el_batcher *batcher, int group, int workers, int64_t batch_tokens) {
    struct el_batcher_group *resized = &batcher->groups[group];
    pthread_mutex_lock(&batcher->lock);
    if (!resized->lost) resized->active = EL_MIN(workers, resized->options.workers);
    resized->batch_tokens = batch_tokens;
    el_batcher_wake_all(batcher);
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
    else if (el_batcher_is_lost(batcher))
        status = el_batcher_none_left();
    if (status == 0) {
        el_queue_put(&batcher->queue, lane, first, last, count, tokens);
        el_batcher_wake_one(batcher);
    }
    pthread_mutex_unlock(&batcher->lock);
    return status;
}

void el_batcher_drain(struct el_batcher *batcher) {
    pthread_mutex_lock(&batcher->lock);
    while (!el_batcher_is_idle(batcher))
        pthread_cond_wait(&batcher->idle, &batcher->lock);
    pthread_mutex_unlock(&batcher->lock);
}

void el_batcher_stats(struct el_batcher *batcher, struct el_batcher_stats *ret_stats) {
    pthread_mutex_lock(&batcher->lock);
    *ret_stats = (struct el_batcher_stats){
        .batches = batcher->counts.batches,
        .returned = batcher->counts.returned,
        .queue_ns = batcher->counts.queue_ns,
        .compute_ns = batcher->counts.compute_ns,
        .queued_sequences = batcher->queue.sequences,
        .queued_tokens = batcher->queue.tokens,
        .ns_per_token = batcher->counts.ns_per_token,
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
    const struct el_batcher_group *g = &batcher->groups[group];
    pthread_mutex_lock(&batcher->lock);
    *ret_stats = (struct el_batch_group_stats){.tokens = g->tokens, .limits = el_batcher_largest(batcher, g)};
    pthread_mutex_unlock(&batcher->lock);
}

const struct el_histogram *el_batcher_histogram(const struct el_batcher *batcher,
                                                enum el_batcher_histogram which) {
    return &batcher->counts.histograms[which];
}
