// SPDX-License-Identifier: Apache-2.0
// POST /v1/embeddings, apart from its handler (handlers.h).
#ifndef EL_SERVE_EMBEDDINGS_H
#define EL_SERVE_EMBEDDINGS_H

#include <stdbool.h>

struct el_exchange;

// What can be refused before the body is read: while draining or loading, or when every model's queue is
// full. EL_EINVAL with the exchange's fault.
int el_embeddings_admit(struct el_exchange *exchange);

// The exchange has come back: makes the reply. False when the clerk makes it, and it will come back once
// more.
bool el_embeddings_finish(struct el_exchange *exchange);

#endif
