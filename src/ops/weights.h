// SPDX-License-Identifier: Apache-2.0
// The tables of a model (embeddings, norms) where its operations read them. On the processor a table that has
// the right type already is used where it lies.
#ifndef EL_OPS_WEIGHTS_H
#define EL_OPS_WEIGHTS_H

#include "ops/exec.h"

struct el_table;
struct el_weights {
    const struct el_target *target;
    struct el_table *tables; // owned, newest first
    size_t bytes;            // that the tables hold or lie in
};

void el_weights_init(struct el_weights *weights, const struct el_target *target);
void el_weights_done(struct el_weights *weights);

// The type in which operations of the target read embeddings and keep hidden states.
enum el_dtype el_weights_dtype(const struct el_target *target);

// `host` (f32, f16 or bf16; it must stay while the weights live) as `dtype` where the target computes.
// EL_ENOMEM, EL_ELOST. One caller at a time.
int el_weights_put(struct el_weights *weights, const struct el_tensor *host, enum el_dtype dtype,
                   struct el_tensor *ret_tensor);

#endif
