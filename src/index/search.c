// SPDX-License-Identifier: Apache-2.0
// A search: the nearest rows that count to each question, by vectors, words or both, and what the documents
// say of them, in one transaction.
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/embedded.h"
#include "index/fuse.h"

// What the documents say of a hit.
static int tell(struct el_embedded *index, const struct el_hit *hit, struct el_arena *arena,
                struct el_index_hit *ret_told) {
    struct el_passage passage;
    int found = el_documents_passage(index->documents, hit->row, &passage);
    if (found < 0) return found;
    if (found == 0)
        return el_fail(EL_EFORMAT, "%s is damaged: row %" PRId64 " belongs to no document", index->folder,
                       hit->row);
    *ret_told =
        (struct el_index_hit){.score = hit->score, .part = passage.part, .text_length = passage.text_length};
    EL_TRY(el_arena_strdup(arena, passage.id, &ret_told->id));
    EL_TRY(el_arena_strndup(arena, passage.text, passage.text_length, &ret_told->text));
    return el_arena_strdup(arena, passage.metadata, &ret_told->metadata);
}

// Hits of a list, which ends with the first of row -1, or after k.
static int length_of(const struct el_hit *hits, int k) {
    int count = 0;
    while (count < k && hits[count].row >= 0)
        count++;
    return count;
}

static void end_list(struct el_hit *hits, int count, int k) {
    if (count < k) hits[count].row = -1;
}

static int tell_list(struct el_embedded *index, const struct el_hit *hits, int k, struct el_arena *arena,
                     struct el_index_list *list) {
    const int count = length_of(hits, k);
    EL_TRY(el_arena_alloc(arena, (size_t)count, sizeof *list->hits, &list->hits));
    for (int i = 0; i < count; i++)
        EL_TRY(tell(index, &hits[i], arena, &list->hits[i]));
    list->count = (size_t)count;
    return 0;
}

// ---- the three modes: k hits for each question ----

typedef int search_mode(struct el_embedded *index, const struct el_index_query *query, int k,
                        struct el_query_stats *stats, struct el_hit *ret_hits /* [query->count][k] */);

static int search_vectors(struct el_embedded *index, const struct el_index_query *query, int k,
                          struct el_query_stats *stats, struct el_hit *ret_hits) {
    const struct el_vector_set set = {.dim = index->base.facts.dim,
                                      .metric = index->base.facts.metric,
                                      .count = index->allowed.all,
                                      .rows = el_vector_file_rows(index->file),
                                      .allowed = index->allowed.rows};
    return el_lists_search(index, &set, query, k, stats, ret_hits);
}

static int search_texts(struct el_embedded *index, const struct el_index_query *query, int k,
                        struct el_query_stats *stats, struct el_hit *ret_hits) {
    (void)stats;
    for (size_t i = 0; i < query->count; i++) {
        struct el_hit *hits = ret_hits + i * (size_t)k;
        const int count = el_documents_match(index->documents, &query->texts[i], &index->allowed, k, hits);
        if (count < 0) return count;
        end_list(hits, count, k);
    }
    return 0;
}

static int search_both(struct el_embedded *index, const struct el_index_query *query, int k,
                       struct el_query_stats *stats, struct el_hit *ret_hits) {
    const int depth = (int)EL_MIN(EL_MAX(k, EL_FUSE_DEPTH), index->allowed.all);
    const size_t count = query->count, room = (size_t)depth;
    struct el_hit *vectors el_auto_free = NULL, *texts el_auto_free = NULL;
    EL_TRY(el_alloc(count, room * sizeof *vectors, &vectors));
    EL_TRY(el_alloc(count, room * sizeof *texts, &texts));
    EL_TRY(search_vectors(index, query, depth, stats, vectors));
    EL_TRY(search_texts(index, query, depth, stats, texts));
    for (size_t i = 0; i < count; i++) {
        const struct el_hit *of_vectors = vectors + i * room, *of_texts = texts + i * room;
        struct el_hit *hits = ret_hits + i * (size_t)k;
        int fused;
        EL_TRY(el_fuse(&(struct el_ranking){of_vectors, length_of(of_vectors, depth)},
                       &(struct el_ranking){of_texts, length_of(of_texts, depth)}, k, hits, &fused));
        end_list(hits, fused, k);
    }
    return 0;
}

static search_mode *const modes[] = {
    [EL_QUERY_VECTOR] = search_vectors, [EL_QUERY_TEXT] = search_texts, [EL_QUERY_HYBRID] = search_both};

// ---- piece by piece ----

static int search_piece(struct el_embedded *index, const struct el_index_query *query, int k,
                        struct el_index_answer *answer, struct el_index_list *lists) {
    struct el_hit *hits el_auto_free = NULL;
    EL_TRY(el_alloc(query->count, (size_t)k * sizeof *hits, &hits));
    EL_TRY(modes[query->mode](index, query, k, &answer->stats, hits));
    for (size_t i = 0; i < query->count; i++)
        EL_TRY(tell_list(index, hits + i * (size_t)k, k, &answer->arena, &lists[i]));
    return 0;
}

struct searching {
    const struct el_index_query *query;
    struct el_index_answer *answer;
};

static int search(struct el_embedded *index, struct el_documents_state *state, void *context) {
    enum { MOST_QUESTIONS = 1024, MOST_HITS = 1 << 20 }; // what exact search takes at once; 16 MiB
    const struct searching *searching = context;
    const struct el_index_query *query = searching->query;
    struct el_index_answer *answer = searching->answer;
    const int k = (int)EL_MIN(query->k, state->rows);
    const size_t at_once = (size_t)EL_MIN(MOST_QUESTIONS, EL_MAX(MOST_HITS / EL_MAX(k, EL_FUSE_DEPTH), 1));
    EL_TRY(el_allowed_update(&index->allowed, index->documents, state, query->filter));
    answer->stats.rows = index->allowed.count;
    if (k == 0) return 0;
    for (size_t first = 0; first < query->count; first += at_once) {
        const struct el_index_query piece =
            el_index_query_part(&index->base.facts, query, first, EL_MIN(at_once, query->count - first));
        EL_TRY(search_piece(index, &piece, k, answer, &answer->lists[first]));
    }
    return 0;
}

int el_embedded_search(struct el_index *index, const struct el_index_query *query,
                       struct el_index_answer *answer) {
    return el_embedded_transact(index, false, search, &(struct searching){query, answer});
}
