// SPDX-License-Identifier: Apache-2.0
// The bodies of queries: one question or many.
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/index_body.h"
#include "serve/index_member.h"
#include "serve/member.h"

static int read_mode(const json_t *root, enum el_query_mode *ret_mode, struct el_fault *fault) {
    const char *given;
    EL_TRY(el_member_string(root, "mode", &given, fault));
    *ret_mode = EL_QUERY_VECTOR;
    if (!given || el_query_mode_parse(given, ret_mode) == 0) return 0;
    return el_fault_from_status(fault, EL_EINVAL, "mode");
}

// What stands for the questions: one, or arrays of them; each may be NULL.
struct questions {
    const char *text_name, *vector_name; // "text", "vector"; or "texts", "vectors"
    const json_t *texts, *vectors;
};

static struct questions find_questions(const json_t *root, bool many) {
    struct questions found = {many ? "texts" : "text", many ? "vectors" : "vector", NULL, NULL};
    found.texts = json_object_get(root, found.text_name);
    found.vectors = json_object_get(root, found.vector_name);
    return found;
}

// By vector: a text, which is embedded, or a vector; by text: a text; hybrid: a text, and it may have its
// vector.
static int check_questions(enum el_query_mode mode, const struct questions *questions,
                           struct el_fault *fault) {
    const bool texts = questions->texts, vectors = questions->vectors;
    if (mode == EL_QUERY_VECTOR && texts == vectors)
        return el_fault_set(fault, EL_FAULT_MISSING_PARAMETER, questions->text_name,
                            "either \"%s\" or \"%s\" is wanted", questions->text_name,
                            questions->vector_name);
    if (mode != EL_QUERY_VECTOR && !texts) return el_index_body_missing(fault, questions->text_name);
    if (mode == EL_QUERY_TEXT && vectors)
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, questions->vector_name,
                            "\"mode\" is \"text\": that takes no vector");
    return 0;
}

// How many there are of texts or vectors that may be NULL.
static int count_questions(const json_t *value, const char *name, size_t max_questions, size_t *ret_count,
                           struct el_fault *fault) {
    *ret_count = json_array_size(value);
    if (value && (!json_is_array(value) || !*ret_count))
        return el_member_wrong_type(fault, name, "an array of at least one question");
    return el_index_body_check_count(*ret_count, max_questions, name, fault);
}

static int count_all(struct el_query_body *body, const struct questions *questions, size_t max_questions,
                     struct el_fault *fault) {
    size_t texts, vectors;
    body->query.count = 1;
    if (!body->is_many) return 0;
    EL_TRY(count_questions(questions->texts, questions->text_name, max_questions, &texts, fault));
    EL_TRY(count_questions(questions->vectors, questions->vector_name, max_questions, &vectors, fault));
    if (texts && vectors && texts != vectors)
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, questions->vector_name,
                            "%zu texts have %zu vectors; each text has one, or none has", texts, vectors);
    body->query.count = EL_MAX(texts, vectors);
    if (body->query.count * (size_t)body->query.k <= EL_QUERY_MOST_IN_ALL) return 0;
    return el_fault_set(fault, EL_FAULT_INVALID_VALUE, "k",
                        "\"k\" is %d for %zu questions; a request is answered with at most %d results",
                        body->query.k, body->query.count, EL_QUERY_MOST_IN_ALL);
}

static const json_t *question_at(const struct el_query_body *body, const json_t *questions, size_t i) {
    return body->is_many ? json_array_get(questions, i) : questions;
}

static int read_texts(struct el_query_body *body, const struct questions *questions, struct el_fault *fault) {
    if (!questions->texts) return 0;
    EL_TRY(el_index_body_memory(fault, el_alloc(body->query.count, sizeof *body->texts, &body->texts)));
    for (size_t i = 0; i < body->query.count; i++) {
        const json_t *text = question_at(body, questions->texts, i);
        if (!json_is_string(text))
            return el_member_wrong_type(fault, questions->text_name,
                                        body->is_many ? "an array of strings" : "a string");
        body->texts[i] = (struct el_text){json_string_value(text), json_string_length(text)};
    }
    body->query.texts = body->texts;
    return 0;
}

static int read_vectors(struct el_query_body *body, const struct questions *questions, int dim,
                        struct el_fault *fault) {
    char what[64] = "the vector";
    if (!questions->vectors) return 0;
    EL_TRY(el_index_body_memory(
        fault, el_alloc(body->query.count, (size_t)dim * sizeof *body->vectors, &body->vectors)));
    for (size_t i = 0; i < body->query.count; i++) {
        if (body->is_many) snprintf(what, sizeof what, "vector %zu", i);
        EL_TRY(el_index_body_vector(question_at(body, questions->vectors, i), questions->vector_name, what,
                                    dim, body->vectors + i * (size_t)dim, fault));
    }
    body->query.vectors = body->vectors;
    return 0;
}

static int read_questions(struct el_query_body *body, size_t max_questions, int dim, struct el_fault *fault) {
    const struct questions one = find_questions(body->root, false), many = find_questions(body->root, true);
    body->is_many = many.texts || many.vectors;
    if (body->is_many && (one.texts || one.vectors))
        return el_fault_set(fault, EL_FAULT_INVALID_VALUE, many.texts ? "texts" : "vectors",
                            "a request has one question, or an array of them, not both");
    const struct questions *questions = body->is_many ? &many : &one;
    EL_TRY(check_questions(body->query.mode, questions, fault));
    EL_TRY(count_all(body, questions, max_questions, fault));
    EL_TRY(read_texts(body, questions, fault));
    return read_vectors(body, questions, dim, fault);
}

int el_query_body_parse(const char *bytes, size_t length, size_t max_questions, int dim,
                        struct el_query_body *ret_body, struct el_fault *fault) {
    enum { OTHER_VALUES = 1024 };
    struct el_query_body *body = ret_body;
    int64_t k;
    *body = (struct el_query_body){0};
    EL_TRY(el_index_body_check_values(bytes, length, max_questions * ((size_t)dim + 1) + OTHER_VALUES,
                                      "vectors", fault));
    EL_TRY(el_index_body_root(bytes, length, &body->root, fault));
    EL_TRY(el_member_whole(body->root, "k", 1, EL_QUERY_MOST, EL_QUERY_DEFAULT, &k, fault));
    body->query.k = (int)k;
    EL_TRY(read_mode(body->root, &body->query.mode, fault));
    EL_TRY(el_index_body_filter(body->root, NULL, &body->filter, fault));
    body->query.filter = body->filter.data;
    EL_TRY(el_index_body_recall(body->root, &body->query.recall, fault));
    return read_questions(body, max_questions, dim, fault);
}

void el_query_body_done(struct el_query_body *body) {
    json_decref(body->root);
    el_free(body->vectors);
    el_free(body->texts);
    el_str_done(&body->filter);
    *body = (struct el_query_body){0};
}
