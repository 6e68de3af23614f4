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

// One input on its way. What the cache keeps is answered at once; else its claim says whether its sequence is
// computed, or another's of the same text.
struct input {
    struct el_embed_request *request;
    struct el_sequence sequence;
    struct el_cache_claim claim;
    int64_t tokens; // before truncation
    bool answered;
};

struct el_embed_request {
    struct el_embedder *embedder;
    struct el_tokens scratch;      // of the text that is being read
    struct el_embed_request *next; // of those that are kept
    struct el_arena arena;         // holds all below
    struct input *inputs;          // [count]
    float *vectors;                // [count][dim of the model], then [count][dim]
    size_t count;
    int dim;
    int64_t tokens;
    size_t answered; // inputs that the cache had
    el_embed_done_fn *done;
    void *context;
    atomic_bool canceled;
    _Atomic size_t waiting; // inputs not yet done, and el_embed_submit while it is not
    atomic_int status;      // of the first that failed
    char detail[256];       // its detail
};

// ---- a request's memory ----

enum { MOST_KEPT = 256, MOST_KEPT_BYTES = 64 << 10 }; // requests, and of each

static int take_request(struct el_embedder *embedder, struct el_embed_request **ret_request) {
    pthread_mutex_lock(&embedder->kept.lock);
    struct el_embed_request *request = embedder->kept.first;
    if (request) {
        embedder->kept.first = request->next;
        embedder->kept.count--;
    }
    pthread_mutex_unlock(&embedder->kept.lock);
    if (!request) {
        EL_TRY(el_zalloc(1, sizeof *request, &request));
        el_arena_init(&request->arena);
    }
    *request =
        (struct el_embed_request){.embedder = embedder, .arena = request->arena, .scratch = request->scratch};
    *ret_request = request;
    return 0;
}

static void free_request(struct el_embed_request *request) {
    el_arena_done(&request->arena);
    el_tokens_done(&request->scratch);
    el_free(request);
}

static size_t bytes_of(const struct el_embed_request *request) {
    const struct el_tokens *scratch = &request->scratch;
    return el_arena_bytes(&request->arena) + (size_t)scratch->capacity * sizeof *scratch->id +
           scratch->repaired.capacity + scratch->normalized.capacity;
}

// Small ones are kept for those to come, so that a warm service does not call malloc for a request.
void el_embed_request_close(struct el_embed_request *request) {
    if (!request) return;
    struct el_embedder *embedder = request->embedder;
    el_arena_reset(&request->arena);
    bool is_kept = bytes_of(request) <= MOST_KEPT_BYTES;
    pthread_mutex_lock(&embedder->kept.lock);
    is_kept &= embedder->kept.count < MOST_KEPT;
    if (is_kept) {
        request->next = embedder->kept.first;
        embedder->kept.first = request;
        embedder->kept.count++;
    }
    pthread_mutex_unlock(&embedder->kept.lock);
    if (!is_kept) free_request(request);
}

void el_embed_requests_done(struct el_embedder *embedder) {
    while (embedder->kept.first) {
        struct el_embed_request *request = embedder->kept.first;
        embedder->kept.first = request->next;
        free_request(request);
    }
}

// ---- reading inputs ----

static int too_long(const struct el_embedder *embedder, size_t index, int64_t tokens) {
    return el_fail(EL_ETOOBIG, "input %zu has %" PRId64 " tokens, the model takes %d", index, tokens,
                   embedder->max_tokens);
}

static int keep_ids(struct input *input, const int32_t *ids, int32_t count) {
    int32_t *kept = NULL;
    EL_TRY(el_arena_alloc(&input->request->arena, (size_t)count, sizeof *kept, &kept));
    memcpy(kept, ids, (size_t)count * sizeof *ids);
    input->sequence.ids = kept;
    return 0;
}

// Is its vector kept? Writes that and input->tokens.
static bool ask_cache(struct input *input, struct el_siphash *hash) {
    input->claim.key = el_siphash_end(hash);
    return el_cache_get(input->request->embedder->cache, &input->claim.key, input->sequence.vector,
                        &input->tokens);
}

