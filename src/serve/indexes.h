// SPDX-License-Identifier: Apache-2.0
// What the handlers of /v1/indexes have in common. Each job runs on one of the two threads of indexes and
// ends by el_indexes_finish.
#ifndef EL_SERVE_INDEXES_H
#define EL_SERVE_INDEXES_H

#include "index/index.h"
#include "serve/exchange.h"

// Gives the exchange to one of the server's two threads for indexes.
void el_indexes_give(struct el_exchange *exchange, struct el_clerk *clerk, el_clerk_job *job);
// Whether the job is still wanted and can be done; *ret_name is the index's in the path, or NULL, to be
// freed. EL_EINVAL with the exchange's fault, as all below.
int el_indexes_begin(struct el_exchange *exchange, char **ret_name);
// With status 0 the reply's body is the answer, else the fault is. The exchange goes back to the loop.
void el_indexes_finish(struct el_exchange *exchange, int http_status, int status);

// What went wrong within an index; and with opening or deleting one.
int el_indexes_fail(struct el_exchange *exchange, int status, const char *param);
int el_indexes_fail_named(struct el_exchange *exchange, int status);

// The embedder for texts of an index.
int el_indexes_embedder(struct el_exchange *exchange, const struct el_index *index,
                        struct el_embedder **ret_embedder);

#endif
