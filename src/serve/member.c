// SPDX-License-Identifier: Apache-2.0
// Bodies of requests, by jansson.
#include "serve/member.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

int el_body_root(const char *bytes, size_t length, size_t flags, json_t **ret_root, struct el_fault *fault) {
    json_error_t error;
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | flags, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return el_fault_set(fault, EL_FAULT_OUT_OF_MEMORY, NULL, "no memory to read a body of %zu bytes",
                            length);
    if (!root)
        return el_fault_set(fault, EL_FAULT_INVALID_JSON, NULL,
                            "the body is not valid JSON: line %d, column %d: %s", error.line, error.column,
                            error.text);
    *ret_root = root; // the caller's, whatever it is
    if (json_is_object(root)) return 0;
    return el_fault_set(fault, EL_FAULT_INVALID_TYPE, NULL, "the request body must be a JSON object");
}

json_t *el_member(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

int el_member_wrong_type(struct el_fault *fault, const char *param, const char *wanted) {
    return el_fault_set(fault, EL_FAULT_INVALID_TYPE, param, "\"%s\" must be %s", param, wanted);
}

int el_member_string(const json_t *object, const char *key, const char **ret_text, struct el_fault *fault) {
    const json_t *value = el_member(object, key);
    if (value && !json_is_string(value)) return el_member_wrong_type(fault, key, "a string");
    const char *text = json_string_value(value);
    if (text && strlen(text) != json_string_length(value))
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, key, "\"%s\" must not hold a NUL character", key);
    *ret_text = text;
    return 0;
}

bool el_json_is_whole(const json_t *value, int64_t *ret_number) {
    double number = json_real_value(value); // 0 when it is none
    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || number != trunc(number) || fabs(number) > 0x1p53) return false;
    *ret_number = (int64_t)number;
    return true;
}

int el_member_whole(const json_t *object, const char *key, int64_t min, int64_t max, int64_t fallback,
                    int64_t *ret_number, struct el_fault *fault) {
    const json_t *value = el_member(object, key);
    int64_t number = fallback;
    if (value && !el_json_is_whole(value, &number)) return el_member_wrong_type(fault, key, "a whole number");
    if (value && (number < min || number > max))
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, key, "\"%s\" must be from %" PRId64 " to %" PRId64,
                            key, min, max);
    *ret_number = number;
    return 0;
}

const char *el_json_skip_string(const char *p, const char *end) {
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\') p++;
    return p < end ? p + 1 : end;
}
