// SPDX-License-Identifier: Apache-2.0
// Sequences that wait to be computed, in two lanes: what somebody waits for right now goes before bulk, but
// not always, so that bulk gets on under any load. Not thread-safe: the batcher's lock guards it.
#ifndef EL_ENGINE_QUEUE_H
#define EL_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One sequence on its way. Owned by the caller, who keeps it and its ids until it is done.
struct el_sequence {
    const int32_t *ids;  // [count]
    int32_t count;       // tokens, >= 1
    float *vector;       // [dim], written before done(…, 0)
    const bool *dropped; // atomic; when true at the time a batch is made, done gets EL_ECANCELED
    void *owner;
    struct el_sequence *next; // the batcher's, but for the chain that is put
    uint64_t queued_ns;       // the batcher's: when it came
};

// Sequences that are computed together, linked by next.
struct el_taken {
    struct el_sequence *first;
    int count;
    int64_t tokens;
};

enum el_lane { EL_LANE_INTERACTIVE, EL_LANE_BULK, EL_LANES };

enum { EL_BULK_TURN = 8 }; // every so many batches one begins with bulk

struct el_queue {
    struct el_queue_lane {
        struct el_sequence *first, **end;
        int64_t tokens;
    } lanes[EL_LANES];
    int64_t sequences, tokens;
    unsigned takes;
};

void el_queue_init(struct el_queue *queue);
bool el_queue_is_empty(const struct el_queue *queue);
uint64_t el_queue_oldest_ns(const struct el_queue *queue); // queued_ns; of a queue that is not empty

// Puts the chain first .. last of `count` sequences with `tokens` tokens at the lane's end.
void el_queue_put(struct el_queue *queue, enum el_lane lane, struct el_sequence *first,
                  struct el_sequence *last, size_t count, int64_t tokens);
// Puts what was taken before all others.
void el_queue_put_back(struct el_queue *queue, const struct el_taken *taken);

struct el_batch_limits {
    int64_t tokens; // a longer sequence makes a batch of its own
    int sequences;  // 0: no limit
};

// Takes sequences up to the limits, at least one; those that were dropped go to the chain *ret_dropped.
struct el_taken el_queue_take(struct el_queue *queue, const struct el_batch_limits *limits,
                              struct el_sequence **ret_dropped);

#endif
