// SPDX-License-Identifier: Apache-2.0
// The embedding service: text to tokens, tokens through the batcher's encoder, rows pooled to a vector per
// text, as sentence-transformers does it.
#include "service/embed.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/backend.h"
#include "engine/batcher.h"
#include "format/hf_config.h"
#include "format/tokenizer.h"
#include "model/bert.h"

enum {
    DEFAULT_BATCH_TOKENS = 192, // activations of so many tokens stay in a core's L2 (docs/ops.md)
    BULK_CHUNK = 512            // texts of a bulk call that are tokenised while earlier ones compute
};

struct counters {
    _Atomic uint64_t requests, inputs, tokens, failures, refused, canceled, tokenize_ns;
};

struct el_embedder {
    char *path;
    struct el_bert_config bert_config;
    struct el_sentence_config sentence;
    struct el_tokenizer *tokenizer;
    struct el_device *device;
    struct el_bert *bert;
    struct el_batcher *batcher;
    const struct el_ops *ops;
    enum el_precision precision;
    int threads, max_tokens;
    int64_t queue_tokens;           // 0: unlimited
    const struct el_prompt *prompt; // for requests that name none, or NULL
    char device_text[32];
    atomic_bool draining;
    struct counters counters;
    struct el_histogram input_tokens;
};

struct el_embed_request {
    struct el_embedder *embedder;
    struct el_arena arena;         // holds all below
    struct el_sequence *sequences; // [count]
    float *vectors;                // [count][dim of the model], then [count][dim]
    size_t count;
    int dim;
    int64_t tokens;
    el_embed_done_fn *done;
    void *context;
    bool dropped;           // atomic
    _Atomic size_t waiting; // sequences not yet done
    atomic_int status;      // of the first that failed
    char detail[256];       // its detail
};

// ---- opening ----

// The batcher's work: encode, pool, normalise.
static int run_batch(void *context, struct el_exec *exec, const struct el_batch *batch, float *vectors) {
    const struct el_embedder *embedder = context;
    const int64_t hidden_size = embedder->bert_config.hidden_size;
    float *rows = NULL;
    EL_TRY(el_arena_alloc(&exec->scratch, (size_t)batch->tokens, (size_t)hidden_size * sizeof *rows, &rows));
    struct el_tensor hidden = el_tensor_2d(EL_F32, rows, batch->tokens, hidden_size);
    struct el_tensor out = el_tensor_2d(EL_F32, vectors, batch->seqs.count, hidden_size);
    EL_TRY(el_bert_forward(embedder->bert, exec, batch, &hidden));
    EL_TRY(exec->ops->pool(exec, &hidden, &batch->seqs, embedder->sentence.pool, &out));
    return embedder->sentence.normalize ? exec->ops->l2_normalize(exec, &out) : 0;
}

static void sequence_done(struct el_sequence *sequence, int status);

static int open_batcher(struct el_embedder *embedder, const struct el_embedder_options *options) {
    const struct el_batcher_options batcher = {
        .ops = embedder->ops,
        .threads = embedder->threads,
        .pin = options->pin,
        .batch_tokens = options->batch_tokens > 0 ? options->batch_tokens : DEFAULT_BATCH_TOKENS,
        .wait_us = options->batch_wait_us,
        .dim = (int)embedder->bert_config.hidden_size,
        .run = run_batch,
        .context = embedder,
        .done = sequence_done,
    };
    return el_batcher_open(&batcher, &embedder->batcher);
}

