// SPDX-License-Identifier: Apache-2.0
// What a worker of the batcher does with the sequences that it has taken: it packs them, computes them, by
// the ladder of batcher.h when memory is short, and finishes each.
#ifndef EL_ENGINE_COMPUTE_H
#define EL_ENGINE_COMPUTE_H

#include "base/arena.h"
#include "engine/batcher.h"

enum { EL_MOST_HALVINGS = 3 }; // before other steps of the ladder are taken

struct el_compute {
    const struct el_batcher_options *options;
    struct el_ladder_counts *counts; // the batcher's
    struct el_batch_worker self;
    struct el_arena scratch; // the packed batch

    // Of the last batch:
    struct el_taken returned; // their device was lost, they are not finished
    struct el_sequence **end; // of `returned`
    bool short_of_memory;
    int halvings;     // how often the parts were halved
    char detail[256]; // of the first part that did not fit
};

// Computes and finishes what was taken, but for what is in `returned` then.
void el_compute(struct el_compute *compute, struct el_taken taken);

// Finishes the chain of `count` sequences with a status whose detail is this thread's.
void el_finish(const struct el_batcher_options *options, struct el_sequence *first, int count, int status);

#endif
