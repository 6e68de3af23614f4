// SPDX-License-Identifier: Apache-2.0
// The embedding service: what CLI and HTTP ask for. Texts or token ids in, vectors out by callback; requests
// of different clients share packed batches. The public el_embedder (eleanor.h) is this same struct.
#ifndef EL_SERVICE_EMBED_H
#define EL_SERVICE_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eleanor/eleanor.h"
#include "engine/histogram.h"
#include "engine/replica.h"
#include "service/batch_size.h"

// One input: text (ids NULL) or token ids as the client gave them, special tokens included.
struct el_embed_input {
    struct el_text text;
    const int32_t *ids;
    int32_t id_count;
};

struct el_embed_request;

// Called once, when every input has its vector or the request failed or was canceled: from a worker thread,
// or from within el_embed_submit when the cache had them all. `status` 0 or EL_ECANCELED, EL_ENOMEM,
// EL_ELOST, EL_ESHUTDOWN (el_error_detail() holds the detail in that thread). The request stays valid until
// el_embed_request_close. Must not block.
typedef void el_embed_done_fn(void *context, struct el_embed_request *request, int status);

// What somebody who was refused was told: kept by the caller from one try to the next. Zeroed: nothing yet.
// Who comes at the time or later has room in a queue that is full for others (up to twice its limit); who
// comes sooner is told the same time again, and takes no other's.
struct el_promise {
    uint64_t at_ns; // on el_now_ns's clock
};

struct el_embed_options {
    bool allow_empty;           // an empty text is embedded (its special tokens alone) instead of EL_EINVAL
    bool refuse_too_long;       // EL_ETOOBIG, naming the input, instead of truncating
    int dimensions;             // keep the first n floats and normalise again; 0: all. EL_EINVAL over dim
    const char *prompt;         // name of a prompt, or NULL
    struct el_promise *promise; // of who asks, or NULL; zeroed when he is let in
};

// Tokenises, admits and queues; the inputs are copied or tokenised before it returns. Refusals before any
// work: EL_EBUSY (queue full; *ret_retry_ms says when to come back), EL_ETOOBIG, EL_EINVAL (empty
// input, token id out of range; the detail names the index), EL_ESHUTDOWN. On failure `done` is not called.
// count >= 1.
int el_embed_submit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                    const struct el_embed_options *options, el_embed_done_fn *done, void *context,
                    struct el_embed_request **ret_request, int64_t *ret_retry_ms /* may be NULL */);

// el_embed with options (`dimensions` 0): waits until all texts have their vectors, [count][dim]. Its codes
// and those of el_embed_submit.
int el_embed_all(struct el_embedder *embedder, const struct el_text *texts, size_t count,
                 const struct el_embed_options *options, float *vectors);

// What el_embed_submit asks first: 0, or EL_EBUSY (*ret_retry_ms, which may be NULL, as there; counted as
// refused) or EL_ESHUTDOWN. For a server that refuses before it has read a request. `promise` may be NULL,
// and stays as it is on success. Any thread.
int el_embedder_admit(struct el_embedder *embedder, struct el_promise *promise, int64_t *ret_retry_ms);

// Drops what has not started yet and nobody else waits for; `done` is still called, once, with EL_ECANCELED,
// or 0 if it was too late. Any thread, once el_embed_submit has returned.
void el_embed_request_cancel(struct el_embed_request *request);

// Results, valid in and after `done` with status 0: [count][dimensions] floats, in order.
const float *el_embed_request_vectors(const struct el_embed_request *request);
size_t el_embed_request_count(const struct el_embed_request *request);
int el_embed_request_dim(const struct el_embed_request *request);
int64_t el_embed_request_tokens(
    const struct el_embed_request *request); // for usage; those of the cache count too
// Gives it back: after `done` was called (or from within it), and before the embedder is closed.
void el_embed_request_close(struct el_embed_request *request);

// Facts for /v1/models, /health, metrics. Counters only grow.
struct el_embed_stats {
    uint64_t requests, inputs, tokens, batches, failures, refused, canceled;
    uint64_t queue_inputs, queue_tokens; // waiting now
    uint64_t running_tokens;             // computed now
    uint64_t queue_ns, inference_ns;     // sums: waiting (per input), computing (per batch)
    uint64_t oom_count;                  // batches that did not fit
    uint64_t rejoins;                    // devices that were given up and taken back
    uint64_t oom_halved, oom_trimmed, oom_caches_dropped, oom_moved; // what was done about it
    uint64_t batch_tokens, batch_size; // most of one batch now: tokens, texts (0: any number)
    // Inputs found in the cache, computed, and answered by another's computing; vectors that had to go.
    uint64_t cache_hits, cache_misses, cache_coalesced, cache_evictions;
    uint64_t cache_bytes, cache_entries; // now
};
void el_embedder_stats(const struct el_embedder *embedder, struct el_embed_stats *ret_stats);

// Distributions since open.
enum el_embed_histogram {
    EL_HIST_INPUT_TOKENS,     // tokens per input
    EL_HIST_TOKENIZE_SECONDS, // tokenising, per request
    EL_HIST_BATCH_INPUTS,     // inputs per batch
    EL_HIST_BATCH_TOKENS,     // tokens per batch
    EL_HIST_QUEUE_SECONDS,    // waiting, per input
    EL_HIST_COMPUTE_SECONDS,  // per batch
    EL_HIST_COUNT
};
void el_embedder_histogram(const struct el_embedder *embedder, enum el_embed_histogram which,
                           struct el_histogram *ret_histogram);

struct el_embed_info {
    const char *path;              // model folder
    const char *arch;              // "bert"
    struct el_replica_state place; // of its first device in use, and the operations there
    int place_count;               // devices in use, each with a replica; 0: none is left
    char devices[512];             // their names: "cuda:0,cuda:1"
    const char *precision;         // "bf16"; of the first
    int dim, max_tokens, layers, threads;
    int32_t vocab_size;
    uint64_t weight_bytes;
    struct el_batch_choice batch; // of the first device
};
void el_embedder_info(const struct el_embedder *embedder, struct el_embed_info *ret_info);

// A device of the embedder, used or not.
struct el_embed_device {
    char id[32]; // "cuda:1"
    bool in_use;
    uint64_t tokens; // computed there
    // When it was lost for good, or had no room:
    bool given_up;
    uint64_t tries;    // to take it back, since then
    uint64_t next_ns;  // of el_now_ns: when it is tried next; 0: never
    char problem[192]; // of the last try; "" before the first
    uint64_t rejoins;  // how often it was taken back since open
};
int el_embedder_device_count(const struct el_embedder *embedder);
void el_embedder_device(const struct el_embedder *embedder, int i, struct el_embed_device *ret_device);

// The number of tokens of `text` with prompt and special tokens, before truncation. EL_ENOMEM.
int el_embedder_count_tokens(struct el_embedder *embedder, const struct el_text *text, int64_t *ret_tokens);

// Refuses new requests with EL_ESHUTDOWN and returns when all in flight are done.
void el_embedder_drain(struct el_embedder *embedder);

#endif