static int find_prompt(const struct el_embedder *embedder, const char *name,
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
    enum el_precision wanted = EL_PRECISION_AUTO;
    if (options->precision) EL_TRY(el_precision_parse(options->precision, &wanted));
    EL_TRY(el_ops_find(NULL, &embedder->ops));
    EL_TRY(el_ops_precision(embedder->ops, wanted, &embedder->precision));
    EL_TRY(el_bert_config_read(embedder->path, config));
    EL_TRY(el_sentence_config_read(embedder->path, config, &embedder->sentence));
    EL_TRY(el_tokenizer_open(embedder->path, &embedder->tokenizer));
    if (el_tokenizer_vocab_size(embedder->tokenizer) > config->vocab_size)
        return el_fail(EL_EFORMAT,
                       "%s: the tokenizer has %" PRId32 " tokens, config.json's vocab_size is %" PRId64,
                       embedder->path, el_tokenizer_vocab_size(embedder->tokenizer), config->vocab_size);
    embedder->max_tokens = (int)EL_MIN(embedder->sentence.max_seq_length, config->max_positions);

    const char *prompt = options->prompt ? options->prompt : embedder->sentence.default_prompt;
    if (prompt) EL_TRY(find_prompt(embedder, prompt, &embedder->prompt));

    EL_TRY(el_device_open("host", 0, &embedder->device));
    snprintf(embedder->device_text, sizeof embedder->device_text, "%s:%d", embedder->device->backend->name,
             embedder->device->index);
    struct el_team *team = NULL; // for loading alone
    EL_TRY(el_team_open(embedder->threads, false, &team));
    int status =
        el_bert_open(embedder->path, config, embedder->ops, embedder->precision, team, &embedder->bert);
    el_team_close(team);
    return status;
}

int el_embedder_open(const char *path, const struct el_embedder_options *options,
                     struct el_embedder **ret_embedder) {
    static const struct el_embedder_options defaults = {0};
    struct el_embedder *embedder = NULL;
    if (!options) options = &defaults;
    if (options->threads < 0 || options->batch_tokens < 0 || options->batch_wait_us < 0 ||
        options->queue_tokens < 0)
        return el_fail(EL_EINVAL,
                       "threads, batch_tokens, batch_wait_us and queue_tokens must not be negative");
    EL_TRY(el_zalloc(1, sizeof *embedder, &embedder));
    embedder->threads = options->threads > 0 ? options->threads : el_cpu_count();
    embedder->queue_tokens = options->queue_tokens;
    el_histogram_init(&embedder->input_tokens, 4, 2);
    int status = el_strdup(path, &embedder->path);
    if (status == 0) status = open_model(embedder, options);
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
    el_bert_close(embedder->bert);
    el_device_close(embedder->device);
    el_tokenizer_close(embedder->tokenizer);
    el_sentence_config_done(&embedder->sentence);
    el_free(embedder->path);
    el_free(embedder);
}

// ---- one request ----

static int keep_ids(struct el_embed_request *request, size_t index, const int32_t *ids, int32_t count) {
    struct el_sequence *sequence = &request->sequences[index];
    int32_t *kept = NULL;
    EL_TRY(el_arena_alloc(&request->arena, (size_t)count, sizeof *kept, &kept));
    memcpy(kept, ids, (size_t)count * sizeof *ids);
    sequence->ids = kept;
    sequence->count = count;
    request->tokens += count;
    return 0;
}

static int too_long(const struct el_embedder *embedder, size_t index, int64_t tokens) {
    return el_fail(EL_ETOOBIG, "input %zu has %" PRId64 " tokens, the model takes %d", index, tokens,
                   embedder->max_tokens);
}

// Token ids as the client made them.
static int take_ids(struct el_embed_request *request, size_t index, const struct el_embed_input *input,
                    const struct el_embed_options *options) {
    const struct el_embedder *embedder = request->embedder;
    if (input->id_count < 1) return el_fail(EL_EINVAL, "input %zu has no token ids", index);
    if (options->refuse_too_long && input->id_count > embedder->max_tokens)
        return too_long(embedder, index, input->id_count);
    const int32_t count = EL_MIN(input->id_count, embedder->max_tokens);
    for (int32_t i = 0; i < count; i++)
        if (input->ids[i] < 0 || input->ids[i] >= embedder->bert_config.vocab_size)
            return el_fail(EL_EINVAL, "input %zu: token id %" PRId32 " is not from 0 to %" PRId64, index,
                           input->ids[i], embedder->bert_config.vocab_size - 1);
    return keep_ids(request, index, input->ids, count);
}

// Encodes text behind the prompt (NULL: none) into *tokens.
static int encode(const struct el_embedder *embedder, const struct el_prompt *prompt,
                  const struct el_text *text, struct el_tokens *tokens) {
    if (!prompt)
        return el_tokenizer_encode(embedder->tokenizer, text->data, text->length, embedder->max_tokens,
                                   tokens);
    el_auto(el_str_done) struct el_str whole = {0};
    EL_TRY(el_str_puts(&whole, prompt->text));
    EL_TRY(el_str_append(&whole, text->data, text->length));
    return el_tokenizer_encode(embedder->tokenizer, whole.data, whole.length, embedder->max_tokens, tokens);
}

