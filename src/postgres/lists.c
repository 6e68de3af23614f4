// SPDX-License-Identifier: Apache-2.0
// Ranked lists. PostgreSQL finds candidates for the nearest by pgvector's products in fp32; what they score,
// and so their order, is reckoned here as every other search of ours does it.
#include "postgres/lists.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "postgres/filter.h"
#include "postgres/query.h"
#include "postgres/wire.h"
#include "vectors/score.h"

// Candidates beyond k: products in fp32 may order rows otherwise that lie close together.
enum { SPARE = 16 };

// Behind those of enum el_pg_column; the last is the vector, or the score.
enum { DOCUMENT = EL_PG_METADATA + 1, FOUND };

struct asking {
    const struct el_vector_facts *facts;
    const struct el_index_query *query; // of one question
    int k;
    int view; // what HNSW is to keep in view; 0: all rows are looked at, whatever index there is
    struct el_pg_list *list;
};

void el_pg_list_done(struct el_pg_list *list) {
    PQclear(list->result);
    el_free(list->hits);
    *list = (struct el_pg_list){0};
}

// ---- statements ----

static int put_filter(const char *json, struct el_pg_statement *statement) {
    const struct el_filter *filter;
    if (!json) return 0;
    EL_TRY(el_filter_parse(json, &statement->arena, &filter));
    EL_TRY(el_str_puts(&statement->text, " AND document IN (SELECT number FROM documents WHERE "));
    EL_TRY(el_pg_put_filter(filter, statement));
    return el_str_putc(&statement->text, ')');
}

static const char before[] = "SELECT id, part, text, metadata::text, document, ",
                  behind[] = ") AS best JOIN documents ON number = document";

static int put_nearest(const struct asking *asking, const struct el_pg *pg, const struct el_str *vector,
                       struct el_pg_statement *statement) {
    struct el_str *text = &statement->text, type el_auto(el_str_done) = {0};
    const char *distance = asking->facts->metric == EL_METRIC_L2 ? "<->" : "<#>";
    EL_TRY(el_str_printf(&type, "%s.vector", pg->vectors));
    EL_TRY(el_str_printf(text, "%svector FROM (SELECT document, part, text, vector FROM chunks WHERE true",
                         before));
    EL_TRY(put_filter(asking->query->filter, statement));
    EL_TRY(el_str_printf(text, " ORDER BY (vector OPERATOR(%s.%s) ", pg->vectors, distance));
    EL_TRY(el_pg_put_parameter(statement, vector->data, vector->length, type.data));
    EL_TRY(el_str_printf(text, ")%s LIMIT ", asking->view ? "" : " + 0, document, part")); // not by HNSW
    EL_TRY(el_pg_put_i64(statement, (int64_t)asking->k + SPARE));
    return el_str_puts(text, behind);
}

// Any word will do: plainto_tsquery, which makes words of whatever a user writes, joins them by AND.
static int put_words(const struct asking *asking, struct el_pg_statement *statement) {
    enum { BY_LENGTH = 1 }; // divides by 1 + log of the length
    const struct el_text *words = asking->query->texts;
    struct el_str *text = &statement->text;
    EL_TRY(el_str_printf(text,
                         "%sscore FROM (SELECT document, part, text, ts_rank_cd(words, query, %d) AS score"
                         "  FROM chunks, (SELECT replace(plainto_tsquery('simple', ",
                         before, BY_LENGTH));
    EL_TRY(el_pg_put_text(statement, words->data, words->length));
    EL_TRY(el_str_puts(text, ")::text, ' & ', ' | ')::tsquery) AS asked(query) WHERE words @@ query"));
    EL_TRY(put_filter(asking->query->filter, statement));
    EL_TRY(el_str_puts(text, " ORDER BY score DESC, document, part LIMIT "));
    EL_TRY(el_pg_put_i64(statement, asking->k));
    return el_str_puts(text, behind);
}

// ---- asking ----

// More in view finds more of the true neighbours and takes longer. HNSW knows nothing of filters, and would
// find too few.
static int view_of(const struct el_index_query *query, int k) {
    enum { LEAST = 100, MOST = 1000 };
    if (query->filter || query->recall >= 1 || k > MOST / 2) return 0;
    return (int)EL_MIN(MOST, EL_MAX(LEAST, query->recall > 0 ? k / (1 - query->recall) : 2 * k));
}

