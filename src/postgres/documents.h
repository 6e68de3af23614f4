// SPDX-License-Identifier: Apache-2.0
// Documents in the database: each call is one transaction, run again when the connection is lost.
#ifndef EL_POSTGRES_DOCUMENTS_H
#define EL_POSTGRES_DOCUMENTS_H

#include "index/store.h"
#include "postgres/connection.h"

// As el_index_put and el_index_remove; an id that stands twice in a batch counts the last time. EL_EINVAL: a
// text or an id with a NUL or what is not UTF-8, metadata that are not JSON.
int el_pg_put(struct el_pg *pg, const struct el_index_batch *batch, int dim);
int el_pg_remove(struct el_pg *pg, const char *const *ids, size_t count, int64_t *ret_removed);
int el_pg_remove_passing(struct el_pg *pg, const struct el_filter *filter, int64_t *ret_removed);

// Fills in those that are not marked as there.
int el_pg_find(struct el_pg *pg, const char *const *ids, size_t count, struct el_index_known *inout_known);
int el_pg_each(struct el_pg *pg, const char *prefix, int (*visit)(void *context, const char *id),
               void *context);

#endif
