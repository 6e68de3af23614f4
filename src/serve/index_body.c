// SPDX-License-Identifier: Apache-2.0
// The bodies of requests to /v1/indexes.
#include "serve/index_body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/filter.h"
#include "serve/member.h"

static int missing(struct el_fault *fault, const char *key) {
    return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, key, "\"%s\" is missing", key);
}

static int no_memory(struct el_fault *fault, int status) {
    return status < 0 ? el_fault_from_status(fault, status, NULL) : 0;
}

// Whole numbers stay such, for metadata are given back; where one is too large for that, all become doubles.
static int read_root(const char *bytes, size_t length, json_t **ret_root, struct el_fault *fault) {
    json_error_t error;
    *ret_root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json_is_object(*ret_root)) return 0;
    json_decref(*ret_root);
    *ret_root = NULL;
    return el_body_root(bytes, length, JSON_DECODE_INT_AS_REAL, ret_root, fault); // or say what is wrong
}

// ---- create ----

static int read_metric(const json_t *root, enum el_metric *ret_metric, struct el_fault *fault) {
    const char *given;
    EL_TRY(el_member_string(root, "metric", &given, fault));
    *ret_metric = EL_METRIC_COSINE;
    if (!given || el_metric_parse(given, ret_metric) == 0) return 0;
    return el_fault_from_status(fault, EL_EINVAL, "metric");
}

static int read_kind(const json_t *root, enum el_index_kind *ret_kind, struct el_fault *fault) {
    const char *given;
    EL_TRY(el_member_string(root, "kind", &given, fault));
    *ret_kind = EL_INDEX_FLAT;
    if (!given || el_index_kind_parse(given, ret_kind) == 0) return 0;
    return el_fault_from_status(fault, EL_EINVAL, "kind");
}

// Above 0, up to 1; 0 where none is given.
static int read_recall(const json_t *root, double *ret_recall, struct el_fault *fault) {
    const json_t *given = el_member(root, "recall");
    *ret_recall = 0;
    if (!given) return 0;
    if (!json_is_number(given)) return el_member_wrong_type(fault, "recall", "a number");
    *ret_recall = json_number_value(given);
    if (*ret_recall > 0 && *ret_recall <= 1) return 0;
    return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "recall", "\"recall\" is above 0 and at most 1");
}

int el_create_body_parse(const char *bytes, size_t length, struct el_create_body *ret_body,
                         struct el_fault *fault) {
    struct el_create_body *body = ret_body;
    int64_t dim;
    *body = (struct el_create_body){0};
    EL_TRY(read_root(bytes, length, &body->root, fault));
    EL_TRY(el_member_string(body->root, "name", &body->name, fault));
    EL_TRY(el_member_string(body->root, "model", &body->model, fault));
    EL_TRY(el_member_whole(body->root, "dim", 1, EL_VECTOR_MAX_DIM, 0, &dim, fault));
    EL_TRY(read_metric(body->root, &body->metric, fault));
    EL_TRY(read_kind(body->root, &body->kind, fault));
    EL_TRY(read_recall(body->root, &body->recall, fault));
    body->dim = (int)dim;
    if (!body->name) return missing(fault, "name");
    if (el_search_name_check(body->name) < 0) return el_fault_from_status(fault, EL_EINVAL, "name");
    return 0;
}

void el_create_body_done(struct el_create_body *body) {
    json_decref(body->root);
    *body = (struct el_create_body){0};
}

// ---- vectors ----

static const double largest_element = 3e38; // of an element; openapi.json has it too

static int read_vector(const json_t *value, const char *what, int dim, float *ret_vector,
                       struct el_fault *fault) {
    if (!json_is_array(value))
        return el_fault_set(fault, EL_FAULT_INVALID_TYPE, "vector", "%s must be an array of numbers", what);
    if (json_array_size(value) != (size_t)dim)
        return el_fault_set(fault, EL_FAULT_INDEX_MISMATCH, "vector",
                            "%s has %zu dimensions, this index has %d", what, json_array_size(value), dim);
    for (int i = 0; i < dim; i++) {
        const json_t *number = json_array_get(value, (size_t)i);
        if (!json_is_number(number))
            return el_fault_set(fault, EL_FAULT_INVALID_TYPE, "vector", "element %d of %s is no number", i,
                                what);
        if (fabs(json_number_value(number)) > largest_element)
            return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "vector",
                                "element %d of %s is too large for a float", i, what);
        ret_vector[i] = (float)json_number_value(number);
    }
    return 0;
}

