// SPDX-License-Identifier: Apache-2.0
// The batcher: sequences of any number of callers wait in one queue; workers take them in packed batches by
// token budget. A worker that is free takes what is there at once, so batches grow under load and a lone
// text does not wait. When one batch is all there is to do, its worker shares it with the idle processors.
#ifndef EL_ENGINE_BATCHER_H
#define EL_ENGINE_BATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/histogram.h"
#include "model/bert.h"

struct el_batcher;

// One sequence on its way. Owned by the caller, who keeps it and its ids until `done`.
struct el_sequence {
    const int32_t *ids;  // [count]
    int32_t count;       // tokens, >= 1
    float *vector;       // [dim], written before done(…, 0)
    const bool *dropped; // atomic; when true at the time a batch is made, done gets EL_ECANCELED
    void *owner;
    struct el_sequence *next; // the batcher's
    uint64_t queued_ns;       // the batcher's: when it came
};

// Who computes a batch: one call at a time per index.
struct el_batch_worker {
    int index;            // 0 .. workers - 1
    struct el_team *team; // idle processors that share the work, or NULL
};
// What a batch is for: computes vectors [seqs.count][dim]. EL_ENOMEM makes the batcher try again with halves.
typedef int el_batch_fn(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                        float *vectors);
// Called once for each sequence, from a worker, in no promised order. Must not block.
typedef void el_sequence_done_fn(struct el_sequence *sequence, int status);

struct el_batcher_options {
    int workers; // threads that compute batches side by side
    int threads; // processors that a lone batch is shared by
    bool pin;
    int64_t batch_tokens; // budget of one batch; a longer sequence makes a batch of its own
    int batch_sequences;  // most sequences of one batch; 0: no limit
    int64_t wait_us;      // how long a batch below the budget waits for more; 0: not at all
    int dim;
    el_batch_fn *run;
    void *context;
    el_sequence_done_fn *done;
};

// EL_EINVAL, EL_ENOMEM.
int el_batcher_open(const struct el_batcher_options *options, struct el_batcher **ret_batcher);
// Refuses what comes from now on, finishes what is queued, and ends.
void el_batcher_close(struct el_batcher *batcher);

// From now on `workers` (at most those it was opened with) take batches of `batch_tokens`. Any thread.
void el_batcher_resize(struct el_batcher *batcher, int workers, int64_t batch_tokens);

// Queues the chain `first` (linked by next) of `count` sequences with `tokens` tokens; all or none.
// EL_ESHUTDOWN.
int el_batcher_put(struct el_batcher *batcher, struct el_sequence *first, size_t count, int64_t tokens);

// Returns when nothing is queued and nothing runs.
void el_batcher_drain(struct el_batcher *batcher);

struct el_batcher_stats {
    uint64_t batches, halved;                                // since open
    uint64_t queue_ns, compute_ns;                           // sums: per sequence, per batch
    int64_t queued_sequences, queued_tokens, running_tokens; // now
    double ns_per_token; // of the whole batcher, a moving average; 0 before the first batch
};
void el_batcher_stats(struct el_batcher *batcher, struct el_batcher_stats *ret_stats);

enum el_batcher_histogram {
    EL_BATCH_SEQUENCES,
    EL_BATCH_TOKENS,
    EL_BATCH_QUEUE_SECONDS,
    EL_BATCH_COMPUTE_SECONDS,
    EL_BATCH_HISTOGRAMS
};
const struct el_histogram *el_batcher_histogram(const struct el_batcher *batcher,
                                                enum el_batcher_histogram which);

#endif
