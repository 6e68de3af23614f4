// SPDX-License-Identifier: Apache-2.0
// The body of POST /v1/embeddings. jansson does the reading; what could make it use much more memory than the
// body has bytes (millions of elements) is counted and refused first.
#include "serve/body.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "serve/member.h"

struct element_counts {
    size_t inputs; // strings and arrays in the array "input"
    size_t commas; // outside of strings: as many values, at least, as all arrays hold beyond their first
};

// Counts without checking: what is not JSON gets some number here and its error from the parser.
static struct element_counts count_elements(const char *p, const char *end) {
    static const char input[] = "\"input\"";
    struct element_counts counts = {0};
    int depth = 0;
    bool of_input = false; // the member under way
    for (const char *next; p < end; p = next) {
        next = *p == '"' ? el_json_skip_string(p, end) : p + 1;
        if (depth == 1 && *p == '"' && (size_t)(next - p) == sizeof input - 1)
            of_input = memcmp(p, input, sizeof input - 1) == 0;
        if (depth == 2 && of_input && strchr("\"[{", *p)) counts.inputs += *p != '\0';
        if (depth == 1 && *p == ',') of_input = false;
        if (*p == '[' || *p == '{') depth++;
        if (*p == ']' || *p == '}') depth--;
        if (*p == ',') counts.commas++;
    }
    return counts;
}

static int too_many_inputs(struct el_fault *fault, size_t count, const struct el_body_limits *limits) {
    return el_fault_set(
        fault, EL_FAULT_TOO_MANY_INPUTS, "input",
        "the request has %zu inputs; this server takes %zu in one request. Send them in several, or "
        "raise max_inputs",
        count, limits->max_inputs);
}

static int check_counts(const char *bytes, size_t length, const struct el_body_limits *limits,
                        struct el_fault *fault) {
    struct element_counts counts = count_elements(bytes, bytes + length);
    if (counts.inputs > limits->max_inputs) return too_many_inputs(fault, counts.inputs, limits);
    if (counts.commas > limits->max_ids + limits->max_inputs)
        return el_fault_set(fault, EL_FAULT_TOO_MANY_TOKENS, "input",
                            "the request has more than %zu token ids, the most that this server takes in one",
                            limits->max_ids);
    return 0;
}

static int read_options(struct el_embeddings_body *body, struct el_fault *fault) {
    const char *user, *format;
    EL_TRY(el_member_string(body->root, "model", &body->model, fault));
    EL_TRY(el_member_string(body->root, "user", &user, fault));
    EL_TRY(el_member_string(body->root, "prompt_name", &body->prompt_name, fault));
    EL_TRY(el_member_string(body->root, "encoding_format", &format, fault));
    body->base64 = el_streq(format, "base64");
    if (format && !body->base64 && !el_streq(format, "float"))
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "encoding_format",
                            "\"encoding_format\" must be \"float\" or \"base64\", not \"%s\"", format);
    const json_t *truncate = el_member(body->root, "truncate"),
                 *dimensions = el_member(body->root, "dimensions");
    if (truncate && !json_is_boolean(truncate))
        return el_member_wrong_type(fault, "truncate", "true or false");
    body->refuse_too_long = json_is_false(truncate);
    int64_t wanted = 0;
    if (dimensions && !el_json_is_whole(dimensions, &wanted))
        return el_member_wrong_type(fault, "dimensions", "a whole number");
    if (dimensions && (wanted < 1 || wanted > INT32_MAX))
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "dimensions", "\"dimensions\" must be at least 1");
    body->dimensions = (int)wanted;
    return 0;
}

static int empty_input(struct el_fault *fault, size_t index) {
    return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "input",
                        "input %zu is empty; an input must have at least one character or token id", index);
}

static int read_text(const json_t *value, size_t index, struct el_embed_input *ret_input,
                     struct el_fault *fault) {
    struct el_text text = {json_string_value(value), json_string_length(value)};
    if (text.length == 0) return empty_input(fault, index);
    *ret_input = (struct el_embed_input){.text = text};
    return 0;
}

