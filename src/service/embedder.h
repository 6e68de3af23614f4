// SPDX-License-Identifier: Apache-2.0
// An embedder's inside, for the files of this folder: a model, its tokenizer and its batcher.
#ifndef EL_SERVICE_EMBEDDER_H
#define EL_SERVICE_EMBEDDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/batcher.h"
#include "engine/cache.h"
#include "engine/replicas.h"
#include "format/hf_config.h"
#include "format/tokenizer.h"
#include "model/bert.h"
#include "service/batch_size.h"
#include "service/embed.h"
#include "service/tuned.h"

struct el_embed_counters {
    _Atomic uint64_t requests, inputs, tokens, failures, refused, canceled;
    _Atomic uint64_t text_bytes, text_tokens; // of what was tokenised
};

// What the user wants of batches; zeroed members: nothing.
struct el_batch_wish {
    int64_t tokens;
    int texts;
    uint64_t reserved; // bytes of a GPU
    char *tuned;       // file of what was measured, or NULL; owned
};

struct el_embedder {
    char *path;
    struct el_bert_config bert_config;
    struct el_sentence_config sentence;
    struct el_tokenizer *tokenizer;
    struct el_manager *manager;     // of whom devices are asked
    struct el_manager *own_manager; // the same, when it is not shared; or NULL
    struct el_replicas *replicas;   // of a struct el_bert
    struct el_batcher *batcher;
    struct el_cache *cache; // or NULL
    int threads, streams, max_tokens;
    struct el_batch_wish wish;
    struct { // what it came to on the first device in use: el_batch_choice
        _Atomic int64_t tokens;
        atomic_int texts;
        _Atomic(const char *) source;
        pthread_mutex_t lock; // of the fitting: who comes later knows more
    } fit;
    void (*notice)(void *context, const char *text);
    void *notice_context;
    _Atomic uint64_t weight_bytes;
    int64_t queue_tokens, queue_ms; // 0: unlimited
    _Atomic uint64_t promised_ns;   // until when those who were refused are expected, on el_now_ns's clock
    _Atomic double request_tokens;  // of a request, a moving average, estimated before it is tokenised
    const struct el_prompt *prompt; // for requests that name none, or NULL
    atomic_bool draining;
    struct { // requests that are through, with their memory, for those to come
        pthread_mutex_t lock;
        struct el_embed_request *first;
        int count;
    } kept;
    struct el_embed_counters counters;
    struct el_histogram input_tokens, tokenize_seconds;
};

// EL_EINVAL names the prompts that the model has.
int el_embedder_find_prompt(const struct el_embedder *embedder, const char *name,
                            const struct el_prompt **ret_prompt);

// Opens the devices, with the model on each; then the batcher that has them work.
int el_embedder_replicas_open(struct el_embedder *embedder, const struct el_embedder_options *options);
int el_embedder_batcher_open(struct el_embedder *embedder, const struct el_embedder_options *options);
// From now on devices that were given up are taken back; until the embedder is closed.
int el_embedder_rejoin_start(struct el_embedder *embedder, const struct el_embedder_options *options);

// Computes a batch on the device of the group, beside the batcher: one caller at a time. EL_ENOMEM, EL_ELOST.
int el_embedder_run_beside(const struct el_embedder *embedder, int group, const struct el_batch *batch,
                           float *vectors);

// Takes the options that speak of batches; then, whenever other devices are in use, lets each have batches of
// its size.
int el_embedder_fit_open(struct el_embedder *embedder, const struct el_embedder_options *options);
void el_embedder_fit(struct el_embedder *embedder);
// What the device's batches are now, and what is known of it under *ret_key, whose strings are place's and
// the embedder's. False: no such device is in use.
bool el_embedder_fit_read(const struct el_embedder *embedder, int group, struct el_replica_state *ret_place,
                          struct el_tuned_key *ret_key, struct el_batch_choice *ret_choice);
void el_embedder_fit_close(struct el_embedder *embedder);

// Encodes text behind the prompt (NULL: none) into *tokens. EL_ENOMEM.
int el_embedder_encode(const struct el_embedder *embedder, const struct el_prompt *prompt,
                       const struct el_text *text, struct el_tokens *tokens);

// Who sends a few texts waits for them; who sends many has time.
enum el_lane el_embed_lane(size_t inputs);
// What el_embed_submit asks before it looks at the inputs: 0, or EL_EBUSY with *ret_retry_ms (may be NULL, as
// may `promise`) or EL_ESHUTDOWN.
int el_embed_admit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                   struct el_promise *promise, int64_t *ret_retry_ms);

// Frees the requests that are kept.
void el_embed_requests_done(struct el_embedder *embedder);

// The batcher's el_sequence_done_fn: sequences belong to requests.
void el_embed_sequence_done(struct el_sequence *sequence, int status);

#endif
