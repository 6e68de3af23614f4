// SPDX-License-Identifier: Apache-2.0
// The bodies of requests that make indexes, put documents into them and remove documents.
#include "serve/index_body.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/index_member.h"
#include "serve/member.h"

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

int el_create_body_parse(const char *bytes, size_t length, struct el_create_body *ret_body,
                         struct el_fault *fault) {
    struct el_create_body *body = ret_body;
    int64_t dim;
    *body = (struct el_create_body){0};
    EL_TRY(el_index_body_root(bytes, length, &body->root, fault));
    EL_TRY(el_member_string(body->root, "name", &body->name, fault));
    EL_TRY(el_member_string(body->root, "model", &body->model, fault));
    EL_TRY(el_member_whole(body->root, "dim", 1, EL_VECTOR_MAX_DIM, 0, &dim, fault));
    EL_TRY(read_metric(body->root, &body->metric, fault));
    EL_TRY(read_kind(body->root, &body->kind, fault));
    EL_TRY(el_index_body_recall(body->root, &body->recall, fault));
    body->dim = (int)dim;
    if (!body->name) return el_index_body_missing(fault, "name");
    if (el_search_name_check(body->name) < 0) return el_fault_from_status(fault, EL_EINVAL, "name");
    return 0;
}

void el_create_body_done(struct el_create_body *body) {
    json_decref(body->root);
    *body = (struct el_create_body){0};
}

// ---- documents ----

// Appends the document's metadata to the texts; *ret_at is where it begins.
static int keep_metadata(const json_t *object, struct el_str *metadata, size_t *ret_at,
                         struct el_fault *fault) {
    const json_t *value = json_object_get(object, "metadata");
    *ret_at = SIZE_MAX;
    if (!value) return 0;
    if (!json_is_object(value)) return el_member_wrong_type(fault, "metadata", "an object");
    *ret_at = metadata->length;
    if (json_dump_callback(value, el_index_body_append, metadata, JSON_COMPACT) < 0 ||
        el_str_putc(metadata, '\0') < 0)
        return el_index_body_memory(fault, el_fail(EL_ENOMEM, "no memory for metadata"));
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
    return vector
               ? el_index_body_vector(vector, "vector", what, dim, body->vectors + which * (size_t)dim, fault)
               : 0;
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
    EL_TRY(el_index_body_check_values(bytes, length, max_documents * ((size_t)dim + OTHER_VALUES),
                                      "documents", fault));
    EL_TRY(el_index_body_root(bytes, length, &body->root, fault));
    const json_t *documents = el_member(body->root, "documents");
    if (!documents) return el_index_body_missing(fault, "documents");
    if (!json_is_array(documents) || !json_array_size(documents))
        return el_member_wrong_type(fault, "documents", "an array of at least one object");
    body->count = json_array_size(documents);
    EL_TRY(el_index_body_check_count(body->count, max_documents, "documents", fault));
    EL_TRY(el_index_body_memory(fault, el_zalloc(body->count, sizeof *body->documents, &body->documents)));
    EL_TRY(el_index_body_memory(fault, el_alloc(body->count, sizeof *metadata, &metadata)));
    if (json_object_get(json_array_get(documents, 0), "vector"))
        EL_TRY(el_index_body_memory(
            fault, el_alloc(body->count, (size_t)dim * sizeof *body->vectors, &body->vectors)));
    return read_documents(body, dim, metadata, fault);
}

void el_add_body_done(struct el_add_body *body) {
    json_decref(body->root);
    el_free(body->documents);
    el_free(body->vectors);
    el_str_done(&body->metadata);
    *body = (struct el_add_body){0};
}

// ---- remove ----

static int read_ids(const json_t *list, size_t max_ids, struct el_remove_body *body, struct el_fault *fault) {
    if (!json_is_array(list) || !json_array_size(list))
        return el_member_wrong_type(fault, "ids", "an array of at least one string");
    body->count = json_array_size(list);
    EL_TRY(el_index_body_check_count(body->count, max_ids, "ids", fault));
    EL_TRY(el_index_body_memory(fault, el_alloc(body->count, sizeof *body->ids, &body->ids)));
    for (size_t i = 0; i < body->count; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_string(id)) return el_member_wrong_type(fault, "ids", "an array of strings");
        body->ids[i] = json_string_value(id);
        if (strlen(body->ids[i]) != json_string_length(id))
            return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "ids", "an id must not hold a NUL character");
    }
    return 0;
}

int el_remove_body_parse(const char *bytes, size_t length, size_t max_ids, struct el_remove_body *ret_body,
                         struct el_fault *fault) {
    enum { OTHER_VALUES = 1024 };
    struct el_remove_body *body = ret_body;
    *body = (struct el_remove_body){0};
    EL_TRY(el_index_body_check_values(bytes, length, max_ids + OTHER_VALUES, "ids", fault));
    EL_TRY(el_index_body_root(bytes, length, &body->root, fault));
    const json_t *ids = el_member(body->root, "ids");
    if (!ids == !el_member(body->root, "filter"))
        return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, "filter",
                            "either \"ids\" or \"filter\" is wanted");
    return ids ? read_ids(ids, max_ids, body, fault)
               : el_index_body_filter(body->root, el_filter_check_removal, &body->filter, fault);
}

void el_remove_body_done(struct el_remove_body *body) {
    json_decref(body->root);
    el_free(body->ids);
    el_str_done(&body->filter);
    *body = (struct el_remove_body){0};
}