// Token ids as the client made them.
static int take_ids(struct input *input, size_t index, const struct el_embed_input *given) {
    const struct el_embedder *embedder = input->request->embedder;
    const int32_t count = EL_MIN(given->id_count, embedder->max_tokens);
    if (count < 1) return el_fail(EL_EINVAL, "input %zu has no token ids", index);
    for (int32_t i = 0; i < count; i++)
        if (given->ids[i] < 0 || given->ids[i] >= embedder->bert_config.vocab_size)
            return el_fail(EL_EINVAL, "input %zu: token id %" PRId32 " is not from 0 to %" PRId64, index,
                           given->ids[i], embedder->bert_config.vocab_size - 1);
    struct el_siphash hash;
    el_cache_key_init(embedder->cache, EL_CACHE_IDS, &hash);
    el_siphash_add(&hash, given->ids, (size_t)count * sizeof *given->ids);
    input->answered = ask_cache(input, &hash);
    input->tokens = given->id_count; // one that was cut has the key of what is left
    return input->answered ? 0 : keep_ids(input, given->ids, count);
}

static int take_text(struct input *input, size_t index, const struct el_text *text, bool allow_empty,
                     const struct el_prompt *prompt) {
    struct el_tokens *tokens = &input->request->scratch;
    const struct el_embedder *embedder = input->request->embedder;
    struct el_siphash hash;
    if (text->length == 0 && !allow_empty) return el_fail(EL_EINVAL, "input %zu is empty", index);
    el_cache_key_init(embedder->cache, EL_CACHE_TEXT, &hash);
    if (prompt) el_siphash_add(&hash, prompt->text, strlen(prompt->text));
    el_siphash_add(&hash, text->data, text->length);
    input->answered = ask_cache(input, &hash);
    if (input->answered) return 0;
    EL_TRY(el_embedder_encode(embedder, prompt, text, tokens));
    input->request->embedder->counters.text_bytes += text->length;
    input->request->embedder->counters.text_tokens += (uint64_t)tokens->total;
    input->tokens = tokens->total;
    return keep_ids(input, tokens->id, tokens->count);
}

static int take_inputs(struct el_embed_request *request, const struct el_embed_input *given,
                       const struct el_embed_options *options) {
    struct el_embedder *embedder = request->embedder;
    const struct el_prompt *prompt = embedder->prompt;
    if (options->prompt) EL_TRY(el_embedder_find_prompt(embedder, options->prompt, &prompt));
    const uint64_t began = el_now_ns();
    for (size_t i = 0; i < request->count; i++) {
        struct input *input = &request->inputs[i];
        *input = (struct input){
            .request = request,
            .sequence = {.vector = request->vectors + i * (size_t)el_embedder_dim(embedder),
                         .dropped = &input->claim.abandoned,
                         .owner = input},
            .claim = {.owner = input},
        };
        EL_TRY(given[i].ids ? take_ids(input, i, &given[i])
                            : take_text(input, i, &given[i].text, options->allow_empty, prompt));
        if (options->refuse_too_long && input->tokens > embedder->max_tokens)
            return too_long(embedder, i, input->tokens);
        input->sequence.count = (int32_t)EL_MIN(input->tokens, embedder->max_tokens);
        request->tokens += input->sequence.count;
        request->answered += input->answered;
        el_histogram_add(&embedder->input_tokens, input->sequence.count);
    }
    el_histogram_add(&embedder->tokenize_seconds, (double)(el_now_ns() - began) * 1e-9);
    return 0;
}

// ---- the end ----

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

// So many of what a request waits for are there.
static void count_done(struct el_embed_request *request, size_t count) {
    if (atomic_fetch_sub(&request->waiting, count) == count) request_done(request);
}

static void finish_input(struct input *input, int status, const char *detail) {
    struct el_embed_request *request = input->request;
    int expected = 0;
    if (status < 0 && atomic_compare_exchange_strong(&request->status, &expected, status))
        snprintf(request->detail, sizeof request->detail, "%s", detail);
    count_done(request, 1);
}

