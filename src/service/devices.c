// SPDX-License-Identifier: Apache-2.0
// An embedder on its devices: the model is loaded on each, batches go through it there (tokens through the
// encoder, rows pooled to a vector per text), and the work goes on when a device is lost or short of memory.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/manager/manager.h"
#include "device/pool.h"
#include "model/bert.h"
#include "ops/ops.h"
#include "ops/replay.h"
#include "service/embedder.h"

// Larger batches keep a device busy longer than their launches take, and rarely come again.
enum { REPLAY_TOKENS = 512 };

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

int el_embedder_run_beside(const struct el_embedder *embedder, int group, const struct el_batch *batch,
                           float *vectors) {
    struct work work = {.embedder = embedder, .batch = batch, .vectors = vectors};
    return el_replicas_run_beside(embedder->replicas, group, compute, &work);
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

static int load_model(void *context, const struct el_target *target, int threads, void **ret_model) {
    struct el_embedder *embedder = context;
    struct el_bert *bert = NULL;
    struct el_team *team = NULL; // for loading alone
    EL_TRY(el_team_open(threads, false, &team));
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

// Other devices are in use from now on, whose vectors may have other bits.
static void use_others(struct el_embedder *embedder) {
    el_embedder_fit(embedder);
    el_cache_drop(embedder->cache);
}

// The batcher's: a device is lost.
static void recover(void *context, int group) {
    struct el_embedder *embedder = context;
    el_replicas_recover(embedder->replicas, group);
    use_others(embedder);
}

// The replicas': a device was taken back.
static void rejoined(void *context, int group) {
    (void)group;
    use_others(context);
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

int el_embedder_replicas_open(struct el_embedder *embedder, const struct el_embedder_options *options) {
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

int el_embedder_batcher_open(struct el_embedder *embedder, const struct el_embedder_options *options) {
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

enum { REJOIN_MS = 5000, REJOIN_LONGEST_MS = 300000, REJOIN_PROBES = 3 };
static const uint64_t ns_per_ms = 1000000;

int el_embedder_rejoin_start(struct el_embedder *embedder, const struct el_embedder_options *options) {
    const int first = options->rejoin_ms, longest = options->rejoin_longest_ms;
    if (first < 0) return 0;
    const struct el_rejoin_options rejoin = {
        .first_ns = (uint64_t)(first ? first : REJOIN_MS) * ns_per_ms,
        .longest_ns = (uint64_t)(longest ? longest : REJOIN_LONGEST_MS) * ns_per_ms,
        .probes = options->rejoin_probes ? options->rejoin_probes : REJOIN_PROBES,
    };
    return el_replicas_rejoin_start(embedder->replicas, &rejoin, rejoined);
}
