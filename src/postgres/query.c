// SPDX-License-Identifier: Apache-2.0
// Putting statements together.
#include "postgres/query.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"

void el_pg_statement_init(struct el_pg_statement *statement) {
    *statement = (struct el_pg_statement){0};
    el_arena_init(&statement->arena);
}

void el_pg_statement_done(struct el_pg_statement *statement) {
    el_arena_done(&statement->arena);
    el_str_done(&statement->text);
    el_free(statement->values);
}

int el_pg_put_parameter(struct el_pg_statement *statement, const void *data, size_t size, const char *type) {
    EL_TRY(el_grow(&statement->values, sizeof *statement->values, statement->count, &statement->capacity));
    statement->values[statement->count++] = (struct el_pg_value){data, size};
    return el_str_printf(&statement->text, "$%zu::%s", statement->count, type);
}

static int put_bits(struct el_pg_statement *statement, uint64_t bits, const char *type) {
    uint64_t *big;
    EL_TRY(el_arena_alloc(&statement->arena, 1, sizeof *big, &big));
    *big = htobe64(bits);
    return el_pg_put_parameter(statement, big, sizeof *big, type);
}

int el_pg_put_i64(struct el_pg_statement *statement, int64_t value) {
    return put_bits(statement, (uint64_t)value, "bigint");
}

int el_pg_put_f64(struct el_pg_statement *statement, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_bits(statement, bits, "float8");
}

int el_pg_put_text(struct el_pg_statement *statement, const char *text, size_t length) {
    return el_pg_put_parameter(statement, text ? text : "", length, "text");
}
