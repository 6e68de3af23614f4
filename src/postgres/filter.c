// SPDX-License-Identifier: Apache-2.0
// A filter's tree as SQL. A value that is no array is looked at as an array of itself, so that one form does
// for both.
#include "postgres/filter.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"

// metadata -> $1::text -> $2::text: names of objects alone, never places of arrays.
static int put_path(const struct el_filter *filter, struct el_pg_statement *statement) {
    EL_TRY(el_str_puts(&statement->text, "metadata"));
    for (size_t i = 0; i < filter->path_length; i++) {
        EL_TRY(el_str_puts(&statement->text, " -> "));
        EL_TRY(el_pg_put_text(statement, filter->path[i], strlen(filter->path[i])));
    }
    return 0;
}

// ---- values ----

static int put_string(const struct el_filter_value *value, struct el_pg_statement *statement) {
    return el_pg_put_text(statement, value->string, strlen(value->string));
}

// What a user writes as a double is compared as one: 0.1 is the 0.1 of the metadata.
static int put_equal_value(const struct el_filter_value *value, struct el_pg_statement *statement) {
    struct el_str *text = &statement->text;
    switch (value->type) {
    case EL_FILTER_NULL:
        return el_str_puts(text, "value = 'null'");
    case EL_FILTER_FALSE:
        return el_str_puts(text, "value = 'false'");
    case EL_FILTER_TRUE:
        return el_str_puts(text, "value = 'true'");
    case EL_FILTER_STRING:
        EL_TRY(el_str_puts(text, "value = to_jsonb("));
        EL_TRY(put_string(value, statement));
        return el_str_putc(text, ')');
    case EL_FILTER_INTEGER:
        EL_TRY(el_str_puts(text, "value = to_jsonb("));
        EL_TRY(el_pg_put_i64(statement, value->integer));
        return el_str_putc(text, ')');
    default:
        EL_TRY(
            el_str_puts(text, "CASE WHEN jsonb_typeof(value) = 'number' THEN (value #>> '{}')::float8 = "));
        EL_TRY(el_pg_put_f64(statement, value->real));
        return el_str_puts(text, " END");
    }
}

static int put_equal(const struct el_filter *filter, struct el_pg_statement *statement) {
    EL_TRY(el_str_puts(&statement->text, "false"));
    for (size_t i = 0; i < filter->value_count; i++) {
        EL_TRY(el_str_puts(&statement->text, " OR "));
        EL_TRY(put_equal_value(&filter->values[i], statement));
    }
    return 0;
}

static int put_order(const struct el_filter *filter, struct el_pg_statement *statement) {
    const struct el_filter_value *value = &filter->values[0];
    const bool is_text = value->type == EL_FILTER_STRING, is_whole = value->type == EL_FILTER_INTEGER;
    EL_TRY(el_str_printf(&statement->text, "CASE WHEN jsonb_typeof(value) = '%s' THEN (value #>> '{}')%s %s ",
                         is_text ? "string" : "number",
                         is_text    ? " COLLATE \"C\""
                         : is_whole ? "::numeric"
                                    : "::float8",
                         el_filter_sign(filter->op)));
    EL_TRY(is_text    ? put_string(value, statement)
           : is_whole ? el_pg_put_i64(statement, value->integer)
                      : el_pg_put_f64(statement, value->real));
    return el_str_puts(&statement->text, " END");
}

// ---- conditions ----

static int put_comparison(const struct el_filter *filter, struct el_pg_statement *statement) {
    struct el_str *text = &statement->text;
    EL_TRY(el_str_puts(text, "EXISTS (SELECT FROM (SELECT "));
    EL_TRY(put_path(filter, statement));
    EL_TRY(el_str_puts(text,
                       ") AS at(found), jsonb_array_elements(CASE jsonb_typeof(found) WHEN 'array' THEN found"
                       " ELSE jsonb_build_array(found) END) AS elements(value)"
                       " WHERE found IS NOT NULL AND ("));
    EL_TRY(filter->op == EL_FILTER_EQUAL ? put_equal(filter, statement) : put_order(filter, statement));
    return el_str_puts(text, "))");
}

static int put_exists(const struct el_filter *filter, struct el_pg_statement *statement) {
    EL_TRY(el_str_putc(&statement->text, '('));
    EL_TRY(put_path(filter, statement));
    return el_str_puts(&statement->text, ") IS NOT NULL");
}

static int put_children(const struct el_filter *filter, struct el_pg_statement *statement) {
    struct el_str *text = &statement->text;
    const bool is_or = filter->op == EL_FILTER_OR;
    EL_TRY(el_str_puts(text, filter->op == EL_FILTER_NOT ? "(NOT (true" : is_or ? "(false" : "(true"));
    for (size_t i = 0; i < filter->child_count; i++) {
        EL_TRY(el_str_puts(text, is_or ? " OR " : " AND "));
        EL_TRY(el_pg_put_filter(&filter->children[i], statement));
    }
    return el_str_puts(text, filter->op == EL_FILTER_NOT ? "))" : ")");
}

int el_pg_put_filter(const struct el_filter *filter, struct el_pg_statement *statement) {
    switch (filter->op) {
    case EL_FILTER_AND:
    case EL_FILTER_OR:
    case EL_FILTER_NOT:
        return put_children(filter, statement);
    case EL_FILTER_EXISTS:
        return put_exists(filter, statement);
    default:
        return put_comparison(filter, statement);
    }
}
