// SPDX-License-Identifier: Apache-2.0
// What a batcher counts of its batches, and what a token costs, learned from them. Not thread-safe: the
// batcher's lock guards it, but for the histograms, which anybody may read.
#ifndef EL_ENGINE_BATCH_COUNTS_H
#define EL_ENGINE_BATCH_COUNTS_H

#include "engine/batcher.h"

struct el_batch_counts {
    uint64_t batches, returned;    // computed; sequences whose device was lost
    uint64_t queue_ns, compute_ns; // sums: per sequence, per batch
    double ns_per_token;           // of the whole batcher, a moving average; 0 before the first batch
    struct el_histogram histograms[EL_BATCH_HISTOGRAMS];
};

void el_batch_counts_init(struct el_batch_counts *counts);
// A batch has been taken at now_ns: how long its sequences waited.
void el_batch_counts_taken(struct el_batch_counts *counts, const struct el_taken *taken, uint64_t now_ns);
// It was computed in spent_ns, beside others: `running` batches in all.
void el_batch_counts_computed(struct el_batch_counts *counts, const struct el_taken *taken, uint64_t spent_ns,
                              int running);

#endif