// ---- documents ----

// So much JSON is never parsed: an element of an array takes some twenty times its bytes.
static int check_elements(const char *bytes, size_t length, size_t most, struct el_fault *fault) {
    size_t commas = 0;
    const char *end = bytes + length;
    for (const char *p = bytes; p < end; p = *p == '"' ? el_json_skip_string(p, end) : p + 1)
        commas += *p == ',';
    if (commas <= most) return 0;
    return el_fault_set(fault, EL_FAULT_TOO_MANY_INPUTS, "documents",
                        "the request has more than %zu values; send the documents in several requests", most);
}

static int append(const char *bytes, size_t length, void *str) {
    return el_str_append(str, bytes, length);
}

// Appends the document's metadata to the texts; *ret_at is where it begins.
static int keep_metadata(const json_t *object, struct el_str *metadata, size_t *ret_at,
                         struct el_fault *fault) {
    const json_t *value = json_object_get(object, "metadata");
    *ret_at = SIZE_MAX;
    if (!value) return 0;
    if (!json_is_object(value)) return el_member_wrong_type(fault, "metadata", "an object");
    *ret_at = metadata->length;
    if (json_dump_callback(value, append, metadata, JSON_COMPACT) < 0 || el_str_putc(metadata, '\0') < 0)
        return no_memory(fault, el_fail(EL_ENOMEM, "no memory for metadata"));
    return 0;
}

static int read_document(struct el_add_body *body, size_t which, int dim, size_t *ret_metadata,
                         struct el_fault *fault) {
    const json_t *object = json_array_get(json_object_get(body->root, "documents"), which);
    struct el_search_document *document = &body->documents[which];
    char what[64];
    if (!json_is_object(object)) return el_member_wrong_type(fault, "documents", "an array of objects");
    EL_TRY(el_member_string(object, "id", &document->id, fault));
    if (!document->id || !*document->id || strlen(document->id) > EL_INDEX_ID_SIZE)
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "id",
                            "document %zu needs an \"id\" of 1 to %d bytes", which, EL_INDEX_ID_SIZE);
    const json_t *text = json_object_get(object, "text"), *vector = json_object_get(object, "vector");
    if (text && !json_is_string(text)) return el_member_wrong_type(fault, "text", "a string");
    document->text = (struct el_text){json_string_value(text), json_string_length(text)};
    EL_TRY(keep_metadata(object, &body->metadata, ret_metadata, fault));
    if (!body->vectors != !vector)
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "vector",
                            "document %zu: all documents of a request have a vector, or none has", which);
    if (!vector && !text)
        return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, "text",
                            "document %zu has neither \"text\" nor \"vector\"", which);
    snprintf(what, sizeof what, "the vector of document %zu", which);
    return vector ? read_vector(vector, what, dim, body->vectors + which * (size_t)dim, fault) : 0;
}

static int read_documents(struct el_add_body *body, int dim, size_t *metadata, struct el_fault *fault) {
    for (size_t i = 0; i < body->count; i++)
        EL_TRY(read_document(body, i, dim, &metadata[i], fault));
    for (size_t i = 0; i < body->count; i++) // the texts do not move any more
        if (metadata[i] != SIZE_MAX) body->documents[i].metadata = body->metadata.data + metadata[i];
    return 0;
}

int el_add_body_parse(const char *bytes, size_t length, size_t max_documents, int dim,
                      struct el_add_body *ret_body, struct el_fault *fault) {
    enum { OTHER_VALUES = 256 }; // of a document, on average
    struct el_add_body *body = ret_body;
    size_t *metadata el_auto_free = NULL;
    *body = (struct el_add_body){0};
    EL_TRY(check_elements(bytes, length, max_documents * ((size_t)dim + OTHER_VALUES), fault));
    EL_TRY(read_root(bytes, length, &body->root, fault));
    const json_t *documents = el_member(body->root, "documents");
    if (!documents) return missing(fault, "documents");
    if (!json_is_array(documents) || !json_array_size(documents))
        return el_member_wrong_type(fault, "documents", "an array of at least one object");
    body->count = json_array_size(documents);
    if (body->count > max_documents)
        return el_fault_set(
            fault, EL_FAULT_TOO_MANY_INPUTS, "documents",
            "the request has %zu documents; this server takes %zu in one request. Send them in "
            "several, or raise max_inputs",
            body->count, max_documents);
    EL_TRY(no_memory(fault, el_zalloc(body->count, sizeof *body->documents, &body->documents)));
    EL_TRY(no_memory(fault, el_alloc(body->count, sizeof *metadata, &metadata)));
    if (json_object_get(json_array_get(documents, 0), "vector"))
        EL_TRY(no_memory(fault, el_alloc(body->count, (size_t)dim * sizeof *body->vectors, &body->vectors)));
    return read_documents(body, dim, metadata, fault);
}

