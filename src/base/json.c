// SPDX-License-Identifier: Apache-2.0
// Reading JSON by jansson, with errors that a user can act on.
#include "base/json.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

// jansson takes a failed allocation for a syntax error or leaves the value out, so it gets an allocator that
// remembers the failure.
static _Thread_local bool memory_ran_out;

static void *remembering_malloc(size_t size) {
    void *p = NULL;
    memory_ran_out |= el_alloc(size, 1, &p) < 0;
    return p;
}

static pthread_once_t allocator_once = PTHREAD_ONCE_INIT;

static void set_allocator(void) {
    json_set_alloc_funcs(remembering_malloc, el_free);
}

int el_json_parse(const char *what, const void *bytes, size_t length, json_t **ret_root) {
    json_error_t error;
    pthread_once(&allocator_once, set_allocator);
    memory_ran_out = false;
    json_t *root = json_loadb(length ? bytes : "", length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (memory_ran_out) {
        json_decref(root);
        return el_fail(EL_ENOMEM, "%s: no memory to parse JSON of %zu bytes", what, length);
    }
    if (!root)
        return el_fail(EL_EFORMAT, "%s:%d:%d: invalid JSON: %s", what, error.line, error.column, error.text);
    *ret_root = root;
    return 0;
}

int el_json_parse_file(const char *path, size_t limit, json_t **ret_root) {
    __attribute__((cleanup(el_str_done))) struct el_str text = {0};
    int status = el_read_file(path, limit, &text);
    return status < 0 ? status : el_json_parse(path, text.data, text.length, ret_root);
}

// The value, or NULL when it is missing or null. `object` may be anything.
static const json_t *lookup(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int wrong_type(const char *what, const char *key, const char *wanted) {
    return el_fail(EL_EFORMAT, "%s: \"%s\" must be %s", what, key, wanted);
}

static int to_i64(const char *what, const char *key, const json_t *value, int64_t min, int64_t max,
                  int64_t *ret_value) {
    if (!json_is_integer(value)) return wrong_type(what, key, "a whole number");
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return el_fail(EL_EFORMAT, "%s: \"%s\" is %" PRId64 ", not from %" PRId64 " to %" PRId64, what, key,
                       number, min, max);
    *ret_value = number;
    return 0;
}

int el_json_get_i64(const char *what, const json_t *object, const char *key, int64_t min, int64_t max,
                    int64_t *ret_value) {
    const json_t *value = lookup(object, key);
    if (!value) return el_fail(EL_EFORMAT, "%s: \"%s\" is missing", what, key);
    return to_i64(what, key, value, min, max, ret_value);
}

int el_json_get_i64_or(const char *what, const json_t *object, const char *key, int64_t min, int64_t max,
                       int64_t fallback, int64_t *ret_value) {
    const json_t *value = lookup(object, key);
    if (value) return to_i64(what, key, value, min, max, ret_value);
    *ret_value = fallback;
    return 0;
}

int el_json_get_f64_or(const char *what, const json_t *object, const char *key, double fallback,
                       double *ret_value) {
    const json_t *value = lookup(object, key);
    if (value && !json_is_number(value)) return wrong_type(what, key, "a number");
    *ret_value = value ? json_number_value(value) : fallback;
    return 0;
}

int el_json_get_bool_or(const char *what, const json_t *object, const char *key, bool fallback,
                        bool *ret_value) {
    const json_t *value = lookup(object, key);
    if (value && !json_is_boolean(value)) return wrong_type(what, key, "true or false");
    *ret_value = value ? json_is_true(value) : fallback;
    return 0;
}

int el_json_get_str_or(const char *what, const json_t *object, const char *key, const char *fallback,
                       const char **ret_text) {
    const json_t *value = lookup(object, key);
    if (value && !json_is_string(value)) return wrong_type(what, key, "a string");
    *ret_text = value ? json_string_value(value) : fallback;
    return 0;
}

void el_json_decref_p(json_t **json) {
    json_decref(*json);
}
