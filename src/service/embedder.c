// SPDX-License-Identifier: Apache-2.0
// The embedding service: a model opened as sentence-transformers would, and the batch that it computes:
// tokens through the encoder, rows pooled to a vector per text.
#include "service/embedder.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/manager.h"
#include "device/pool.h"
#include "model/bert.h"
#include "ops/ops.h"
#include "ops/replay.h"

enum { STREAMS = 4 };
enum {
    REPLAY_TOKENS = 512
}; // larger batches keep a device busy longer than their launches take, and rarely come again

enum { LEAST_MISSING = 2 << 20 }; // bytes; where the weights would fit, were it not for how memory is cut

// One batch on its way through the model.
struct work {
    const struct el_embedder *embedder;
    const struct el_batch *batch;
    float *vectors; // [sequences][hidden_size]
};

// The same where the exec computes.
struct encoding {
    const struct el_embedder *embedder;
    const struct el_bert *model;
    struct el_batch batch;
    struct el_tensor hidden; // [tokens][hidden_size]
    struct el_tensor out;    // [sequences][hidden_size]
};

// Encode, pool, normalise.
static int encode(void *context, struct el_exec *exec) {
    struct encoding *e = context;
    const struct el_sentence_config *sentence = &e->embedder->sentence;
    EL_TRY(el_bert_forward(e->model, exec, &e->batch, &e->hidden));
    EL_TRY(exec->ops->pool(exec, &e->hidden, &e->batch.seqs, sentence->pool, &e->out));
    return sentence->normalize ? exec->ops->l2_normalize(exec, &e->out) : 0;
}

static int replay(struct encoding *e, struct el_exec *exec) {
    const struct el_replay_key key = {
        .fn = encode,
        .model = e->model,
        .memory = {e->batch.ids, e->batch.positions, e->batch.seqs.there, e->out.data},
        .size = {e->batch.tokens, e->batch.seqs.count, el_seqs_longest(&e->batch.seqs)},
    };
    return el_exec_replay(exec, &key, e);
}

static int compute(void *context, const void *model, struct el_exec *exec) {
    const struct work *work = context;
    const int64_t hidden_size = work->embedder->bert_config.hidden_size;
    struct encoding e = {.embedder = work->embedder, .model = model};
    EL_TRY(el_batch_upload(exec, work->batch, &e.batch));
    EL_TRY(el_exec_alloc(exec, exec->activations, e.batch.tokens, hidden_size, &e.hidden));
    EL_TRY(el_exec_alloc(exec, EL_F32, e.batch.seqs.count, hidden_size, &e.out));
    EL_TRY(e.batch.tokens <= REPLAY_TOKENS ? replay(&e, exec) : encode(&e, exec));
    EL_TRY(el_exec_download(exec, &e.out, work->vectors));
    el_exec_count(exec, e.batch.seqs.count);
    return 0;
}

// The batcher's work.
static int run_batch(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                     float *vectors) {
    const struct el_embedder *embedder = context;
    struct work work = {.embedder = embedder, .batch = batch, .vectors = vectors};
    return el_replicas_run(embedder->replicas, worker, compute, &work);
}

// ---- the device ----

// Says how many bytes are missing, behind what has failed.
static int no_room(const struct el_embedder *embedder, const struct el_target *target) {
    struct el_device *device = target->device;
    const uint64_t needed = el_bert_gpu_bytes(&embedder->bert_config, target);
    struct el_pool_stats pool;
    uint64_t total = 0, left = UINT64_MAX;
    el_pool_trim(device->pool);
    el_pool_stats(device->pool, &pool);
    char why[256];
    snprintf(why, sizeof why, "%s", el_error_detail());
    if (device->backend->memory(device, &total, &left) < 0) left = UINT64_MAX; // it does not tell
    left = EL_MIN(left, pool.budget - pool.allocated);
    const uint64_t missing = needed > left ? needed - left : LEAST_MISSING;
    return el_fail(EL_ENOMEM,
                   "the weights take %" PRIu64 " bytes in %s, %s has %" PRIu64 " left: %" PRIu64
                   " bytes are missing%s (%s)",
                   needed, el_precision_text(target->precision), device->id, left, missing,
                   needed > left ? "" : " at least, since its memory is in pieces", why);
}

