// SPDX-License-Identifier: Apache-2.0
// The batcher: sequences of any number of callers wait in one queue; groups of workers, one group a device,
// take them in packed batches by token budget. A worker that is free takes what is there at once, so batches
// grow under load, a lone text does not wait, and devices share the work by what they get done. When one
// batch is all there is to do, its worker shares it with the idle processors of its group. A batch whose
// device is lost goes back into the queue.
#ifndef EL_ENGINE_BATCHER_H
#define EL_ENGINE_BATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/histogram.h"
#include "engine/queue.h"
#include "model/bert.h"

struct el_batcher;

enum { EL_BATCH_GROUPS = 64 }; // at most

// Workers of one device.
struct el_batch_group {
    int workers;         // threads that may compute batches side by side; el_batcher_resize says how many do
    int threads;         // processors that a lone batch is shared by; 0 or 1: the worker computes alone
    int first_processor; // where the group begins, for pinning
};

// Who computes a batch: one call at a time per index.
struct el_batch_worker {
    int group;
    int index;            // of all workers of the batcher
    struct el_team *team; // idle processors that share the work, or NULL
    bool elsewhere;       // not on the group's own device: the batch does not fit there
};
// What a batch is for: computes vectors [seqs.count][dim]. EL_ENOMEM: see below. EL_ELOST puts the batch back
// into the queue, and no worker of the group takes another until `recover` has been called.
typedef int el_batch_fn(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                        float *vectors);

// The ladder of a batch that does not fit: it is computed in halves, quarters, eighths; then after more
// memory was made free, step by step; then elsewhere; then in ever smaller parts. A single sequence that fits
// nowhere fails with EL_ENOMEM. The group's batches stay small for a while.
enum el_relief { EL_RELIEF_TRIM, EL_RELIEF_CACHES, EL_RELIEFS };
// Gives back memory that lies idle: what temporaries and the pool of the group's device keep; caches. Called
// from a worker that computes nothing meanwhile.
typedef void el_relieve_fn(void *context, int group, enum el_relief relief);
// Told once for each time of short memory, from a worker, in a sentence about the group's device.
typedef void el_short_fn(void *context, int group, const char *text);

// Called by one worker of a group that has lost its device, when no batch of the group runs any more. Says by
// el_batcher_resize which groups go on. When none does, all that waits and all that comes fails with
// EL_ELOST.
typedef void el_batch_recover_fn(void *context, int group);
// Called once for each sequence, from a worker, in no promised order. Must not block.
typedef void el_sequence_done_fn(struct el_sequence *sequence, int status);

struct el_batcher_options {
    const struct el_batch_group *groups;
    int group_count;
    bool pin;
    int batch_sequences; // most sequences of one batch; 0: no limit
    int64_t wait_us;     // how long a batch below the budget waits for more; 0: not at all
    int dim;
    el_batch_fn *run;
    el_batch_recover_fn *recover; // NULL: a group that has lost its device is given up
    el_relieve_fn *relieve;       // NULL: there is nothing to give back
    el_short_fn *short_of_memory; // NULL: nobody wants to know
    bool has_elsewhere;           // `run` can compute elsewhere
    void *context;
    el_sequence_done_fn *done;
};

// Its groups rest until el_batcher_resize. EL_EINVAL, EL_ENOMEM.
int el_batcher_open(const struct el_batcher_options *options, struct el_batcher **ret_batcher);
// Refuses what comes from now on, finishes what is queued, and ends.
void el_batcher_close(struct el_batcher *batcher);

// From now on `workers` of the group (at most those it was opened with) take batches of `batch_tokens`; a
// longer sequence makes a batch of its own. 0 workers: the group rests. Any thread.
void el_batcher_resize(struct el_batcher *batcher, int group, int workers, int64_t batch_tokens);

// Queues the chain `first` (linked by next) of `count` sequences with `tokens` tokens; all or none.
// EL_ESHUTDOWN, EL_ELOST.
int el_batcher_put(struct el_batcher *batcher, enum el_lane lane, struct el_sequence *first, size_t count,
                   int64_t tokens);

// Returns when nothing is queued and nothing runs.
void el_batcher_drain(struct el_batcher *batcher);

// Batches that did not fit, and the steps of the ladder that were taken; since open.
struct el_ladder_counts {
    _Atomic uint64_t out_of_memory, halved, trimmed, caches_dropped, moved;
};

struct el_batcher_stats {
    uint64_t batches, returned;                              // since open; returned: their device was lost
    uint64_t queue_ns, compute_ns;                           // sums: per sequence, per batch
    int64_t queued_sequences, queued_tokens, running_tokens; // now
    int64_t lane_tokens[EL_LANES];                           // of the queued ones
    double ns_per_token; // of the whole batcher, a moving average; 0 before the first batch
};
void el_batcher_stats(struct el_batcher *batcher, struct el_batcher_stats *ret_stats);
const struct el_ladder_counts *el_batcher_ladder(const struct el_batcher *batcher);

struct el_batch_group_stats {
    uint64_t tokens;               // computed since open
    struct el_batch_limits limits; // of a batch now
};
void el_batcher_group_stats(struct el_batcher *batcher, int group, struct el_batch_group_stats *ret_stats);

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
