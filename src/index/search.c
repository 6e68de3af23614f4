// SPDX-License-Identifier: Apache-2.0
// A search: the nearest rows that count, by vectors, words or both, and what the documents say of them, in
// one transaction.
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/embedded.h"
#include "index/fuse.h"

struct searching {
    const struct el_index_query *query;
    struct el_index_answer *answer;
    int64_t rows; // that count
};

// What the documents say of a hit.
static int tell(struct el_embedded *index, const struct el_hit *hit, struct el_index_answer *answer) {
    struct el_passage passage;
    struct el_index_hit *told = &answer->hits[answer->count];
    int found = el_documents_passage(index->documents, hit->row, &passage);
    if (found < 0) return found;
    if (found == 0)
        return el_fail(EL_EFORMAT, "%s is damaged: row %" PRId64 " belongs to no document", index->folder,
                       hit->row);
    *told =
        (struct el_index_hit){.score = hit->score, .part = passage.part, .text_length = passage.text_length};
    EL_TRY(el_arena_strdup(&answer->arena, passage.id, &told->id));
    EL_TRY(el_arena_strndup(&answer->arena, passage.text, passage.text_length, &told->text));
    EL_TRY(el_arena_strdup(&answer->arena, passage.metadata, &told->metadata));
    answer->count++;
    return 0;
}

// ---- the three modes ----

// What a mode finds, best first.
struct found {
    struct el_hit *hits; // [k]
    int count;
};

static int search_vectors(struct el_embedded *index, const struct searching *searching, int k,
                          struct found *found) {
    const struct el_vector_set set = {.dim = index->base.facts.dim,
                                      .metric = index->base.facts.metric,
                                      .count = searching->rows,
                                      .rows = el_vector_file_rows(index->file),
                                      .allowed = index->allowed.rows};
    EL_TRY(el_lists_search(index, &set, searching->query, k, &searching->answer->stats, found->hits));
    while (found->count < k && found->hits[found->count].row >= 0)
        found->count++;
    return 0;
}

static int search_texts(struct el_embedded *index, const struct searching *searching, int k,
                        struct found *found) {
    int count =
        el_documents_match(index->documents, &searching->query->text, index->allowed.rows, k, found->hits);
    found->count = EL_MAX(count, 0);
    return EL_MIN(count, 0);
}

static int search_both(struct el_embedded *index, const struct searching *searching, int k,
                       struct found *found) {
    const int depth = (int)EL_MIN(EL_MAX(k, EL_FUSE_DEPTH), searching->rows);
    struct el_hit *hits el_auto_free = NULL;
    EL_TRY(el_alloc(2 * (size_t)depth, sizeof *hits, &hits));
    struct found vectors = {.hits = hits}, texts = {.hits = hits + depth};
    EL_TRY(search_vectors(index, searching, depth, &vectors));
    EL_TRY(search_texts(index, searching, depth, &texts));
    return el_fuse(&(struct el_ranking){vectors.hits, vectors.count},
                   &(struct el_ranking){texts.hits, texts.count}, k, found->hits, &found->count);
}

typedef int search_mode(struct el_embedded *index, const struct searching *searching, int k,
                        struct found *found);
static search_mode *const modes[] = {
    [EL_QUERY_VECTOR] = search_vectors, [EL_QUERY_TEXT] = search_texts, [EL_QUERY_HYBRID] = search_both};

static int search(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct searching *searching = context;
    struct el_index_answer *answer = searching->answer;
    const int k = (int)EL_MIN(searching->query->k, state->rows);
    struct el_hit *hits el_auto_free = NULL;
    EL_TRY(el_allowed_update(&index->allowed, index->documents, state, searching->query->filter));
    answer->stats.rows = index->allowed.count;
    if (k == 0) return 0;
    searching->rows = state->rows;
    EL_TRY(el_alloc((size_t)k, sizeof *hits, &hits));
    EL_TRY(el_arena_alloc(&answer->arena, (size_t)k, sizeof *answer->hits, &answer->hits));
    struct found found = {.hits = hits};
    EL_TRY(modes[searching->query->mode](index, searching, k, &found));
    for (int i = 0; i < found.count; i++)
        EL_TRY(tell(index, &hits[i], answer));
    return 0;
}

int el_embedded_search(struct el_index *index, const struct el_index_query *query,
                       struct el_index_answer *answer) {
    struct searching searching = {.query = query, .answer = answer};
    return el_embedded_transact(index, false, search, &searching);
}
