// SPDX-License-Identifier: Apache-2.0
// Filters from JSON to their tree.
#include "index/filter.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

struct parsing {
    struct el_arena *arena;
    int depth;
    size_t conditions, values;
};

static int parse_filter(struct parsing *parsing, const char *where, const json_t *object,
                        struct el_filter *ret_filter);

static int count(struct parsing *parsing, size_t conditions, size_t values) {
    parsing->conditions += conditions;
    parsing->values += values;
    if (parsing->conditions > EL_FILTER_CONDITIONS)
        return el_fail(EL_EINVAL, "the filter has over %d conditions", EL_FILTER_CONDITIONS);
    if (parsing->values > EL_FILTER_VALUES)
        return el_fail(EL_EINVAL, "the filter has over %d values", EL_FILTER_VALUES);
    return 0;
}

// ---- keys ----

// SQLite's paths have no way to write quotes, backslashes and control characters.
static int check_key(const char *key) {
    for (const char *p = key; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
            return el_fail(EL_EINVAL,
                           "filter: key \"%.100s\" has a quote, a backslash or a control character; such "
                           "keys can't be filtered by",
                           key);
    if (*key && *key != '.' && !strstr(key, "..") && !el_ends_with(key, ".")) return 0;
    return el_fail(EL_EINVAL, "filter: key \"%.100s\" has an empty name; a dot stands between two names",
                   key);
}

static int split_key(struct parsing *parsing, const char *key, struct el_filter *filter) {
    const char **path;
    size_t parts = 1;
    EL_TRY(check_key(key));
    for (const char *p = key; *p; p++)
        parts += *p == '.';
    EL_TRY(el_arena_alloc(parsing->arena, parts, sizeof *path, &path));
    for (size_t i = 0; i < parts; i++) {
        const size_t length = strcspn(key, ".");
        EL_TRY(el_arena_strndup(parsing->arena, key, length, &path[i]));
        key += length + 1;
    }
    filter->path = path;
    filter->path_length = parts;
    return 0;
}

// ---- conditions ----

static int parse_value(struct parsing *parsing, const char *key, const json_t *json,
                       struct el_filter_value *ret_value) {
    struct el_filter_value value = {.type = EL_FILTER_NULL};
    if (json_is_array(json) || json_is_object(json))
        return el_fail(EL_EINVAL,
                       "filter: \"%.100s\" is compared with strings, numbers, true, false and null", key);
    if (json_is_boolean(json)) value.type = json_is_true(json) ? EL_FILTER_TRUE : EL_FILTER_FALSE;
    if (json_is_integer(json)) {
        value.type = EL_FILTER_INTEGER;
        value.integer = json_integer_value(json);
    }
    if (json_is_real(json)) {
        value.type = EL_FILTER_REAL;
        value.real = json_real_value(json);
    }
    if (json_is_string(json)) {
        if (strlen(json_string_value(json)) != json_string_length(json))
            return el_fail(EL_EINVAL, "filter: \"%.100s\" is compared with a string that holds a NUL", key);
        value.type = EL_FILTER_STRING;
        EL_TRY(el_arena_strdup(parsing->arena, json_string_value(json), &value.string));
    }
    *ret_value = value;
    return 0;
}

// The values of an array, or a single one.
static int parse_values(struct parsing *parsing, const char *key, const json_t *json,
                        struct el_filter *filter) {
    const size_t many = json_is_array(json) ? json_array_size(json) : 1;
    struct el_filter_value *values;
    EL_TRY(count(parsing, 0, many));
    EL_TRY(el_arena_alloc(parsing->arena, many, sizeof *values, &values));
    for (size_t i = 0; i < many; i++)
        EL_TRY(parse_value(parsing, key, json_is_array(json) ? json_array_get(json, i) : json, &values[i]));
    filter->values = values;
    filter->value_count = many;
    return 0;
}

static int negate(struct parsing *parsing, struct el_filter *filter) {
    struct el_filter *child;
    EL_TRY(el_arena_alloc(parsing->arena, 1, sizeof *child, &child));
    *child = *filter;
    *filter = (struct el_filter){.op = EL_FILTER_NOT, .children = child, .child_count = 1};
    return 0;
}

// What an operator behind a key takes.
enum operand { SCALAR, ORDERED, LIST, BOOLEAN };
static const struct operator_row {
    const char *name;
    enum el_filter_op op;
    enum operand operand;
    bool negated;
} operators[] = {
    {"$eq", EL_FILTER_EQUAL, SCALAR, false},       {"$ne", EL_FILTER_EQUAL, SCALAR, true},
    {"$in", EL_FILTER_EQUAL, LIST, false},         {"$nin", EL_FILTER_EQUAL, LIST, true},
    {"$lt", EL_FILTER_LESS, ORDERED, false},       {"$lte", EL_FILTER_LESS_EQUAL, ORDERED, false},
    {"$gt", EL_FILTER_GREATER, ORDERED, false},    {"$gte", EL_FILTER_GREATER_EQUAL, ORDERED, false},
    {"$exists", EL_FILTER_EXISTS, BOOLEAN, false},
};

static const struct operator_row *find_operator(const char *name) {
    for (size_t i = 0; i < EL_COUNT(operators); i++)
        if (el_streq(operators[i].name, name)) return &operators[i];
    return NULL;
}

static int check_operand(const char *key, const struct operator_row *row, const json_t *operand) {
    const char *wanted = NULL;
    if (row->operand == LIST && !json_is_array(operand)) wanted = "an array";
    if (row->operand == BOOLEAN && !json_is_boolean(operand)) wanted = "true or false";
    if (row->operand == ORDERED && !json_is_number(operand) && !json_is_string(operand))
        wanted = "a number or a string";
    if (row->operand == SCALAR && json_is_array(operand)) wanted = "one value; $in and $nin take an array";
    return wanted ? el_fail(EL_EINVAL, "filter: \"%.100s\": %s takes %s", key, row->name, wanted) : 0;
}

static int parse_comparison(struct parsing *parsing, const char *key, const struct operator_row *row,
                            const json_t *operand, struct el_filter *ret_filter) {
    struct el_filter filter = {.op = row->op};
    EL_TRY(check_operand(key, row, operand));
    EL_TRY(count(parsing, 1, 0));
    EL_TRY(split_key(parsing, key, &filter));
    if (row->operand != BOOLEAN) EL_TRY(parse_values(parsing, key, operand, &filter));
    const bool absent = row->op == EL_FILTER_EXISTS && json_is_false(operand);
    *ret_filter = filter;
    return row->negated || absent ? negate(parsing, ret_filter) : 0;
}

static int fail_operator(const char *key, const char *name) {
    return el_fail(EL_EINVAL,
                   *name == '$'
                       ? "filter: \"%.100s\" has the operator \"%.40s\"; there are $eq, $ne, $gt, $gte, "
                         "$lt, $lte, $in, $nin and $exists"
                       : "filter: \"%.100s\" holds \"%.40s\", which is no operator; a value within an "
                         "object is named with a dot between: \"author.name\"",
                   key, name);
}

// Room for several conditions, all of which are to hold.
static int join(struct parsing *parsing, size_t many, struct el_filter **ret_children,
                struct el_filter *filter) {
    EL_TRY(el_arena_alloc(parsing->arena, many, sizeof **ret_children, ret_children));
    *filter = (struct el_filter){.op = EL_FILTER_AND, .children = *ret_children, .child_count = many};
    return 0;
}

// What is behind a key: a value, or operators with theirs.
static int parse_condition(struct parsing *parsing, const char *key, const json_t *json,
                           struct el_filter *ret_filter) {
    struct el_filter *children;
    size_t i = 0;
    const char *name;
    const json_t *operand;
    if (!json_is_object(json)) {
        if (json_is_array(json))
            return el_fail(EL_EINVAL, "filter: \"%.100s\" is an array; {\"$in\": [...]} takes one", key);
        return parse_comparison(parsing, key, &operators[0], json, ret_filter);
    }
    EL_TRY(join(parsing, json_object_size(json), &children, ret_filter));
    if (!ret_filter->child_count) return el_fail(EL_EINVAL, "filter: \"%.100s\" has no operator", key);
    json_object_foreach((json_t *)(uintptr_t)json, name, operand) {
        const struct operator_row *row = find_operator(name);
        if (!row) return fail_operator(key, name);
        EL_TRY(parse_comparison(parsing, key, row, operand, &children[i++]));
    }
    return 0;
}

// ---- filters within filters ----

static int parse_list(struct parsing *parsing, const char *name, enum el_filter_op op, const json_t *json,
                      struct el_filter *ret_filter) {
    struct el_filter *children;
    if (!json_is_array(json) || !json_array_size(json))
        return el_fail(EL_EINVAL, "filter: %s takes an array of at least one filter", name);
    EL_TRY(join(parsing, json_array_size(json), &children, ret_filter));
    ret_filter->op = op;
    for (size_t i = 0; i < ret_filter->child_count; i++)
        EL_TRY(parse_filter(parsing, name, json_array_get(json, i), &children[i]));
    return 0;
}

static int parse_member(struct parsing *parsing, const char *key, const json_t *json,
                        struct el_filter *ret_filter) {
    if (el_streq(key, "$and")) return parse_list(parsing, key, EL_FILTER_AND, json, ret_filter);
    if (el_streq(key, "$or")) return parse_list(parsing, key, EL_FILTER_OR, json, ret_filter);
    if (el_streq(key, "$not")) {
        EL_TRY(parse_filter(parsing, key, json, ret_filter));
        return negate(parsing, ret_filter);
    }
    if (*key != '$') return parse_condition(parsing, key, json, ret_filter);
    return el_fail(EL_EINVAL, "filter: \"%.40s\" stands where a key is wanted, or $and, $or, $not", key);
}

static int parse_filter(struct parsing *parsing, const char *where, const json_t *object,
                        struct el_filter *ret_filter) {
    struct el_filter *children;
    size_t i = 0;
    const char *key;
    const json_t *value;
    if (!json_is_object(object)) return el_fail(EL_EINVAL, "%s takes a JSON object", where);
    if (++parsing->depth > EL_FILTER_DEPTH)
        return el_fail(EL_EINVAL, "the filter is nested over %d deep", EL_FILTER_DEPTH);
    EL_TRY(count(parsing, 1, 0));
    EL_TRY(join(parsing, json_object_size(object), &children, ret_filter));
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        EL_TRY(parse_member(parsing, key, value, &children[i++]));
    parsing->depth--;
    return 0;
}

const char *el_filter_sign(enum el_filter_op op) {
    static const char *const signs[] = {[EL_FILTER_LESS] = "<",
                                        [EL_FILTER_LESS_EQUAL] = "<=",
                                        [EL_FILTER_GREATER] = ">",
                                        [EL_FILTER_GREATER_EQUAL] = ">="};
    return signs[op];
}

int el_filter_parse(const char *json, struct el_arena *arena, const struct el_filter **ret_filter) {
    json_t *root el_auto_json = NULL;
    struct parsing parsing = {.arena = arena};
    struct el_filter *filter;
    const size_t length = strlen(json);
    if (length > EL_FILTER_BYTES) return el_fail(EL_EINVAL, "the filter has over %d bytes", EL_FILTER_BYTES);
    int status = el_json_parse("filter", json, length, &root);
    if (status < 0) return status == EL_EFORMAT ? el_fail_in(EL_EINVAL, "the filter can't be read") : status;
    EL_TRY(el_arena_alloc(arena, 1, sizeof *filter, &filter));
    EL_TRY(parse_filter(&parsing, "a filter", root, filter));
    *ret_filter = filter;
    return 0;
}

int el_filter_check_removal(const struct el_filter *filter) {
    if (filter->op == EL_FILTER_AND && !filter->child_count)
        return el_fail(EL_EINVAL,
                       "an empty filter passes every document, so nothing is removed by it, nor by one "
                       "that holds it; to remove all, delete the index");
    for (size_t i = 0; i < filter->child_count; i++)
        EL_TRY(el_filter_check_removal(&filter->children[i]));
    return 0;
}
