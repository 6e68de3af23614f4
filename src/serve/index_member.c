// SPDX-License-Identifier: Apache-2.0
// Members that several bodies of requests to /v1/indexes have.
#include "serve/index_member.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "serve/member.h"

// Whole numbers stay such, for metadata are given back; where one is too large for that, all become doubles.
int el_index_body_root(const char *bytes, size_t length, json_t **ret_root, struct el_fault *fault) {
    json_error_t error;
    *ret_root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json_is_object(*ret_root)) return 0;
    json_decref(*ret_root);
    *ret_root = NULL;
    return el_body_root(bytes, length, JSON_DECODE_INT_AS_REAL, ret_root, fault); // or say what is wrong
}

// So much JSON is never parsed: an element of an array takes some twenty times its bytes.
int el_index_body_check_values(const char *bytes, size_t length, size_t most, const char *param,
                               struct el_fault *fault) {
    size_t commas = 0;
    const char *end = bytes + length;
    for (const char *p = bytes; p < end; p = *p == '"' ? el_json_skip_string(p, end) : p + 1)
        commas += *p == ',';
    if (commas <= most) return 0;
    return el_fault_set(fault, EL_FAULT_TOO_MANY_INPUTS, param,
                        "the request has more than %zu values; send the %s in several requests", most, param);
}

int el_index_body_check_count(size_t count, size_t most, const char *param, struct el_fault *fault) {
    if (count <= most) return 0;
    return el_fault_set(fault, EL_FAULT_TOO_MANY_INPUTS, param,
                        "the request has %zu %s; this server takes %zu in one request. Send them in several, "
                        "or raise max_inputs",
                        count, param, most);
}

static const double largest_element = 3e38; // of an element; openapi.json has it too

int el_index_body_vector(const json_t *value, const char *param, const char *what, int dim, float *ret_vector,
                         struct el_fault *fault) {
    if (!json_is_array(value))
        return el_fault_set(fault, EL_FAULT_INVALID_TYPE, param, "%s must be an array of numbers", what);
    if (json_array_size(value) != (size_t)dim)
        return el_fault_set(fault, EL_FAULT_INDEX_MISMATCH, param, "%s has %zu dimensions, this index has %d",
                            what, json_array_size(value), dim);
    for (int i = 0; i < dim; i++) {
        const json_t *number = json_array_get(value, (size_t)i);
        if (!json_is_number(number))
            return el_fault_set(fault, EL_FAULT_INVALID_TYPE, param, "element %d of %s is no number", i,
                                what);
        if (fabs(json_number_value(number)) > largest_element)
            return el_fault_set(fault, EL_FAULT_INVALID_VALUE, param,
                                "element %d of %s is too large for a float", i, what);
        ret_vector[i] = (float)json_number_value(number);
    }
    return 0;
}

// Above 0, up to 1; 0 where none is given.
int el_index_body_recall(const json_t *root, double *ret_recall, struct el_fault *fault) {
    const json_t *given = el_member(root, "recall");
    *ret_recall = 0;
    if (!given) return 0;
    if (!json_is_number(given)) return el_member_wrong_type(fault, "recall", "a number");
    *ret_recall = json_number_value(given);
    if (*ret_recall > 0 && *ret_recall <= 1) return 0;
    return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "recall", "\"recall\" is above 0 and at most 1");
}

int el_index_body_filter(const json_t *root, int (*check)(const struct el_filter *filter),
                         struct el_str *ret_text, struct el_fault *fault) {
    struct el_arena arena el_auto(el_arena_done);
    const struct el_filter *parsed;
    const json_t *filter = el_member(root, "filter");
    el_arena_init(&arena);
    if (!filter) return 0;
    if (!json_is_object(filter)) return el_member_wrong_type(fault, "filter", "an object");
    if (json_dump_callback(filter, el_index_body_append, ret_text, JSON_COMPACT) < 0)
        return el_index_body_memory(fault, el_fail(EL_ENOMEM, "no memory for a filter"));
    int status = el_filter_parse(ret_text->data, &arena, &parsed);
    if (status == 0 && check) status = check(parsed);
    return status < 0 ? el_fault_from_status(fault, status, "filter") : 0;
}

int el_index_body_missing(struct el_fault *fault, const char *key) {
    return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, key, "\"%s\" is missing", key);
}

int el_index_body_memory(struct el_fault *fault, int status) {
    return status < 0 ? el_fault_from_status(fault, status, NULL) : 0;
}

int el_index_body_append(const char *bytes, size_t length, void *str) {
    return el_str_append(str, bytes, length);
}