// Reads an array of token ids into `ids`, which has room for them.
static int read_ids(const json_t *array, size_t index, int32_t *ids, struct el_embed_input *ret_input,
                    struct el_fault *fault) {
    size_t count = json_array_size(array);
    if (count == 0) return empty_input(fault, index);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        int64_t id = 0;
        if (!el_json_is_whole(value, &id))
            return el_fault_set(fault, EL_FAULT_INVALID_TYPE, "input",
                                "element %zu of input %zu is not a token id (a whole number)", i, index);
        if (id < 0 || id > INT32_MAX)
            return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "input",
                                "token id %" PRId64 " of input %zu is not in the vocabulary", id, index);
        ids[i] = (int32_t)id;
    }
    *ret_input = (struct el_embed_input){.ids = ids, .id_count = (int32_t)count};
    return 0;
}

static int allocate(size_t count, size_t size, void *ret_p, struct el_fault *fault) {
    int status = el_alloc(count, size, ret_p);
    return status < 0 ? el_fault_from_status(fault, status, NULL) : 0;
}

// Token ids in all arrays of `input`, itself included.
static size_t count_ids(const json_t *input) {
    if (json_is_real(json_array_get(input, 0))) return json_array_size(input);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(input); i++)
        count += json_array_size(json_array_get(input, i)); // 0 for what is no array
    return count;
}

// "input" is an array of texts or of arrays of ids.
static int read_many(struct el_embeddings_body *body, const json_t *input,
                     const struct el_body_limits *limits, struct el_fault *fault) {
    bool texts = json_is_string(json_array_get(input, 0));
    int32_t *ids = body->ids;
    if (json_array_size(input) > limits->max_inputs) // of "\u0069nput", which the scan does not know
        return too_many_inputs(fault, json_array_size(input), limits);
    EL_TRY(allocate(json_array_size(input), sizeof *body->many, &body->many, fault));
    for (size_t i = 0; i < json_array_size(input); i++) {
        const json_t *value = json_array_get(input, i);
        if (texts ? !json_is_string(value) : !json_is_array(value))
            return el_fault_set(fault, EL_FAULT_INVALID_TYPE, "input",
                                "input %zu must be %s like the first; \"input\" may not mix types", i,
                                texts ? "a string" : "an array of token ids");
        EL_TRY(texts ? read_text(value, i, &body->many[i], fault)
                     : read_ids(value, i, ids, &body->many[i], fault));
        if (!texts) ids += json_array_size(value);
    }
    body->inputs = body->many;
    body->count = json_array_size(input);
    return 0;
}

static int read_input(struct el_embeddings_body *body, const struct el_body_limits *limits,
                      struct el_fault *fault) {
    const json_t *input = el_member(body->root, "input");
    const json_t *first = json_array_get(input, 0);
    body->inputs = &body->one;
    body->count = 1;
    if (!input) return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, "input", "\"input\" is missing");
    if (json_is_string(input)) return read_text(input, 0, &body->one, fault);
    if (json_is_array(input) && !first) return empty_input(fault, 0);
    if (!json_is_string(first) && !json_is_real(first) && !json_is_array(first))
        return el_member_wrong_type(
            fault, "input", "a string, an array of strings, an array of token ids, or an array of those");
    if (!json_is_string(first)) EL_TRY(allocate(count_ids(input), sizeof *body->ids, &body->ids, fault));
    return json_is_real(first) ? read_ids(input, 0, body->ids, &body->one, fault)
                               : read_many(body, input, limits, fault);
}

// Numbers become doubles: those we use are whole and small, and those we ignore may be of any size.
static int read_root(const char *bytes, size_t length, const struct el_body_limits *limits,
                     struct el_embeddings_body *body, struct el_fault *fault) {
    EL_TRY(el_body_root(bytes, length, JSON_DECODE_INT_AS_REAL, &body->root, fault));
    EL_TRY(read_options(body, fault));
    return read_input(body, limits, fault);
}

int el_embeddings_body_parse(const char *bytes, size_t length, const struct el_body_limits *limits,
                             struct el_embeddings_body *ret_body, struct el_fault *fault) {
    *ret_body = (struct el_embeddings_body){0};
    int status = check_counts(bytes, length, limits, fault);
    if (status == 0) status = read_root(bytes, length, limits, ret_body, fault);
    if (status < 0) el_embeddings_body_done(ret_body);
    return status;
}

void el_embeddings_body_done(struct el_embeddings_body *body) {
    json_decref(body->root);
    el_free(body->many);
    el_free(body->ids);
    *body = (struct el_embeddings_body){0};
}
