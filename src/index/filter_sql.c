// SPDX-License-Identifier: Apache-2.0
// A filter's tree as SQL. json_each yields a value itself or an array's elements, so that one form does for
// both; an object's members, which it would yield too, are kept out.
#include "index/filter_sql.h"

#include "base/error.h"
#include "base/mem.h"

static int put_parameter(struct el_filter_sql *sql, struct el_sql_value value) {
    enum { MOST = EL_FILTER_CONDITIONS + EL_FILTER_VALUES }; // a path each, and their values
    if (!sql->values) EL_TRY(el_arena_alloc(sql->arena, MOST, sizeof *sql->values, &sql->values));
    sql->values[sql->count++] = value;
    return el_str_printf(&sql->text, "?%zu", sql->count);
}

// $."author"."name"
static int put_path(const struct el_filter *filter, struct el_filter_sql *sql) {
    struct el_str path el_auto(el_str_done) = {0};
    const char *copy;
    EL_TRY(el_str_putc(&path, '$'));
    for (size_t i = 0; i < filter->path_length; i++)
        EL_TRY(el_str_printf(&path, ".\"%s\"", filter->path[i]));
    EL_TRY(el_arena_copy(sql->arena, path.data, path.length, &copy));
    return put_parameter(sql, el_sql_text(copy, path.length));
}

// ---- values ----

// Values that compare with each other, in json_each's columns `type` and `atom`.
enum group { NULLS, FALSES, TRUES, NUMBERS, STRINGS, GROUPS };
static const enum group group_of[] = {
    [EL_FILTER_NULL] = NULLS,      [EL_FILTER_FALSE] = FALSES, [EL_FILTER_TRUE] = TRUES,
    [EL_FILTER_INTEGER] = NUMBERS, [EL_FILTER_REAL] = NUMBERS, [EL_FILTER_STRING] = STRINGS};
static const char *const type_test[GROUPS] = {[NULLS] = "type = 'null'",
                                              [FALSES] = "type = 'false'",
                                              [TRUES] = "type = 'true'",
                                              [NUMBERS] = "type IN ('integer', 'real')",
                                              [STRINGS] = "type = 'text'"};

static int put_value(const struct el_filter_value *value, struct el_filter_sql *sql) {
    return put_parameter(sql, value->type == EL_FILTER_INTEGER ? el_sql_number(value->integer)
                              : value->type == EL_FILTER_REAL  ? el_sql_real(value->real)
                                                               : el_sql_string(value->string));
}

// The values of a group: " OR (type = 'text' AND atom IN (?2, ?3))".
static int put_group(const struct el_filter *filter, enum group group, struct el_filter_sql *sql) {
    size_t many = 0;
    for (size_t i = 0; i < filter->value_count; i++) {
        if (group_of[filter->values[i].type] != group) continue;
        if (many++ == 0) EL_TRY(el_str_printf(&sql->text, " OR (%s", type_test[group]));
        if (group != NUMBERS && group != STRINGS) break; // the type says it all
        EL_TRY(el_str_puts(&sql->text, many == 1 ? " AND atom IN (" : ", "));
        EL_TRY(put_value(&filter->values[i], sql));
    }
    if (many && (group == NUMBERS || group == STRINGS)) EL_TRY(el_str_putc(&sql->text, ')'));
    return many ? el_str_putc(&sql->text, ')') : 0;
}

static int put_equal(const struct el_filter *filter, struct el_filter_sql *sql) {
    EL_TRY(el_str_putc(&sql->text, '0'));
    for (int group = 0; group < GROUPS; group++)
        EL_TRY(put_group(filter, (enum group)group, sql));
    return 0;
}

static int put_order(const struct el_filter *filter, struct el_filter_sql *sql) {
    EL_TRY(el_str_printf(&sql->text, "%s AND atom %s ", type_test[group_of[filter->values[0].type]],
                         el_filter_sign(filter->op)));
    return put_value(&filter->values[0], sql);
}

// ---- conditions ----

static int put_comparison(const struct el_filter *filter, struct el_filter_sql *sql) {
    EL_TRY(el_str_puts(&sql->text, "(coalesce(json_type(metadata, "));
    EL_TRY(put_path(filter, sql));
    EL_TRY(el_str_printf(
        &sql->text, "), 'object') <> 'object' AND EXISTS (SELECT 1 FROM json_each(metadata, ?%zu) WHERE ",
        sql->count));
    EL_TRY(filter->op == EL_FILTER_EQUAL ? put_equal(filter, sql) : put_order(filter, sql));
    return el_str_puts(&sql->text, "))");
}

static int put_exists(const struct el_filter *filter, struct el_filter_sql *sql) {
    EL_TRY(el_str_puts(&sql->text, "(json_type(metadata, "));
    EL_TRY(put_path(filter, sql));
    return el_str_puts(&sql->text, ") IS NOT NULL)");
}

static int put_children(const struct el_filter *filter, struct el_filter_sql *sql) {
    EL_TRY(el_str_puts(&sql->text, filter->op == EL_FILTER_NOT  ? "(NOT "
                                   : filter->op == EL_FILTER_OR ? "(0"
                                                                : "(1"));
    for (size_t i = 0; i < filter->child_count; i++) {
        if (filter->op != EL_FILTER_NOT)
            EL_TRY(el_str_puts(&sql->text, filter->op == EL_FILTER_OR ? " OR " : " AND "));
        EL_TRY(el_filter_put_sql(&filter->children[i], sql));
    }
    return el_str_putc(&sql->text, ')');
}

int el_filter_put_sql(const struct el_filter *filter, struct el_filter_sql *sql) {
    switch (filter->op) {
    case EL_FILTER_AND:
    case EL_FILTER_OR:
    case EL_FILTER_NOT:
        return put_children(filter, sql);
    case EL_FILTER_EXISTS:
        return put_exists(filter, sql);
    default:
        return put_comparison(filter, sql);
    }
}