static int take_text(struct el_embed_request *request, size_t index, const struct el_embed_input *input,
                     const struct el_embed_options *options, const struct el_prompt *prompt,
                     struct el_tokens *tokens) {
    const struct el_embedder *embedder = request->embedder;
    if (input->text.length == 0 && !options->allow_empty)
        return el_fail(EL_EINVAL, "input %zu is empty", index);
    EL_TRY(encode(embedder, prompt, &input->text, tokens));
    if (options->refuse_too_long && tokens->total > embedder->max_tokens)
        return too_long(embedder, index, tokens->total);
    return keep_ids(request, index, tokens->id, tokens->count);
}

// Reads every input into sequences that are linked in order.
static int take_inputs(struct el_embed_request *request, const struct el_embed_input *inputs,
                       const struct el_embed_options *options) {
    struct el_embedder *embedder = request->embedder;
    const struct el_prompt *prompt = embedder->prompt;
    if (options->prompt) EL_TRY(find_prompt(embedder, options->prompt, &prompt));
    const uint64_t began = el_now_ns();
    el_auto(el_tokens_done) struct el_tokens tokens = {0};
    for (size_t i = 0; i < request->count; i++) {
        struct el_sequence *sequence = &request->sequences[i];
        *sequence = (struct el_sequence){
            .vector = request->vectors + i * (size_t)el_embedder_dim(embedder),
            .dropped = &request->dropped,
            .owner = request,
            .next = i + 1 < request->count ? sequence + 1 : NULL,
        };
        EL_TRY(inputs[i].ids ? take_ids(request, i, &inputs[i], options)
                             : take_text(request, i, &inputs[i], options, prompt, &tokens));
        el_histogram_add(&embedder->input_tokens, sequence->count);
    }
    embedder->counters.tokenize_ns += el_now_ns() - began;
    return 0;
}

// Refuses before any work is done: when draining, or when the queue is at its limit. One request may go over
// it, so that a large one is not refused for ever.
int el_embedder_admit(struct el_embedder *embedder, int64_t *ret_retry_ms) {
    if (atomic_load(&embedder->draining)) return el_fail(EL_ESHUTDOWN, "the service is draining");
    if (embedder->queue_tokens == 0) return 0;
    struct el_batcher_stats stats;
    el_batcher_stats(embedder->batcher, &stats);
    if (stats.queued_tokens < embedder->queue_tokens) return 0;
    // Until the first batch is done the rate is not known: a second, then.
    double ms = (double)(stats.queued_tokens + stats.running_tokens) * stats.ns_per_token * 1e-6;
    ms = stats.ns_per_token > 0 ? ceil(ms) + 1 : 1000;
    if (ret_retry_ms) *ret_retry_ms = (int64_t)ms;
    embedder->counters.refused++;
    return el_fail(EL_EBUSY, "%" PRId64 " tokens are waiting, the limit is %" PRId64 "; try again in %.0f ms",
                   stats.queued_tokens, embedder->queue_tokens, ms);
}

static int fill_request(struct el_embed_request *request, const struct el_embed_input *inputs,
                        const struct el_embed_options *options) {
    struct el_embedder *embedder = request->embedder;
    const int dim = el_embedder_dim(embedder);
    if (request->count < 1) return el_fail(EL_EINVAL, "there is no input");
    if (options->dimensions < 0 || options->dimensions > dim)
        return el_fail(EL_EINVAL, "dimensions must be from 1 to %d, not %d", dim, options->dimensions);
    request->dim = options->dimensions > 0 ? options->dimensions : dim;
    request->waiting = request->count;
    EL_TRY(el_arena_alloc(&request->arena, request->count, sizeof *request->sequences, &request->sequences));
    EL_TRY(el_arena_alloc(&request->arena, request->count, (size_t)dim * sizeof(float), &request->vectors));
    return take_inputs(request, inputs, options);
}

