// SPDX-License-Identifier: Apache-2.0
// Fuzzes the bodies of requests to /v1/indexes: whatever the bytes, they are taken whole, with texts and
// vectors that can be read to their ends, or refused with a kind and a sentence.
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/index_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 3, DOCUMENTS = 4, QUESTIONS = 3 };

static void check_fault(const struct el_fault *fault) {
    if (fault->kind <= EL_FAULT_NONE || fault->kind >= EL_FAULT_COUNT || !fault->message[0]) abort();
}

static void check_vectors(const float *vectors, size_t count) {
    for (size_t i = 0; vectors && i < count * DIM; i++)
        if (!isfinite(vectors[i])) abort();
}

static void check_add(const struct el_add_body *body) {
    if (body->count < 1 || body->count > DOCUMENTS) abort();
    for (size_t i = 0; i < body->count; i++) {
        const struct el_search_document *document = &body->documents[i];
        const size_t id = strlen(document->id);
        if (!id || id > EL_INDEX_ID_SIZE || (!document->text.data && !body->vectors)) abort();
        if (document->text.data && document->text.data[document->text.length]) abort();
        if (document->metadata && *document->metadata != '{') abort();
    }
    check_vectors(body->vectors, body->count);
}

static void fuzz_add(const char *bytes, size_t size) {
    struct el_add_body body;
    struct el_fault fault = {0};
    if (el_add_body_parse(bytes, size, DOCUMENTS, DIM, &body, &fault) < 0)
        check_fault(&fault);
    else
        check_add(&body);
    el_add_body_done(&body);
}

static void check_query(const struct el_query_body *body) {
    const struct el_index_query *query = &body->query;
    const bool text = query->texts, vector = query->vectors;
    if (query->count < 1 || query->count > QUESTIONS || (!body->is_many && query->count != 1)) abort();
    if (query->k < 1 || query->k > EL_QUERY_MOST) abort();
    if (query->mode == EL_QUERY_VECTOR ? text == vector : !text) abort();
    if (query->mode == EL_QUERY_TEXT && vector) abort();
    if (query->filter && *query->filter != '{') abort();
    for (size_t i = 0; text && i < query->count; i++)
        if (query->texts[i].data[query->texts[i].length]) abort();
    check_vectors(query->vectors, query->count);
}

static void fuzz_query(const char *bytes, size_t size) {
    struct el_query_body body;
    struct el_fault fault = {0};
    if (el_query_body_parse(bytes, size, QUESTIONS, DIM, &body, &fault) < 0)
        check_fault(&fault);
    else
        check_query(&body);
    el_query_body_done(&body);
}

static void fuzz_remove(const char *bytes, size_t size) {
    struct el_remove_body body;
    struct el_fault fault = {0};
    if (el_remove_body_parse(bytes, size, DOCUMENTS, &body, &fault) < 0)
        check_fault(&fault);
    else if (body.ids ? body.count < 1 || body.count > DOCUMENTS : *body.filter.data != '{')
        abort();
    el_remove_body_done(&body);
}

static void fuzz_create(const char *bytes, size_t size) {
    struct el_create_body body;
    struct el_fault fault = {0};
    if (el_create_body_parse(bytes, size, &body, &fault) < 0)
        check_fault(&fault);
    else if (strpbrk(body.name, "/.") || body.dim < 0 || body.dim > EL_VECTOR_MAX_DIM)
        abort();
    el_create_body_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_add((const char *)data, size);
    fuzz_query((const char *)data, size);
    fuzz_create((const char *)data, size);
    fuzz_remove((const char *)data, size);
    return 0;
}