void el_embed_sequence_done(struct el_sequence *sequence, int status) {
    struct input *input = sequence->owner;
    const struct el_embedder *embedder = input->request->embedder;
    char detail[sizeof input->request->detail] = "";
    if (status < 0) snprintf(detail, sizeof detail, "%s", el_error_detail());
    struct el_cache_claim *next,
        *waiter = el_cache_settle(embedder->cache, &input->claim, status == 0 ? sequence->vector : NULL,
                                  input->tokens);
    for (; waiter; waiter = next) {
        struct input *other = waiter->owner;
        next = waiter->next; // finishing may free it
        if (status == 0)
            memcpy(other->sequence.vector, sequence->vector,
                   (size_t)el_embedder_dim(embedder) * sizeof *sequence->vector);
        finish_input(other, status, detail);
    }
    finish_input(input, status, detail); // last: it may free the vector
}

// ---- the beginning ----

static int fill_request(struct el_embed_request *request, const struct el_embed_input *inputs,
                        const struct el_embed_options *options) {
    struct el_embedder *embedder = request->embedder;
    const int dim = el_embedder_dim(embedder);
    if (request->count < 1) return el_fail(EL_EINVAL, "there is no input");
    if (options->dimensions < 0 || options->dimensions > dim)
        return el_fail(EL_EINVAL, "dimensions must be from 1 to %d, not %d", dim, options->dimensions);
    request->dim = options->dimensions > 0 ? options->dimensions : dim;
    request->waiting = request->count + 1;
    EL_TRY(el_arena_alloc(&request->arena, request->count, sizeof *request->inputs, &request->inputs));
    EL_TRY(el_arena_alloc(&request->arena, request->count, (size_t)dim * sizeof(float), &request->vectors));
    return take_inputs(request, inputs, options);
}

// What is left to compute of a request, linked in order.
struct chain {
    enum el_lane lane;
    struct el_sequence *first, **end;
    size_t count;
    int64_t tokens;
};

// Claims what the cache did not have. From here on others may wait for this request, and answer it.
static void claim_inputs(struct el_embed_request *request, struct chain *chain) {
    chain->lane = el_embed_lane(request->count - request->answered);
    const bool urgent = chain->lane == EL_LANE_INTERACTIVE;
    chain->end = &chain->first;
    for (size_t i = 0; i < request->count; i++) {
        struct input *input = &request->inputs[i];
        if (input->answered) continue;
        input->claim.urgent = urgent;
        const enum el_cache_answer answer =
            el_cache_claim(request->embedder->cache, &input->claim, input->sequence.vector);
        if (answer == EL_CACHE_HIT) request->answered++;
        if (answer != EL_CACHE_LEADS) continue;
        *chain->end = &input->sequence;
        chain->end = &input->sequence.next;
        chain->tokens += input->sequence.count;
        chain->count++;
    }
}

static void put_chain(struct el_embedder *embedder, const struct chain *chain) {
    if (chain->count == 0) return;
    const int status =
        el_batcher_put(embedder->batcher, chain->lane, chain->first, chain->count, chain->tokens);
    struct el_sequence *sequence = status < 0 ? chain->first : NULL;
    while (sequence) { // others may wait for them by now
        struct el_sequence *next = sequence->next;
        el_embed_sequence_done(sequence, status);
        sequence = next;
    }
}

int el_embed_submit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                    const struct el_embed_options *options, el_embed_done_fn *done, void *context,
                    struct el_embed_request **ret_request, int64_t *ret_retry_ms) {
    static const struct el_embed_options defaults = {0};
    struct el_embed_request *request = NULL;
    struct chain chain = {0};
    if (!options) options = &defaults;
    EL_TRY(el_embed_admit(embedder, inputs, count, options->promise, ret_retry_ms));
    EL_TRY(take_request(embedder, &request));
    request->count = count;
    request->done = done;
    request->context = context;
    int status = fill_request(request, inputs, options);
    if (status < 0) {
        el_embed_request_close(request);
        return status;
    }
    embedder->counters.requests++;
    embedder->counters.inputs += count;
    embedder->counters.tokens += (uint64_t)request->tokens;
    if (options->promise) *options->promise = (struct el_promise){0};
    *ret_request = request; // before done is called
    claim_inputs(request, &chain);
    put_chain(embedder, &chain);
    count_done(request, request->answered + 1);
    return 0;
}

void el_embed_request_cancel(struct el_embed_request *request) {
    if (atomic_exchange(&request->canceled, true)) return;
    for (size_t i = 0; i < request->count; i++)
        el_cache_leave(request->embedder->cache, &request->inputs[i].claim);
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
