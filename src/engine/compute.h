// SPDX-License-Identifier: Apache-2.0
// What a worker of the batcher does with the sequences that it has taken: it packs them, computes them, in
// halves when memory is short, and finishes each.
#ifndef EL_ENGINE_COMPUTE_H
#define EL_ENGINE_COMPUTE_H

#include "base/arena.h"
#include "engine/batcher.h"

struct el_compute {
    const struct el_batcher_options *options;
    struct el_batch_worker self;
    struct el_arena scratch;  // the packed batch
    struct el_taken returned; // of the last batch: their device was lost, they are not finished
    struct el_sequence **end; // of `returned`
    _Atomic uint64_t *halved; // batches that did not fit
};

// Computes and finishes what was taken, but for what is in `returned` then.
void el_compute(struct el_compute *compute, struct el_taken taken);

// Finishes the chain of `count` sequences with a status whose detail is this thread's.
void el_finish(const struct el_batcher_options *options, struct el_sequence *first, int count, int status);

#endif
