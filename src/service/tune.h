// SPDX-License-Identifier: Apache-2.0
// Tunes an embedder while it serves: where nothing is remembered of its model on a device, batches of several
// sizes are computed there, and the fastest size is remembered (tuned.h) and used from then on.
#ifndef EL_SERVICE_TUNE_H
#define EL_SERVICE_TUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/batch_size.h"
#include "service/embed.h"

// What came of one device.
struct el_tune_result {
    const struct el_replica_state *place;
    const char *precision;
    struct el_batch_choice before; // what batches were until now, and why
    int64_t tokens;                // of the fastest batch
    double rate, rate_before;      // texts per second of one batch at a time, of `tokens` and as it was
    const char *file;              // where it is remembered
};

struct el_tune_options {
    // Asked before each batch: true ends the tuning.
    bool (*must_end)(void *context);
    void (*tuned)(void *context, const struct el_tune_result *result); // told of each device
    void *context;
};

// Takes a second or two for each device. One caller at a time, any thread. Does nothing where the user has
// said how large batches are, or where they would not be remembered. EL_EBUSY: must_end said so; devices that
// are through stay so. EL_ENOMEM, EL_ELOST, EL_EIO.
int el_embedder_tune(struct el_embedder *embedder, const struct el_tune_options *options);

#endif