void el_add_body_done(struct el_add_body *body) {
    json_decref(body->root);
    el_free(body->documents);
    el_free(body->vectors);
    el_str_done(&body->metadata);
    *body = (struct el_add_body){0};
}

// ---- query ----

static int read_mode(const json_t *root, enum el_query_mode *ret_mode, struct el_fault *fault) {
    const char *given;
    EL_TRY(el_member_string(root, "mode", &given, fault));
    *ret_mode = EL_QUERY_VECTOR;
    if (!given || el_query_mode_parse(given, ret_mode) == 0) return 0;
    return el_fault_from_status(fault, EL_EINVAL, "mode");
}

// By vector: a text, which is embedded, or a vector; by text: a text; hybrid: a text, and it may have its
// vector.
static int check_question(enum el_query_mode mode, const json_t *text, const json_t *vector,
                          struct el_fault *fault) {
    if (mode == EL_QUERY_VECTOR && !text == !vector)
        return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, "text",
                            "either \"text\" or \"vector\" is wanted");
    if (mode != EL_QUERY_VECTOR && !text) return missing(fault, "text");
    if (mode == EL_QUERY_TEXT && vector)
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "vector",
                            "\"mode\" is \"text\": that takes no vector");
    return text && !json_is_string(text) ? el_member_wrong_type(fault, "text", "a string") : 0;
}

static int read_filter(struct el_query_body *body, struct el_fault *fault) {
    struct el_arena arena el_auto(el_arena_done);
    const struct el_filter *unused;
    const json_t *filter = el_member(body->root, "filter");
    el_arena_init(&arena);
    if (!filter) return 0;
    if (!json_is_object(filter)) return el_member_wrong_type(fault, "filter", "an object");
    if (json_dump_callback(filter, append, &body->filter, JSON_COMPACT) < 0)
        return no_memory(fault, el_fail(EL_ENOMEM, "no memory for a filter"));
    body->query.filter = body->filter.data;
    int status = el_filter_parse(body->filter.data, &arena, &unused);
    return status < 0 ? el_fault_from_status(fault, status, "filter") : 0;
}

int el_query_body_parse(const char *bytes, size_t length, int dim, struct el_query_body *ret_body,
                        struct el_fault *fault) {
    enum { OTHER_VALUES = 1024 };
    struct el_query_body *body = ret_body;
    int64_t k;
    *body = (struct el_query_body){0};
    EL_TRY(check_elements(bytes, length, (size_t)dim + OTHER_VALUES, fault));
    EL_TRY(read_root(bytes, length, &body->root, fault));
    EL_TRY(el_member_whole(body->root, "k", 1, EL_QUERY_MOST, EL_QUERY_DEFAULT, &k, fault));
    body->query.k = (int)k;
    const json_t *text = json_object_get(body->root, "text"), *vector = json_object_get(body->root, "vector");
    EL_TRY(read_mode(body->root, &body->query.mode, fault));
    EL_TRY(check_question(body->query.mode, text, vector, fault));
    EL_TRY(read_filter(body, fault));
    EL_TRY(read_recall(body->root, &body->query.recall, fault));
    body->query.text = (struct el_text){json_string_value(text), json_string_length(text)};
    if (!vector) return 0;
    EL_TRY(no_memory(fault, el_alloc((size_t)dim, sizeof *body->vector, &body->vector)));
    body->query.vector = body->vector;
    return read_vector(vector, "the vector", dim, body->vector, fault);
}

void el_query_body_done(struct el_query_body *body) {
    json_decref(body->root);
    el_free(body->vector);
    el_str_done(&body->filter);
    *body = (struct el_query_body){0};
}
