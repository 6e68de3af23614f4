// SPDX-License-Identifier: Apache-2.0
// What an embedder tells of itself: sizes, counters, distributions, devices.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "service/embedder.h"

int el_embedder_dim(const struct el_embedder *embedder) {
    return (int)embedder->bert_config.hidden_size;
}
int el_embedder_max_tokens(const struct el_embedder *embedder) {
    return embedder->max_tokens;
}

int el_embedder_count_tokens(struct el_embedder *embedder, const struct el_text *text, int64_t *ret_tokens) {
    el_auto(el_tokens_done) struct el_tokens tokens = {0};
    EL_TRY(el_embedder_encode(embedder, embedder->prompt, text, &tokens));
    *ret_tokens = tokens.total;
    return 0;
}

int el_embedder_device_count(const struct el_embedder *embedder) {
    const struct el_batch_group *groups;
    return el_replicas_groups(embedder->replicas, &groups);
}

// The first replica in use stands for all; without any, the first.
static int first_open(const struct el_embedder *embedder) {
    for (int i = 0; i < el_embedder_device_count(embedder); i++) {
        struct el_replica_state state;
        el_replicas_state(embedder->replicas, i, &state);
        if (state.open) return i;
    }
    return 0;
}

void el_embedder_device(const struct el_embedder *embedder, int i, struct el_embed_device *ret_device) {
    struct el_replica_state place;
    struct el_batch_group_stats group;
    struct el_rejoin_state rejoin;
    el_replicas_state(embedder->replicas, i, &place);
    el_batcher_group_stats(embedder->batcher, i, &group);
    el_replicas_rejoin_state(embedder->replicas, i, &rejoin);
    *ret_device = (struct el_embed_device){
        .in_use = place.open,
        .tokens = group.tokens,
        .given_up = rejoin.out,
        .tries = rejoin.tries,
        .next_ns = rejoin.next_ns,
        .rejoins = rejoin.rejoins,
    };
    memcpy(ret_device->id, place.device, sizeof ret_device->id);
    memcpy(ret_device->problem, rejoin.problem, sizeof ret_device->problem);
}

// Of all devices.
static uint64_t count_rejoins(const struct el_embedder *embedder) {
    uint64_t rejoins = 0;
    for (int i = 0; i < el_embedder_device_count(embedder); i++) {
        struct el_rejoin_state state;
        el_replicas_rejoin_state(embedder->replicas, i, &state);
        rejoins += state.rejoins;
    }
    return rejoins;
}

void el_embedder_stats(const struct el_embedder *embedder, struct el_embed_stats *ret_stats) {
    const struct el_embed_counters *counters = &embedder->counters;
    struct el_batcher_stats batcher;
    struct el_cache_stats cache;
    const struct el_ladder_counts *ladder = el_batcher_ladder(embedder->batcher);
    struct el_batch_group_stats group;
    el_batcher_stats(embedder->batcher, &batcher);
    el_batcher_group_stats(embedder->batcher, first_open(embedder), &group);
    el_cache_stats(embedder->cache, &cache);
    *ret_stats = (struct el_embed_stats){
        .requests = counters->requests,
        .inputs = counters->inputs,
        .tokens = counters->tokens,
        .batches = batcher.batches,
        .failures = counters->failures,
        .refused = counters->refused,
        .canceled = counters->canceled,
        .queue_inputs = (uint64_t)batcher.queued_sequences,
        .queue_tokens = (uint64_t)batcher.queued_tokens,
        .running_tokens = (uint64_t)batcher.running_tokens,
        .queue_ns = batcher.queue_ns,
        .inference_ns = batcher.compute_ns,
        .oom_count = ladder->out_of_memory,
        .rejoins = count_rejoins(embedder),
        .oom_halved = ladder->halved,
        .oom_trimmed = ladder->trimmed,
        .oom_caches_dropped = ladder->caches_dropped,
        .oom_moved = ladder->moved,
        .batch_tokens = (uint64_t)group.limits.tokens,
        .batch_size = (uint64_t)group.limits.sequences,
        .cache_hits = cache.hits,
        .cache_misses = cache.misses,
        .cache_coalesced = cache.coalesced,
        .cache_evictions = cache.evictions,
        .cache_bytes = cache.bytes,
        .cache_entries = cache.entries,
    };
}

static const struct el_histogram *histogram_of(const struct el_embedder *embedder,
                                               enum el_embed_histogram which) {
    switch (which) {
    case EL_HIST_TOKENIZE_SECONDS:
        return &embedder->tokenize_seconds;
    case EL_HIST_BATCH_INPUTS:
        return el_batcher_histogram(embedder->batcher, EL_BATCH_SEQUENCES);
    case EL_HIST_BATCH_TOKENS:
        return el_batcher_histogram(embedder->batcher, EL_BATCH_TOKENS);
    case EL_HIST_QUEUE_SECONDS:
        return el_batcher_histogram(embedder->batcher, EL_BATCH_QUEUE_SECONDS);
    case EL_HIST_COMPUTE_SECONDS:
        return el_batcher_histogram(embedder->batcher, EL_BATCH_COMPUTE_SECONDS);
    case EL_HIST_INPUT_TOKENS:
    default:
        return &embedder->input_tokens;
    }
}

void el_embedder_histogram(const struct el_embedder *embedder, enum el_embed_histogram which,
                           struct el_histogram *ret_histogram) {
    el_histogram_read(histogram_of(embedder, which), ret_histogram);
}

static void read_places(const struct el_embedder *embedder, struct el_embed_info *info) {
    size_t used = 0;
    el_replicas_state(embedder->replicas, first_open(embedder), &info->place);
    for (int i = 0; i < el_embedder_device_count(embedder); i++) {
        struct el_replica_state state;
        el_replicas_state(embedder->replicas, i, &state);
        if (!state.open) continue;
        info->place_count++;
        if (used < sizeof info->devices)
            used += (size_t)snprintf(info->devices + used, sizeof info->devices - used, "%s%s",
                                     used > 0 ? "," : "", state.device);
    }
}

void el_embedder_info(const struct el_embedder *embedder, struct el_embed_info *ret_info) {
    struct el_embed_info info = {
        .path = embedder->path,
        .arch = "bert",
        .dim = el_embedder_dim(embedder),
        .max_tokens = embedder->max_tokens,
        .layers = (int)embedder->bert_config.layers,
        .threads = embedder->threads,
        .vocab_size = (int32_t)embedder->bert_config.vocab_size,
        .weight_bytes = atomic_load(&embedder->weight_bytes),
        .batch = {.tokens = embedder->fit.tokens,
                  .texts = embedder->fit.texts,
                  .source = embedder->fit.source},
    };
    read_places(embedder, &info);
    info.precision = el_precision_text(info.place.precision);
    *ret_info = info;
}
