// SPDX-License-Identifier: Apache-2.0
// The bodies of requests to /v1/indexes, from JSON bytes to what the service takes. Knows no server and no
// index, so that it can be fuzzed alone.
#ifndef EL_SERVE_INDEX_BODY_H
#define EL_SERVE_INDEX_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "serve/fault.h"
#include "service/search.h"

// Results of a question; and of all questions of a request.
enum { EL_QUERY_MOST = 10000, EL_QUERY_DEFAULT = 10, EL_QUERY_MOST_IN_ALL = 100000 };

// All of these: EL_EINVAL with *fault, also for want of memory. What they point to lies in the body, which is
// to be freed whatever they return.

struct el_create_body {
    json_t *root;
    const char *name;
    const char *model; // NULL: not given
    int dim;           // 0: not given
    enum el_metric metric;
    enum el_index_kind kind;
    double recall; // 0: not given
};
int el_create_body_parse(const char *bytes, size_t length, struct el_create_body *ret_body,
                         struct el_fault *fault);
void el_create_body_done(struct el_create_body *body);

struct el_add_body {
    json_t *root;
    size_t count;                         // at least 1
    struct el_search_document *documents; // [count]
    float *vectors;                       // [count][dim]; NULL: the texts are to be embedded
    struct el_str metadata;               // JSON texts, each with its NUL
};
// `dim` is that of the index. Each document has a text, or each has a vector.
int el_add_body_parse(const char *bytes, size_t length, size_t max_documents, int dim,
                      struct el_add_body *ret_body, struct el_fault *fault);
void el_add_body_done(struct el_add_body *body);

struct el_remove_body {
    json_t *root;
    size_t count;
    const char **ids;     // [count]; NULL: the filter says which
    struct el_str filter; // its text
};
int el_remove_body_parse(const char *bytes, size_t length, size_t max_ids, struct el_remove_body *ret_body,
                         struct el_fault *fault);
void el_remove_body_done(struct el_remove_body *body);

// One question, by "text", "vector" or, hybrid, maybe both; or many, by "texts", "vectors" or both.
struct el_query_body {
    json_t *root;
    bool is_many;
    float *vectors;              // [query.count][dim], or NULL
    struct el_text *texts;       // [query.count], or NULL
    struct el_str filter;        // its text, or empty
    struct el_index_query query; // of these
};
int el_query_body_parse(const char *bytes, size_t length, size_t max_questions, int dim,
                        struct el_query_body *ret_body, struct el_fault *fault);
void el_query_body_done(struct el_query_body *body);

#endif