int el_embed_submit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                    const struct el_embed_options *options, el_embed_done_fn *done, void *context,
                    struct el_embed_request **ret_request, int64_t *ret_retry_ms) {
    static const struct el_embed_options defaults = {0};
    struct el_embed_request *request = NULL;
    EL_TRY(el_embedder_admit(embedder, ret_retry_ms));
    EL_TRY(el_zalloc(1, sizeof *request, &request));
    request->embedder = embedder;
    request->count = count;
    request->done = done;
    request->context = context;
    el_arena_init(&request->arena);
    int status = fill_request(request, inputs, options ? options : &defaults);
    const int64_t tokens = request->tokens;
    if (status == 0) {
        *ret_request = request; // before a worker can call done
        status = el_batcher_put(embedder->batcher, request->sequences, count, tokens);
    }
    if (status < 0) {
        *ret_request = NULL;
        el_embed_request_close(request);
        return status;
    }
    embedder->counters.requests++;
    embedder->counters.inputs += count;
    embedder->counters.tokens += (uint64_t)tokens;
    return 0;
}

// Keeps the first request->dim floats of each vector, and normalises again if the model does (Matryoshka
// embeddings, Kusupati et al. 2022).
static void shorten(struct el_embed_request *request) {
    const size_t full = (size_t)el_embedder_dim(request->embedder), kept = (size_t)request->dim;
    for (size_t i = 0; i < request->count; i++) {
        float *out = request->vectors + i * kept, sum = 0;
        memmove(out, request->vectors + i * full, kept * sizeof *out);
        for (size_t j = 0; j < kept; j++)
            sum += out[j] * out[j];
        const float scale = request->embedder->sentence.normalize ? 1.0f / fmaxf(sqrtf(sum), 1e-12f) : 1.0f;
        for (size_t j = 0; j < kept; j++)
            out[j] *= scale;
    }
}

static void request_done(struct el_embed_request *request) {
    struct counters *counters = &request->embedder->counters;
    const int status = request->status;
    if (status == 0 && request->dim < el_embedder_dim(request->embedder)) shorten(request);
    if (status == EL_ECANCELED) counters->canceled++;
    if (status < 0 && status != EL_ECANCELED) counters->failures++;
    if (status < 0) el_fail_copy(status, request->detail);
    request->done(request->context, request, status);
}

static void sequence_done(struct el_sequence *sequence, int status) {
    struct el_embed_request *request = sequence->owner;
    int expected = 0;
    if (status < 0 && atomic_compare_exchange_strong(&request->status, &expected, status))
        snprintf(request->detail, sizeof request->detail, "%s", el_error_detail());
    if (atomic_fetch_sub(&request->waiting, 1) == 1) request_done(request);
}

void el_embed_request_cancel(struct el_embed_request *request) {
    __atomic_store_n(&request->dropped, true, __ATOMIC_RELAXED);
}

const float *el_embed_request_vectors(const struct el_embed_request *request) {
    return request->vectors;
}
size_t el_embed_request_count(const struct el_embed_request *request) {
    return request->count;
}
int el_embed_request_dim(const struct el_embed_request *request) {
    return request->dim;
}
int64_t el_embed_request_tokens(const struct el_embed_request *request) {
    return request->tokens;
}

void el_embed_request_close(struct el_embed_request *request) {
    if (!request) return;
    el_arena_done(&request->arena);
    el_free(request);
}

// ---- bulk ----

// A bulk call waits for its chunks.
struct bulk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t waiting; // chunks
    int status;     // of the first that failed
    char detail[256];
};

struct chunk {
    struct bulk *bulk;
    float *vectors; // where its results go
};

static void chunk_done(void *context, struct el_embed_request *request, int status) {
    struct chunk *chunk = context;
    struct bulk *bulk = chunk->bulk;
    if (status == 0)
        memcpy(chunk->vectors, el_embed_request_vectors(request),
               el_embed_request_count(request) * (size_t)el_embed_request_dim(request) * sizeof(float));
    pthread_mutex_lock(&bulk->lock);
    if (status < 0 && bulk->status == 0) {
        bulk->status = status;
        snprintf(bulk->detail, sizeof bulk->detail, "%s", el_error_detail());
    }
    bulk->waiting--;
    pthread_cond_signal(&bulk->changed);
    pthread_mutex_unlock(&bulk->lock);
    el_embed_request_close(request);
}

