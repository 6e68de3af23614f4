// SPDX-License-Identifier: Apache-2.0
// Who may come in: requests are refused before any work is done for them when too much waits already, or when
// what waits would take too long, as far as measured speed tells.
#include <inttypes.h>
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "service/embedder.h"

enum {
    INTERACTIVE_INPUTS = 8, // at most, of a request that goes before bulk
    LEARNED_TOKENS = 1000,  // as if so many had been seen, with
    TOKEN_BYTES = 4         // bytes each
};

enum el_lane el_embed_lane(size_t inputs) {
    return inputs <= INTERACTIVE_INPUTS ? EL_LANE_INTERACTIVE : EL_LANE_BULK;
}

// Tokens of inputs that are not tokenised yet.
static double estimate(const struct el_embedder *embedder, const struct el_embed_input *inputs,
                       size_t count) {
    const double bytes_per_token =
        (double)(embedder->counters.text_bytes + (uint64_t)LEARNED_TOKENS * TOKEN_BYTES) /
        (double)(embedder->counters.text_tokens + LEARNED_TOKENS);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double tokens =
            inputs[i].ids ? inputs[i].id_count : (double)inputs[i].text.length / bytes_per_token;
        sum += EL_MIN(tokens, embedder->max_tokens);
    }
    return sum;
}

// What stands before a request of the lane: bulk waits for all, others for theirs and the batches between
// that are bulk's.
static double tokens_ahead(const struct el_batcher_stats *stats, enum el_lane lane) {
    const double interactive = (double)stats->lane_tokens[EL_LANE_INTERACTIVE];
    const double bulk = (double)stats->lane_tokens[EL_LANE_BULK];
    const double between = interactive / (EL_BULK_TURN - 1);
    return (double)stats->running_tokens + interactive +
           (lane == EL_LANE_BULK ? bulk : EL_MIN(bulk, between));
}

static int refuse(struct el_embedder *embedder, double ms, int64_t *ret_retry_ms) {
    if (ret_retry_ms) *ret_retry_ms = (int64_t)ms;
    embedder->counters.refused++;
    return EL_EBUSY;
}

// One request may go over a limit, so that a large one is not refused for ever.
static int admit(struct el_embedder *embedder, enum el_lane lane, double tokens, int64_t *ret_retry_ms) {
    if (atomic_load(&embedder->draining)) return el_fail(EL_ESHUTDOWN, "the service is draining");
    if (embedder->queue_tokens == 0 && embedder->queue_ms == 0) return 0;
    struct el_batcher_stats stats;
    el_batcher_stats(embedder->batcher, &stats);
    const int64_t queued = lane == EL_LANE_BULK ? stats.queued_tokens : stats.lane_tokens[lane];
    const double ahead_ms = tokens_ahead(&stats, lane) * stats.ns_per_token * 1e-6;
    const double own_ms = tokens * stats.ns_per_token * 1e-6;
    // Until the first batch is done the speed is not known: a second, then.
    const double retry_ms = stats.ns_per_token > 0 ? ceil(ahead_ms) + 1 : 1000;
    if (embedder->queue_tokens > 0 && queued >= embedder->queue_tokens) {
        el_fail(EL_EBUSY, "%" PRId64 " tokens are waiting, the limit is %" PRId64 "; try again in %.0f ms",
                queued, embedder->queue_tokens, retry_ms);
        return refuse(embedder, retry_ms, ret_retry_ms);
    }
    if (embedder->queue_ms > 0 && queued > 0 && ahead_ms + own_ms > (double)embedder->queue_ms) {
        el_fail(EL_EBUSY,
                "it would take about %.0f ms, of which %.0f ms to wait; the limit is %" PRId64
                " ms; try again in %.0f ms",
                ahead_ms + own_ms, ahead_ms, embedder->queue_ms, retry_ms);
        return refuse(embedder, retry_ms, ret_retry_ms);
    }
    return 0;
}

int el_embedder_admit(struct el_embedder *embedder, int64_t *ret_retry_ms) {
    return admit(embedder, EL_LANE_INTERACTIVE, 0, ret_retry_ms);
}

int el_embed_admit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                   int64_t *ret_retry_ms) {
    return admit(embedder, el_embed_lane(count), estimate(embedder, inputs, count), ret_retry_ms);
}
