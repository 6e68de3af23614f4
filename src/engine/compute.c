// SPDX-License-Identifier: Apache-2.0
// Packing, computing, the ladder, finishing.
#include "engine/compute.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

// Lays the sequences end to end. The batch lives in the arena.
static int pack(struct el_arena *arena, const struct el_taken *taken, struct el_batch *ret_batch) {
    int32_t *ids = NULL, *positions = NULL, *start = NULL;
    EL_TRY(el_arena_alloc(arena, (size_t)taken->tokens, sizeof *ids, &ids));
    EL_TRY(el_arena_alloc(arena, (size_t)taken->tokens, sizeof *positions, &positions));
    EL_TRY(el_arena_alloc(arena, (size_t)taken->count + 1, sizeof *start, &start));
    int32_t row = 0;
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next) {
        start[i] = row;
        memcpy(ids + row, s->ids, (size_t)s->count * sizeof *ids);
        for (int32_t t = 0; t < s->count; t++)
            positions[row + t] = t;
        row += s->count;
    }
    start[taken->count] = row;
    *ret_batch = (struct el_batch){
        .ids = ids, .positions = positions, .seqs = {.count = taken->count, .start = start}, .tokens = row};
    return 0;
}

static int compute_packed(struct el_compute *compute, const struct el_taken *taken) {
    const struct el_batcher_options *options = compute->options;
    struct el_batch batch;
    float *vectors = NULL;
    EL_TRY(pack(&compute->scratch, taken, &batch));
    EL_TRY(el_arena_alloc(&compute->scratch, (size_t)taken->count, (size_t)options->dim * sizeof *vectors,
                          &vectors));
    EL_TRY(options->run(options->context, &compute->self, &batch, vectors));
    const struct el_sequence *s = taken->first;
    for (int i = 0; i < taken->count; i++, s = s->next)
        memcpy(s->vector, vectors + (size_t)i * (size_t)options->dim, (size_t)options->dim * sizeof *vectors);
    return 0;
}

static int compute_once(struct el_compute *compute, const struct el_taken *taken) {
    const struct el_arena_mark mark = el_arena_mark(&compute->scratch);
    int status = compute_packed(compute, taken);
    el_arena_release(&compute->scratch, mark);
    if (status != EL_ENOMEM) return status;
    if (!compute->short_of_memory) snprintf(compute->detail, sizeof compute->detail, "%s", el_error_detail());
    compute->short_of_memory = true;
    atomic_fetch_add(&compute->counts->out_of_memory, 1);
    el_arena_done(&compute->scratch); // what a large batch took may be what is missing
    return status;
}

void el_finish(const struct el_batcher_options *options, struct el_sequence *first, int count, int status) {
    for (int i = 0; i < count; i++) {
        struct el_sequence *next = first->next; // done may free it
        options->done(first, status);
        first = next;
    }
}

// Keeps sequences for the queue, behind those that are kept already.
static void keep(struct el_compute *compute, struct el_taken taken) {
    *compute->end = taken.first;
    for (int i = 0; i < taken.count; i++)
        compute->end = &(*compute->end)->next;
    compute->returned.count += taken.count;
    compute->returned.tokens += taken.tokens;
}

// The first half of `taken` by count; *taken keeps the rest.
static struct el_taken split_half(struct el_taken *taken) {
    struct el_taken half = {.first = taken->first, .count = taken->count / 2};
    for (int i = 0; i < half.count; i++) {
        half.tokens += taken->first->count;
        taken->first = taken->first->next;
    }
    taken->count -= half.count;
    taken->tokens -= half.tokens;
    return half;
}

// ---- the ladder ----

static int relieve(struct el_compute *compute, const struct el_taken *taken, enum el_relief relief,
                   _Atomic uint64_t *count) {
    atomic_fetch_add(count, 1);
    compute->options->relieve(compute->options->context, compute->self.group, relief);
    return compute_once(compute, taken);
}

static int compute_elsewhere(struct el_compute *compute, const struct el_taken *taken) {
    atomic_fetch_add(&compute->counts->moved, 1);
    compute->self.elsewhere = true;
    int status = compute_once(compute, taken);
    compute->self.elsewhere = false;
    return status;
}

// What is left when halving was not enough.
static int climb(struct el_compute *compute, const struct el_taken *taken) {
    struct el_ladder_counts *counts = compute->counts;
    int status = EL_ENOMEM;
    if (compute->options->relieve) {
        status = relieve(compute, taken, EL_RELIEF_TRIM, &counts->trimmed);
        if (status == EL_ENOMEM) status = relieve(compute, taken, EL_RELIEF_CACHES, &counts->caches_dropped);
    }
    if (status == EL_ENOMEM && compute->options->has_elsewhere) status = compute_elsewhere(compute, taken);
    return status;
}

// Computes a part of a batch that was halved so often.
static void compute_part(struct el_compute *compute, struct el_taken taken, int halvings) {
    int status = compute_once(compute, &taken);
    if (status == EL_ENOMEM && (taken.count == 1 || halvings >= EL_MOST_HALVINGS))
        status = climb(compute, &taken);
    if (status == EL_ENOMEM && taken.count > 1) {
        atomic_fetch_add(&compute->counts->halved, 1);
        compute->halvings = EL_MAX(compute->halvings, halvings + 1);
        compute_part(compute, split_half(&taken), halvings + 1);
        compute_part(compute, taken, halvings + 1);
    } else if (status == EL_ELOST) {
        keep(compute, taken);
    } else {
        el_finish(compute->options, taken.first, taken.count, status);
    }
}

void el_compute(struct el_compute *compute, struct el_taken taken) {
    compute->returned = (struct el_taken){0};
    compute->end = &compute->returned.first;
    compute->short_of_memory = false;
    compute->halvings = 0;
    compute_part(compute, taken, 0);
    *compute->end = NULL;
}
