// SPDX-License-Identifier: Apache-2.0
// Two lists, and whose turn it is.
#include "engine/queue.h"

#include "base/mem.h"

void el_queue_init(struct el_queue *queue) {
    *queue = (struct el_queue){0};
    for (int i = 0; i < EL_LANES; i++)
        queue->lanes[i].end = &queue->lanes[i].first;
}

bool el_queue_is_empty(const struct el_queue *queue) {
    return queue->sequences == 0;
}

uint64_t el_queue_oldest_ns(const struct el_queue *queue) {
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < EL_LANES; i++)
        if (queue->lanes[i].first) oldest = EL_MIN(oldest, queue->lanes[i].first->queued_ns);
    return oldest;
}

void el_queue_put(struct el_queue *queue, enum el_lane lane, struct el_sequence *first,
                  struct el_sequence *last, size_t count, int64_t tokens) {
    struct el_queue_lane *list = &queue->lanes[lane];
    *list->end = first;
    list->end = &last->next;
    list->tokens += tokens;
    queue->sequences += (int64_t)count;
    queue->tokens += tokens;
}

void el_queue_put_back(struct el_queue *queue, const struct el_taken *taken) {
    struct el_queue_lane *list = &queue->lanes[EL_LANE_INTERACTIVE];
    struct el_sequence **end = &list->first, *rest = list->first;
    *end = taken->first;
    for (int i = 0; i < taken->count; i++)
        end = &(*end)->next;
    *end = rest;
    if (!rest) list->end = end;
    list->tokens += taken->tokens;
    queue->sequences += taken->count;
    queue->tokens += taken->tokens;
}

static struct el_sequence *pop(struct el_queue *queue, struct el_queue_lane *lane) {
    struct el_sequence *s = lane->first;
    lane->first = s->next;
    if (!lane->first) lane->end = &lane->first;
    s->next = NULL;
    lane->tokens -= s->count;
    queue->sequences--;
    queue->tokens -= s->count;
    return s;
}

static bool is_dropped(const struct el_sequence *s) {
    return s->dropped && __atomic_load_n(s->dropped, __ATOMIC_RELAXED);
}

static bool fits(const struct el_taken *taken, const struct el_batch_limits *limits,
                 const struct el_sequence *s) {
    if (taken->count == 0) return true;
    return taken->tokens + s->count <= limits->tokens &&
           (limits->sequences == 0 || taken->count < limits->sequences);
}

// The ends of the two chains that a take makes.
struct chains {
    struct el_sequence **taken, **dropped;
};

static void take_from(struct el_queue *queue, enum el_lane which, const struct el_batch_limits *limits,
                      struct el_taken *taken, struct chains *chains) {
    struct el_queue_lane *lane = &queue->lanes[which];
    while (lane->first) {
        const bool dropped = is_dropped(lane->first);
        struct el_sequence ***end = dropped ? &chains->dropped : &chains->taken;
        if (!dropped && !fits(taken, limits, lane->first)) return;
        struct el_sequence *s = pop(queue, lane);
        **end = s;
        *end = &s->next;
        if (dropped) continue;
        taken->count++;
        taken->tokens += s->count;
    }
}

struct el_taken el_queue_take(struct el_queue *queue, const struct el_batch_limits *limits,
                              struct el_sequence **ret_dropped) {
    struct el_taken taken = {0};
    struct chains chains = {.taken = &taken.first, .dropped = ret_dropped};
    const bool bulk_first = ++queue->takes % EL_BULK_TURN == 0;
    take_from(queue, bulk_first ? EL_LANE_BULK : EL_LANE_INTERACTIVE, limits, &taken, &chains);
    take_from(queue, bulk_first ? EL_LANE_INTERACTIVE : EL_LANE_BULK, limits, &taken, &chains);
    return taken;
}
