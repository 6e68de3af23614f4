// SPDX-License-Identifier: Apache-2.0
// A search in the database: by vectors, by words, or by both, fused by rank. The questions of a query are
// asked one after the other.
#include "postgres/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/fuse.h"
#include "index/store.h"
#include "postgres/lists.h"

// One question of a query.
struct searching {
    struct el_pg *pg;
    const struct el_vector_facts *facts;
    const struct el_index_query *query;
    struct el_arena *arena; // for what its list points to
    struct el_index_list *list;
};

// ---- answering ----

static int keep_text(struct el_arena *arena, const struct el_pg_hit *hit, enum el_pg_column column,
                     const char **ret_text) {
    const bool is_null = PQgetisnull(hit->result, hit->row, column);
    return el_arena_strndup(arena, is_null ? NULL : PQgetvalue(hit->result, hit->row, column),
                            (size_t)PQgetlength(hit->result, hit->row, column), ret_text);
}

static int tell(const struct searching *searching, const struct el_pg_hit *hit, float score) {
    struct el_index_hit *told = &searching->list->hits[searching->list->count];
    *told = (struct el_index_hit){.score = score,
                                  .part = hit->part,
                                  .text_length = (size_t)PQgetlength(hit->result, hit->row, EL_PG_TEXT)};
    EL_TRY(keep_text(searching->arena, hit, EL_PG_ID, &told->id));
    EL_TRY(keep_text(searching->arena, hit, EL_PG_TEXT, &told->text));
    EL_TRY(keep_text(searching->arena, hit, EL_PG_METADATA, &told->metadata));
    searching->list->count++;
    return 0;
}

static int make_list(const struct searching *searching, int room) {
    struct el_index_list *list = searching->list;
    return el_arena_alloc(searching->arena, (size_t)room, sizeof *list->hits, &list->hits);
}

static int tell_first(const struct searching *searching, const struct el_pg_list *list) {
    const int k = EL_MIN(list->count, searching->query->k);
    EL_TRY(make_list(searching, k));
    for (int i = 0; i < k; i++)
        EL_TRY(tell(searching, &list->hits[i], list->hits[i].score));
    return 0;
}

// ---- both ----

// Every chunk of both lists, once, by place: what stands for its row in a fusion.
static int join_lists(const struct el_pg_list *a, const struct el_pg_list *b, struct el_pg_hit **ret_all,
                      size_t *ret_count) {
    struct el_pg_hit *all;
    const size_t both = (size_t)a->count + (size_t)b->count;
    size_t count = 0;
    EL_TRY(el_alloc(both, sizeof *all, &all));
    memcpy(all, a->hits, (size_t)a->count * sizeof *all);
    memcpy(all + a->count, b->hits, (size_t)b->count * sizeof *all);
    qsort(all, both, sizeof *all, el_pg_by_place);
    for (size_t i = 0; i < both; i++)
        if (i == 0 || el_pg_by_place(&all[i], &all[count - 1]) != 0) all[count++] = all[i];
    *ret_all = all;
    *ret_count = count;
    return 0;
}

static void rank(const struct el_pg_list *list, int depth, const struct el_pg_hit *all, size_t count,
                 struct el_hit *hits, struct el_ranking *ret_ranking) {
    *ret_ranking = (struct el_ranking){hits, EL_MIN(depth, list->count)};
    for (int i = 0; i < ret_ranking->count; i++) {
        const struct el_pg_hit *found = bsearch(&list->hits[i], all, count, sizeof *all, el_pg_by_place);
        hits[i] = (struct el_hit){.row = found - all, .score = list->hits[i].score};
    }
}

static int tell_fused(const struct searching *searching, const struct el_pg_list *vectors,
                      const struct el_pg_list *words, int depth) {
    struct el_pg_hit *all el_auto_free = NULL;
    struct el_hit *hits el_auto_free = NULL;
    struct el_ranking rankings[2];
    size_t count;
    int fused;
    const size_t room = (size_t)depth;
    EL_TRY(join_lists(vectors, words, &all, &count));
    const int k = (int)EL_MIN((size_t)searching->query->k, count);
    EL_TRY(el_alloc(2 * room + (size_t)k, sizeof *hits, &hits));
    rank(vectors, depth, all, count, hits, &rankings[0]);
    rank(words, depth, all, count, hits + room, &rankings[1]);
    EL_TRY(el_fuse(&rankings[0], &rankings[1], k, hits + 2 * room, &fused));
    EL_TRY(make_list(searching, fused));
    for (int i = 0; i < fused; i++) {
        const struct el_hit *hit = &hits[2 * room + (size_t)i];
        EL_TRY(tell(searching, &all[hit->row], hit->score));
    }
    return 0;
}

// ---- modes ----

static int search_vectors(const struct searching *searching) {
    struct el_pg_list list el_auto(el_pg_list_done) = {0};
    EL_TRY(el_pg_find_nearest(searching->pg, searching->facts, searching->query, searching->query->k, &list));
    return tell_first(searching, &list);
}

static int search_words(const struct searching *searching) {
    struct el_pg_list list el_auto(el_pg_list_done) = {0};
    EL_TRY(el_pg_find_words(searching->pg, searching->query, searching->query->k, &list));
    return tell_first(searching, &list);
}

static int search_both(const struct searching *searching) {
    const int depth = EL_MAX(searching->query->k, EL_FUSE_DEPTH);
    struct el_pg_list vectors el_auto(el_pg_list_done) = {0}, words el_auto(el_pg_list_done) = {0};
    EL_TRY(el_pg_find_nearest(searching->pg, searching->facts, searching->query, depth, &vectors));
    EL_TRY(el_pg_find_words(searching->pg, searching->query, depth, &words));
    return tell_fused(searching, &vectors, &words, depth);
}

int el_pg_search(struct el_pg *pg, const struct el_vector_facts *facts, const struct el_index_query *query,
                 struct el_index_answer *answer) {
    static int (*const modes[])(const struct searching *searching) = {
        [EL_QUERY_VECTOR] = search_vectors, [EL_QUERY_TEXT] = search_words, [EL_QUERY_HYBRID] = search_both};
    answer->stats.rows = -1;
    answer->stats.recall = -1;
    for (size_t i = 0; i < query->count; i++) {
        const struct el_index_query one = el_index_query_part(facts, query, i, 1);
        const struct searching searching = {pg, facts, &one, &answer->arena, &answer->lists[i]};
        EL_TRY(modes[query->mode](&searching));
    }
    return 0;
}
