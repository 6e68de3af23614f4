// SPDX-License-Identifier: Apache-2.0
// Counting batches.
#include "engine/batch_counts.h"

void el_batch_counts_init(struct el_batch_counts *counts) {
    *counts = (struct el_batch_counts){0};
    el_histogram_init(&counts->histograms[EL_BATCH_SEQUENCES], 1, 2);
    el_histogram_init(&counts->histograms[EL_BATCH_TOKENS], 8, 2);
    el_histogram_init(&counts->histograms[EL_BATCH_QUEUE_SECONDS], 1e-4, 2.5);
    el_histogram_init(&counts->histograms[EL_BATCH_COMPUTE_SECONDS], 1e-4, 2.5);
}

void el_batch_counts_taken(struct el_batch_counts *counts, const struct el_taken *taken, uint64_t now_ns) {
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next) {
        const uint64_t waited = now_ns - s->queued_ns;
        counts->queue_ns += waited;
        el_histogram_add(&counts->histograms[EL_BATCH_QUEUE_SECONDS], (double)waited * 1e-9);
    }
}

void el_batch_counts_computed(struct el_batch_counts *counts, const struct el_taken *taken, uint64_t spent_ns,
                              int running) {
    // Batches that run side by side share the machine: a token costs the batcher 1 / batches of its time.
    const double cost = (double)spent_ns / (double)taken->tokens / running;
    counts->ns_per_token = counts->ns_per_token > 0 ? 0.9 * counts->ns_per_token + 0.1 * cost : cost;
    counts->batches++;
    counts->compute_ns += spent_ns;
    el_histogram_add(&counts->histograms[EL_BATCH_SEQUENCES], taken->count);
    el_histogram_add(&counts->histograms[EL_BATCH_TOKENS], (double)taken->tokens);
    el_histogram_add(&counts->histograms[EL_BATCH_COMPUTE_SECONDS], (double)spent_ns * 1e-9);
}
