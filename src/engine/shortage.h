// SPDX-License-Identifier: Apache-2.0
// How large the batches of a device may be after one did not fit: as small as the parts that did, and each
// time enough of those have fitted, twice as large. Not thread-safe: the batcher's lock guards it.
#ifndef EL_ENGINE_SHORTAGE_H
#define EL_ENGINE_SHORTAGE_H

#include "engine/queue.h"

// Zeroed: memory is not short.
struct el_shortage {
    struct el_batch_limits fitting; // tokens 0: memory is not short
    int good;                       // batches that have fitted since
};

// `most` as far as memory goes.
struct el_batch_limits el_shortage_limits(const struct el_shortage *shortage,
                                          const struct el_batch_limits *most);
// A batch of so many fitted when it was halved so often. True when memory has become short just now.
bool el_shortage_note(struct el_shortage *shortage, const struct el_taken *batch, int halvings);
// A batch fitted.
void el_shortage_pass(struct el_shortage *shortage, const struct el_batch_limits *most);

#endif