static int submit_chunk(struct el_embedder *embedder, const struct el_text *texts, size_t count,
                        struct chunk *chunk) {
    static const struct el_embed_options options = {.allow_empty = true};
    el_auto_free struct el_embed_input *inputs = NULL;
    struct el_embed_request *request = NULL;
    EL_TRY(el_zalloc(count, sizeof *inputs, &inputs));
    for (size_t i = 0; i < count; i++)
        inputs[i].text = texts[i];
    pthread_mutex_lock(&chunk->bulk->lock);
    chunk->bulk->waiting++;
    pthread_mutex_unlock(&chunk->bulk->lock);
    int status = el_embed_submit(embedder, inputs, count, &options, chunk_done, chunk, &request, NULL);
    if (status < 0) {
        pthread_mutex_lock(&chunk->bulk->lock);
        chunk->bulk->waiting--;
        pthread_mutex_unlock(&chunk->bulk->lock);
    }
    return status;
}

static int wait_for_chunks(struct bulk *bulk) {
    pthread_mutex_lock(&bulk->lock);
    while (bulk->waiting > 0)
        pthread_cond_wait(&bulk->changed, &bulk->lock);
    pthread_mutex_unlock(&bulk->lock);
    return bulk->status < 0 ? el_fail_copy(bulk->status, bulk->detail) : 0;
}

int el_embed(struct el_embedder *embedder, const struct el_text *texts, size_t count, float *vectors) {
    const size_t dim = (size_t)el_embedder_dim(embedder), chunks = (count + BULK_CHUNK - 1) / BULK_CHUNK;
    el_auto_free struct chunk *chunk = NULL;
    struct bulk bulk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    EL_TRY(el_alloc(chunks, sizeof *chunk, &chunk));
    int status = 0;
    for (size_t i = 0; i < chunks && status == 0; i++) {
        const size_t first = i * BULK_CHUNK;
        chunk[i] = (struct chunk){.bulk = &bulk, .vectors = vectors + first * dim};
        status = submit_chunk(embedder, texts + first, EL_MIN(count - first, BULK_CHUNK), &chunk[i]);
    }
    char detail[256];
    snprintf(detail, sizeof detail, "%s", el_error_detail());
    int waited = wait_for_chunks(&bulk);
    return status < 0 ? el_fail_copy(status, detail) : waited;
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
    EL_TRY(encode(embedder, embedder->prompt, text, &tokens));
    *ret_tokens = tokens.total;
    return 0;
}

void el_embedder_stats(const struct el_embedder *embedder, struct el_embed_stats *ret_stats) {
    const struct counters *counters = &embedder->counters;
    struct el_batcher_stats batcher;
    el_batcher_stats(embedder->batcher, &batcher);
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
        .tokenize_ns = counters->tokenize_ns,
        .queue_ns = batcher.queue_ns,
        .inference_ns = batcher.compute_ns,
    };
}

void el_embedder_histogram(const struct el_embedder *embedder, enum el_embed_histogram which,
                           struct el_histogram *ret_histogram) {
    static const enum el_batcher_histogram of_batcher[EL_HIST_COUNT] = {
        [EL_HIST_BATCH_INPUTS] = EL_BATCH_SEQUENCES,
        [EL_HIST_BATCH_TOKENS] = EL_BATCH_TOKENS,
        [EL_HIST_QUEUE_SECONDS] = EL_BATCH_QUEUE_SECONDS,
        [EL_HIST_COMPUTE_SECONDS] = EL_BATCH_COMPUTE_SECONDS,
    };
    el_histogram_read(which == EL_HIST_INPUT_TOKENS
                          ? &embedder->input_tokens
                          : el_batcher_histogram(embedder->batcher, of_batcher[which]),
                      ret_histogram);
}

void el_embedder_info(const struct el_embedder *embedder, struct el_embed_info *ret_info) {
    *ret_info = (struct el_embed_info){
        .path = embedder->path,
        .arch = "bert",
        .device = embedder->device_text,
        .simd = embedder->ops->name,
        .precision = el_precision_text(embedder->precision),
        .dim = el_embedder_dim(embedder),
        .max_tokens = embedder->max_tokens,
        .layers = (int)embedder->bert_config.layers,
        .threads = embedder->threads,
        .vocab_size = (int32_t)embedder->bert_config.vocab_size,
        .weight_bytes = el_bert_bytes(embedder->bert),
    };
}
