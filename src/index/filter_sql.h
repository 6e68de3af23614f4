// SPDX-License-Identifier: Apache-2.0
// Filters as SQL of SQLite: a condition on the JSON of a column `metadata`. Keys and values go in as
// parameters, so nothing that a user writes is SQL.
#ifndef EL_INDEX_FILTER_SQL_H
#define EL_INDEX_FILTER_SQL_H

#include "base/str.h"
#include "index/filter.h"
#include "index/sql.h"

struct el_filter_sql {
    struct el_str text;          // to be freed by el_str_done
    struct el_sql_value *values; // [count] of ?1, ?2, ...; they point into the arena and the filter
    size_t count;
    struct el_arena *arena;
};

// Appends the condition. EL_ENOMEM.
int el_filter_put_sql(const struct el_filter *filter, struct el_filter_sql *sql);

#endif
