// SPDX-License-Identifier: Apache-2.0
// Reading JSON (by jansson) with errors that name the file and the key. Keys are looked up in one object.
#ifndef EL_BASE_JSON_H
#define EL_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `what` names the text in errors (a path, "request body"). NUL inside strings is allowed; depth, UTF-8 and
// duplicate keys are checked. EL_EFORMAT with line and column; EL_ENOMEM. json_decref the result.
int el_json_parse(const char *what, const void *bytes, size_t length, json_t **ret_root);
int el_json_parse_file(const char *path, size_t limit, json_t **ret_root);

// Each: EL_EFORMAT naming `what` and the key when it has another type or is out of range, or is missing and
// no fallback applies. The _or forms take the fallback when the key is missing or null.
int el_json_get_i64(const char *what, const json_t *object, const char *key, int64_t min, int64_t max,
                    int64_t *ret_value);
int el_json_get_i64_or(const char *what, const json_t *object, const char *key, int64_t min, int64_t max,
                       int64_t fallback, int64_t *ret_value);
int el_json_get_f64_or(const char *what, const json_t *object, const char *key, double fallback,
                       double *ret_value);
int el_json_get_bool_or(const char *what, const json_t *object, const char *key, bool fallback,
                        bool *ret_value);
// Borrowed from `object`; NULL fallback allowed.
int el_json_get_str_or(const char *what, const json_t *object, const char *key, const char *fallback,
                       const char **ret_text);

void el_json_decref_p(json_t **json); // for el_auto
#define el_auto_json __attribute__((cleanup(el_json_decref_p)))

#endif
