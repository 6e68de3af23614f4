// SPDX-License-Identifier: Apache-2.0
// A statement that is put together from parts, with its parameters.
#ifndef EL_POSTGRES_QUERY_H
#define EL_POSTGRES_QUERY_H

#include "base/arena.h"
#include "base/str.h"
#include "postgres/connection.h"

struct el_pg_statement {
    struct el_str text;
    struct el_pg_value *values; // [count] of $1, $2, ...
    size_t count, capacity;
    struct el_arena arena; // holds what values point to
};

void el_pg_statement_init(struct el_pg_statement *statement);
void el_pg_statement_done(struct el_pg_statement *statement);

// Each appends a parameter, as "$3::type", to the text. What `data` points to is borrowed until the statement
// has run. EL_ENOMEM.
int el_pg_put_parameter(struct el_pg_statement *statement, const void *data, size_t size, const char *type);
int el_pg_put_i64(struct el_pg_statement *statement, int64_t value); // bigint
int el_pg_put_f64(struct el_pg_statement *statement, double value);  // float8
int el_pg_put_text(struct el_pg_statement *statement, const char *text, size_t length);

#endif
