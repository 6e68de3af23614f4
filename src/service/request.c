// SPDX-License-Identifier: Apache-2.0
// One request to the embedding service: admitted, tokenised, queued as a sequence per input, and done when
// the last of them is.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "service/embedder.h"

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

static int take_text(struct el_embed_request *request, size_t index, const struct el_embed_input *input,
                     const struct el_embed_options *options, const struct el_prompt *prompt,
                     struct el_tokens *tokens) {
    const struct el_embedder *embedder = request->embedder;
    if (input->text.length == 0 && !options->allow_empty)
        return el_fail(EL_EINVAL, "input %zu is empty", index);
    EL_TRY(el_embedder_encode(embedder, prompt, &input->text, tokens));
    if (options->refuse_too_long && tokens->total > embedder->max_tokens)
        return too_long(embedder, index, tokens->total);
    return keep_ids(request, index, tokens->id, tokens->count);
}

// Reads every input into sequences that are linked in order.
static int take_inputs(struct el_embed_request *request, const struct el_embed_input *inputs,
                       const struct el_embed_options *options) {
    struct el_embedder *embedder = request->embedder;
    const struct el_prompt *prompt = embedder->prompt;
    if (options->prompt) EL_TRY(el_embedder_find_prompt(embedder, options->prompt, &prompt));
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
    struct el_embed_counters *counters = &request->embedder->counters;
    const int status = request->status;
    if (status == 0 && request->dim < el_embedder_dim(request->embedder)) shorten(request);
    if (status == EL_ECANCELED) counters->canceled++;
    if (status < 0 && status != EL_ECANCELED) counters->failures++;
    if (status < 0) el_fail_copy(status, request->detail);
    request->done(request->context, request, status);
}

void el_embed_sequence_done(struct el_sequence *sequence, int status) {
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