static int load_model(void *context, const struct el_target *target, void **ret_model) {
    struct el_embedder *embedder = context;
    struct el_bert *bert = NULL;
    struct el_team *team = NULL; // for loading alone
    EL_TRY(el_team_open(embedder->threads, false, &team));
    int status = el_bert_open(embedder->path, &embedder->bert_config, target, team, &bert);
    el_team_close(team);
    if (status == EL_ENOMEM && !el_device_is_host(target->device)) return no_room(embedder, target);
    if (status < 0) return status;
    atomic_store(&embedder->weight_bytes, el_bert_bytes(bert));
    *ret_model = bert;
    return 0;
}

static void unload_model(void *model) {
    el_bert_close(model);
}

// The batcher's: a device is lost.
static void recover(void *context, int group) {
    struct el_embedder *embedder = context;
    el_replicas_recover(embedder->replicas, group);
    el_embedder_fit(embedder);
    el_cache_drop(embedder->cache); // another device's vectors may have other bits
}

static void relieve(void *context, int group, enum el_relief relief) {
    const struct el_embedder *embedder = context;
    if (relief == EL_RELIEF_TRIM) el_replicas_trim(embedder->replicas, group);
    if (relief == EL_RELIEF_CACHES) el_cache_drop(embedder->cache);
}

static void notice(void *context, const char *text) {
    const struct el_embedder *embedder = context;
    if (embedder->notice) embedder->notice(embedder->notice_context, text);
}

static void short_of_memory(void *context, int group, const char *text) {
    struct el_embedder *embedder = context;
    struct el_replica_state state;
    char whole[640];
    el_replicas_state(embedder->replicas, group, &state);
    snprintf(whole, sizeof whole, "%s: %s", state.device, text);
    notice(embedder, whole);
}

static int open_manager(struct el_embedder *embedder, const struct el_embedder_options *options) {
    const struct el_manager_options manager = {.devices = options->device};
    if (options->manager) {
        embedder->manager = options->manager;
        return 0;
    }
    EL_TRY(el_manager_open(&manager, &embedder->own_manager));
    embedder->manager = embedder->own_manager;
    return 0;
}

static int open_replicas(struct el_embedder *embedder, const struct el_embedder_options *options) {
    enum el_precision precision = EL_PRECISION_AUTO;
    if (options->precision) EL_TRY(el_precision_parse(options->precision, &precision));
    EL_TRY(open_manager(embedder, options));
    const struct el_replicas_options replicas = {
        .manager = embedder->manager,
        .precision = precision,
        .threads = embedder->threads,
        .streams = embedder->streams,
        .load = load_model,
        .unload = unload_model,
        .notice = notice,
        .context = embedder,
    };
    return el_replicas_open(&replicas, &embedder->replicas);
}

static int open_batcher(struct el_embedder *embedder, const struct el_embedder_options *options) {
    const struct el_batch_group *groups;
    const int group_count = el_replicas_groups(embedder->replicas, &groups);
    const struct el_batcher_options batcher = {
        .groups = groups,
        .group_count = group_count,
        .pin = options->pin,
        .batch_sequences = options->batch_texts,
        .wait_us = options->batch_wait_us,
        .dim = (int)embedder->bert_config.hidden_size,
        .run = run_batch,
        .recover = recover,
        .relieve = relieve,
        .short_of_memory = short_of_memory,
        .has_elsewhere = group_count > 1,
        .context = embedder,
        .done = el_embed_sequence_done,
    };
    EL_TRY(el_batcher_open(&batcher, &embedder->batcher));
    el_embedder_fit(embedder);
    return 0;
}

int el_embedder_find_prompt(const struct el_embedder *embedder, const char *name,
                            const struct el_prompt **ret_prompt) {
    el_auto(el_str_done) struct el_str names = {0};
    for (int i = 0; i < embedder->sentence.prompt_count; i++) {
        if (el_streq(embedder->sentence.prompts[i].name, name)) {
            *ret_prompt = &embedder->sentence.prompts[i];
            return 0;
        }
        EL_TRY(el_str_printf(&names, "%s%s", i ? ", " : "", embedder->sentence.prompts[i].name));
    }
    return el_fail(EL_EINVAL, "the model has no prompt \"%s\"; it has: %s", name,
                   names.length ? names.data : "none");
}

