// SPDX-License-Identifier: Apache-2.0
// A search in the database. PostgreSQL finds candidates by pgvector's products in fp32; what they score, and
// so their order, is reckoned here as every other search of ours does it.
#include "postgres/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/score.h"
#include "postgres/wire.h"

// Candidates beyond k: products in fp32 may order rows otherwise that lie close together.
enum { SPARE = 16 };

enum column { ID, PART, TEXT, METADATA, DOCUMENT, VECTOR };

// %1$s: pgvector's schema; %2$s: the distance; %3$s: what makes the order whole, which HNSW can't serve.
static const char *const nearest =
    "SELECT id, part, text, metadata::text, document, vector FROM"
    "  (SELECT document, part, text, vector FROM chunks"
    "    ORDER BY (vector OPERATOR(%s.%s) $1::%s.vector)%s LIMIT $2::bigint) AS found"
    "  JOIN documents ON number = document";

struct candidate {
    float score;
    int64_t document, part;
    int row; // of the result
};

struct searching {
    const struct el_vector_facts *facts;
    const struct el_index_query *query;
    bool exact; // all rows are looked at, whatever index there is
    PGresult *result;
    struct candidate *candidates; // [count], best first
    int count;
};

// ---- asking ----

// What HNSW keeps in view: more finds more of the true neighbours and takes longer. 0: this search is not
// for it.
static int view_of(const struct el_index_query *query) {
    enum { LEAST = 100, MOST = 1000 };
    if (query->recall >= 1 || query->k > MOST / 2) return 0;
    if (query->recall <= 0) return EL_MAX(LEAST, 2 * query->k);
    return (int)EL_MIN(MOST, EL_MAX(LEAST, query->k / (1 - query->recall)));
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

static int ask(struct el_pg *pg, void *context) {
    struct searching *searching = context;
    struct el_str sql el_auto(el_str_done) = {0}, bytes el_auto(el_str_done) = {0};
    const struct el_vector_facts *facts = searching->facts;
    const size_t vector_size = 4 + (size_t)facts->dim * sizeof(float);
    if (!pg->vectors) return el_fail(EL_EFORMAT, "%s: the extension `vector` is gone", pg->url);
    EL_TRY(el_str_printf(&sql, nearest, pg->vectors, facts->metric == EL_METRIC_L2 ? "<->" : "<#>",
                         pg->vectors, searching->exact ? " + 0, document, part" : ""));
    EL_TRY(el_wire_put_vector(&bytes, searching->query->vector, facts->dim));
    EL_TRY(el_wire_put_i64(&bytes, (int64_t)searching->query->k + SPARE));
    if (!searching->exact) EL_TRY(set_view(pg, view_of(searching->query)));
    const struct el_pg_value values[] = {{bytes.data, vector_size}, {bytes.data + vector_size, 8}};
    return el_pg_query(pg, sql.data, values, EL_COUNT(values), &searching->result);
}

// ---- answering ----

static int by_score(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    if (x->document != y->document) return x->document < y->document ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static int score_all(struct searching *searching) {
    const struct el_vector_facts *facts = searching->facts;
    const PGresult *result = searching->result;
    float *vector el_auto_free = NULL;
    searching->count = PQntuples(result);
    EL_TRY(el_realloc(&searching->candidates, (size_t)searching->count, sizeof *searching->candidates));
    EL_TRY(el_alloc((size_t)facts->dim, sizeof *vector, &vector));
    for (int i = 0; i < searching->count; i++) {
        EL_TRY(el_wire_vector(result, i, VECTOR, facts->dim, vector));
        searching->candidates[i] = (struct candidate){
            .score = el_exact_score(facts->metric, searching->query->vector, vector, facts->dim),
            .document = el_wire_i64(result, i, DOCUMENT),
            .part = el_wire_i64(result, i, PART),
            .row = i};
    }
    qsort(searching->candidates, (size_t)searching->count, sizeof *searching->candidates, by_score);
    return 0;
}

static int keep_text(struct el_arena *arena, const PGresult *result, int row, enum column column,
                     const char **ret_text) {
    char *copy;
    *ret_text = NULL;
    if (PQgetisnull(result, row, column)) return 0;
    const size_t size = (size_t)PQgetlength(result, row, column) + 1; // libpq puts a NUL behind each
    EL_TRY(el_arena_alloc(arena, size, 1, &copy));
    memcpy(copy, PQgetvalue(result, row, column), size);
    *ret_text = copy;
    return 0;
}

static int tell(const PGresult *result, const struct candidate *candidate, struct el_index_answer *answer) {
    struct el_index_hit *hit = &answer->hits[answer->count];
    *hit = (struct el_index_hit){.score = candidate->score,
                                 .part = candidate->part,
                                 .text_length = (size_t)PQgetlength(result, candidate->row, TEXT)};
    EL_TRY(keep_text(&answer->arena, result, candidate->row, ID, &hit->id));
    EL_TRY(keep_text(&answer->arena, result, candidate->row, TEXT, &hit->text));
    EL_TRY(keep_text(&answer->arena, result, candidate->row, METADATA, &hit->metadata));
    answer->count++;
    return 0;
}

static int tell_all(const struct searching *searching, struct el_index_answer *answer) {
    const int k = EL_MIN(searching->count, searching->query->k);
    EL_TRY(el_arena_alloc(&answer->arena, (size_t)k, sizeof *answer->hits, &answer->hits));
    for (int i = 0; i < k; i++)
        EL_TRY(tell(searching->result, &searching->candidates[i], answer));
    return 0;
}

// ---- the whole ----

static int find_candidates(struct el_pg *pg, struct searching *searching) {
    el_pg_clear(&searching->result);
    EL_TRY(el_pg_attempt(pg, ask, searching));
    return score_all(searching);
}

// HNSW gives fewer than k where much of what it meets has been removed since the last vacuum. And where all
// that came tie from the k-th on, there may be others that do, of which the first count.
static bool is_sure(const struct searching *searching) {
    const int k = searching->query->k, last = searching->count - 1;
    if (searching->exact || last < k - 1) return searching->exact;
    return last == k - 1 || searching->candidates[last].score < searching->candidates[k - 1].score;
}

static int search(struct el_pg *pg, struct searching *searching, struct el_index_answer *answer) {
    searching->exact = view_of(searching->query) == 0;
    EL_TRY(find_candidates(pg, searching));
    if (!is_sure(searching)) {
        searching->exact = true;
        EL_TRY(find_candidates(pg, searching));
    }
    return tell_all(searching, answer);
}

int el_pg_search(struct el_pg *pg, const struct el_vector_facts *facts, const struct el_index_query *query,
                 struct el_index_answer *answer) {
    struct searching searching = {.facts = facts, .query = query};
    if (query->mode != EL_QUERY_VECTOR)
        return el_fail(EL_EUNSUPPORTED, "%s: an index in PostgreSQL is searched by vector only", pg->url);
    if (query->filter) return el_fail(EL_EUNSUPPORTED, "%s: an index in PostgreSQL has no filters", pg->url);
    answer->stats.rows = -1;
    answer->stats.recall = -1;
    int status = search(pg, &searching, answer);
    PQclear(searching.result);
    el_free(searching.candidates);
    return status;
}
