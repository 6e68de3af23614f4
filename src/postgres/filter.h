// SPDX-License-Identifier: Apache-2.0
// Filters as SQL of PostgreSQL: a condition on the column `metadata`, of jsonb. Keys and values go in as
// parameters, so nothing that a user writes is SQL.
#ifndef EL_POSTGRES_FILTER_H
#define EL_POSTGRES_FILTER_H

#include "base/arena.h"
#include "index/filter.h"
#include "postgres/query.h"

// Appends the condition; its parameters point into the query's arena and the filter. EL_ENOMEM.
int el_pg_put_filter(const struct el_filter *filter, struct el_pg_statement *statement);

#endif