static int open_model(struct el_embedder *embedder, const struct el_embedder_options *options) {
    struct el_bert_config *config = &embedder->bert_config;
    EL_TRY(el_bert_config_read(embedder->path, config));
    EL_TRY(el_sentence_config_read(embedder->path, config, &embedder->sentence));
    EL_TRY(el_tokenizer_open(embedder->path, &embedder->tokenizer));
    if (el_tokenizer_vocab_size(embedder->tokenizer) > config->vocab_size)
        return el_fail(EL_EFORMAT,
                       "%s: the tokenizer has %" PRId32 " tokens, config.json's vocab_size is %" PRId64,
                       embedder->path, el_tokenizer_vocab_size(embedder->tokenizer), config->vocab_size);
    embedder->max_tokens = (int)EL_MIN(embedder->sentence.max_seq_length, config->max_positions);

    const char *prompt = options->prompt ? options->prompt : embedder->sentence.default_prompt;
    if (prompt) EL_TRY(el_embedder_find_prompt(embedder, prompt, &embedder->prompt));

    return open_replicas(embedder, options);
}

int el_embedder_open(const char *path, const struct el_embedder_options *options,
                     struct el_embedder **ret_embedder) {
    static const struct el_embedder_options defaults = {0};
    struct el_embedder *embedder = NULL;
    if (!options) options = &defaults;
    if (options->threads < 0 || options->batch_tokens < 0 || options->batch_wait_us < 0 ||
        options->queue_tokens < 0 || options->streams < 0 || options->batch_texts < 0 ||
        options->cache_mb < 0 || options->queue_ms < 0)
        return el_fail(EL_EINVAL, "threads, streams, batch_tokens, batch_texts, batch_wait_us, queue_tokens, "
                                  "queue_ms and cache_mb must not be negative");
    EL_TRY(el_zalloc(1, sizeof *embedder, &embedder));
    embedder->threads = options->threads > 0 ? options->threads : el_cpu_count();
    embedder->streams = options->streams > 0 ? options->streams : STREAMS;
    embedder->queue_tokens = options->queue_tokens;
    embedder->queue_ms = options->queue_ms;
    embedder->notice = options->notice;
    embedder->notice_context = options->notice_context;
    el_histogram_init(&embedder->input_tokens, 4, 2);
    el_histogram_init(&embedder->tokenize_seconds, 1e-5, 2.5);
    int status = el_strdup(path, &embedder->path);
    if (status == 0) status = el_embedder_fit_open(embedder, options);
    if (status == 0) status = open_model(embedder, options);
    if (status == 0 && options->cache_mb > 0)
        status = el_cache_open((size_t)options->cache_mb << 20, el_embedder_dim(embedder), &embedder->cache);
    if (status == 0) status = open_batcher(embedder, options);
    if (status < 0) {
        el_embedder_close(embedder);
        return status;
    }
    *ret_embedder = embedder;
    return 0;
}

void el_embedder_drain(struct el_embedder *embedder) {
    atomic_store(&embedder->draining, true);
    el_batcher_drain(embedder->batcher);
}

void el_embedder_close(struct el_embedder *embedder) {
    if (!embedder) return;
    el_batcher_close(embedder->batcher);
    el_cache_close(embedder->cache);
    el_replicas_close(embedder->replicas);
    el_manager_close(embedder->own_manager);
    el_tokenizer_close(embedder->tokenizer);
    el_sentence_config_done(&embedder->sentence);
    el_embedder_fit_close(embedder);
    el_free(embedder->path);
    el_free(embedder);
}

int el_embedder_encode(const struct el_embedder *embedder, const struct el_prompt *prompt,
                       const struct el_text *text, struct el_tokens *tokens) {
    if (!prompt)
        return el_tokenizer_encode(embedder->tokenizer, text->data, text->length, embedder->max_tokens,
                                   tokens);
    el_auto(el_str_done) struct el_str whole = {0};
    EL_TRY(el_str_puts(&whole, prompt->text));
    EL_TRY(el_str_append(&whole, text->data, text->length));
    return el_tokenizer_encode(embedder->tokenizer, whole.data, whole.length, embedder->max_tokens, tokens);
}

// ---- facts ----

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

// The first replica in use stands for all; without any, the first.
static int first_open(const struct el_embedder *embedder) {
    const struct el_batch_group *groups;
    const int count = el_replicas_groups(embedder->replicas, &groups);
    for (int i = 0; i < count; i++) {
        struct el_replica_state state;
        el_replicas_state(embedder->replicas, i, &state);
        if (state.open) return i;
    }
    return 0;
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
        .queue_ns = batcher.queue_ns,
        .inference_ns = batcher.compute_ns,
        .oom_count = ladder->out_of_memory,
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
    const struct el_batch_group *groups;
    const int count = el_replicas_groups(embedder->replicas, &groups);
    size_t used = 0;
    el_replicas_state(embedder->replicas, first_open(embedder), &info->place);
    for (int i = 0; i < count; i++) {
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
