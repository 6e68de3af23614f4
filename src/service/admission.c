// SPDX-License-Identifier: Apache-2.0
// Who may come in: requests are refused before any work is done for them when too much waits already, or when
// what waits would take too long, as far as measured speed tells.
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "service/embedder.h"

enum {
    INTERACTIVE_INPUTS = 8, // at most, of a request that goes before bulk
    LEARNED_TOKENS = 1000,  // as if so many had been seen, with
    TOKEN_BYTES = 4,        // bytes each
    FIRST_RETRY_MS = 1000,
    LONGEST_RETRY_MS = 60000,
    ROOM_FOR_EXPECTED = 2, // times the limit, for who was refused and comes back when he was told to
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

// A time of his own for somebody who is refused: when half of what stands before is done, so that there is
// room, and not before those who were sent away earlier; each has as long as a request took of late.
static uint64_t next_turn(struct el_embedder *embedder, uint64_t now, double ahead_ns, double ns_per_token) {
    const double tokens = atomic_load(&embedder->request_tokens);
    const uint64_t free_at = now + (uint64_t)(ahead_ns / 2);
    uint64_t promised = atomic_load(&embedder->promised_ns), at;
    do
        at = EL_MIN(EL_MAX(free_at, promised), now + (uint64_t)LONGEST_RETRY_MS * 1000000);
    while (!atomic_compare_exchange_weak(&embedder->promised_ns, &promised,
                                         at + (uint64_t)(tokens * ns_per_token)));
    return at;
}

// When to come back, in ms. Who comes before his time keeps it.
static int64_t promise_turn(struct el_embedder *embedder, struct el_promise *promise, double ahead_ns,
                            double ns_per_token) {
    const uint64_t now = el_now_ns();
    if (ns_per_token <= 0) return FIRST_RETRY_MS; // until the first batch is done the speed is not known
    const bool is_early = promise && promise->at_ns > now;
    const uint64_t at = is_early ? promise->at_ns : next_turn(embedder, now, ahead_ns, ns_per_token);
    if (promise) promise->at_ns = at;
    return (int64_t)((at - now) / 1000000) + 1;
}

// One request may go over a limit, so that a large one is not refused for ever.
static int admit(struct el_embedder *embedder, enum el_lane lane, double tokens, struct el_promise *promise,
                 int64_t *ret_retry_ms) {
    if (atomic_load(&embedder->draining)) return el_fail(EL_ESHUTDOWN, "the service is draining");
    if (embedder->queue_tokens == 0 && embedder->queue_ms == 0) return 0;
    struct el_batcher_stats stats;
    el_batcher_stats(embedder->batcher, &stats);
    const bool is_expected = promise && promise->at_ns > 0 && promise->at_ns <= el_now_ns();
    const int64_t room = is_expected ? ROOM_FOR_EXPECTED : 1;
    const int64_t queued = lane == EL_LANE_BULK ? stats.queued_tokens : stats.lane_tokens[lane];
    const double ahead_ns = tokens_ahead(&stats, lane) * stats.ns_per_token;
    const double own_ns = tokens * stats.ns_per_token;
    const bool is_full = embedder->queue_tokens > 0 && queued >= room * embedder->queue_tokens;
    const bool is_late = embedder->queue_ms > 0 && queued > 0 &&
                         (ahead_ns + own_ns) * 1e-6 > (double)(room * embedder->queue_ms);
    if (!is_full && !is_late) return 0;
    embedder->counters.refused++;
    const int64_t retry_ms = promise_turn(embedder, promise, ahead_ns, stats.ns_per_token);
    if (ret_retry_ms) *ret_retry_ms = retry_ms;
    if (is_full)
        return el_fail(
            EL_EBUSY, "%" PRId64 " tokens are waiting, the limit is %" PRId64 "; try again in %" PRId64 " ms",
            queued, embedder->queue_tokens, retry_ms);
    return el_fail(EL_EBUSY,
                   "it would take about %.0f ms, of which %.0f ms to wait; the limit is %" PRId64
                   " ms; try again in %" PRId64 " ms",
                   (ahead_ns + own_ns) * 1e-6, ahead_ns * 1e-6, embedder->queue_ms, retry_ms);
}

int el_embedder_admit(struct el_embedder *embedder, struct el_promise *promise, int64_t *ret_retry_ms) {
    return admit(embedder, EL_LANE_INTERACTIVE, 0, promise, ret_retry_ms);
}

int el_embed_admit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                   struct el_promise *promise, int64_t *ret_retry_ms) {
    const double tokens = estimate(embedder, inputs, count), mean = atomic_load(&embedder->request_tokens);
    // Of two at once one may be forgotten.
    atomic_store(&embedder->request_tokens, mean > 0 ? 0.95 * mean + 0.05 * tokens : tokens);
    return admit(embedder, el_embed_lane(count), tokens, promise, ret_retry_ms);
}