static int set_view(struct el_pg *pg, int view) {
    char text[16];
    if (pg->view == view) return 0;
    snprintf(text, sizeof text, "%d", view);
    const struct el_pg_value value = {text, strlen(text)};
    EL_TRY(el_pg_run(pg, "SELECT set_config('hnsw.ef_search', $1::text, false)", &value, 1));
    pg->view = view;
    return 0;
}

static int run(struct el_pg *pg, const struct el_pg_statement *statement, struct el_pg_list *list) {
    PQclear(list->result);
    list->result = NULL;
    EL_TRY(el_pg_query(pg, statement->text.data, statement->values, statement->count, &list->result));
    list->count = PQntuples(list->result);
    EL_TRY(el_realloc(&list->hits, (size_t)list->count, sizeof *list->hits));
    for (int i = 0; i < list->count; i++)
        list->hits[i] = (struct el_pg_hit){.document = el_wire_i64(list->result, i, DOCUMENT),
                                           .part = el_wire_i64(list->result, i, EL_PG_PART),
                                           .result = list->result,
                                           .row = i};
    return 0;
}

static int ask_nearest(struct el_pg *pg, void *context) {
    const struct asking *asking = context;
    struct el_pg_statement statement el_auto(el_pg_statement_done);
    struct el_str vector el_auto(el_str_done) = {0};
    el_pg_statement_init(&statement);
    if (!pg->vectors) return el_fail(EL_EFORMAT, "%s: the extension `vector` is gone", pg->url);
    EL_TRY(el_wire_put_vector(&vector, asking->query->vectors, asking->facts->dim));
    EL_TRY(put_nearest(asking, pg, &vector, &statement));
    if (asking->view) EL_TRY(set_view(pg, asking->view));
    return run(pg, &statement, asking->list);
}

static int ask_words(struct el_pg *pg, void *context) {
    const struct asking *asking = context;
    struct el_pg_statement statement el_auto(el_pg_statement_done);
    el_pg_statement_init(&statement);
    EL_TRY(put_words(asking, &statement));
    return run(pg, &statement, asking->list);
}

// ---- lists ----

int el_pg_by_place(const void *a, const void *b) {
    const struct el_pg_hit *x = a, *y = b;
    if (x->document != y->document) return x->document < y->document ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static int by_score(const void *a, const void *b) {
    const struct el_pg_hit *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return el_pg_by_place(a, b);
}

// The statements' order is lost again by their joins.
static void sort(struct el_pg_list *list) {
    qsort(list->hits, (size_t)list->count, sizeof *list->hits, by_score);
}

static int score_vectors(const struct asking *asking) {
    const struct el_vector_facts *facts = asking->facts;
    struct el_pg_list *list = asking->list;
    float *vector el_auto_free = NULL;
    EL_TRY(el_alloc((size_t)facts->dim, sizeof *vector, &vector));
    for (int i = 0; i < list->count; i++) {
        EL_TRY(el_wire_vector(list->result, i, FOUND, facts->dim, vector));
        list->hits[i].score = el_exact_score(facts->metric, asking->query->vectors, vector, facts->dim);
    }
    sort(list);
    return 0;
}

// HNSW gives fewer than k where much of what it meets has been removed since the last vacuum. And where all
// that came tie from the k-th on, there may be others that do, of which the first count.
static bool is_sure(const struct asking *asking) {
    const struct el_pg_hit *hits = asking->list->hits;
    const int k = asking->k, last = asking->list->count - 1;
    if (!asking->view) return true;
    if (last < k - 1) return false;
    return last == k - 1 || hits[last].score < hits[k - 1].score;
}

int el_pg_find_nearest(struct el_pg *pg, const struct el_vector_facts *facts,
                       const struct el_index_query *query, int k, struct el_pg_list *list) {
    struct asking asking = {.facts = facts, .query = query, .k = k, .view = view_of(query, k), .list = list};
    EL_TRY(el_pg_attempt(pg, ask_nearest, &asking));
    EL_TRY(score_vectors(&asking));
    if (is_sure(&asking)) return 0;
    asking.view = 0;
    EL_TRY(el_pg_attempt(pg, ask_nearest, &asking));
    return score_vectors(&asking);
}

int el_pg_find_words(struct el_pg *pg, const struct el_index_query *query, int k, struct el_pg_list *list) {
    struct asking asking = {.query = query, .k = k, .list = list};
    EL_TRY(el_pg_attempt(pg, ask_words, &asking));
    for (int i = 0; i < list->count; i++)
        list->hits[i].score = el_wire_f32(list->result, i, FOUND);
    sort(list);
    return 0;
}
