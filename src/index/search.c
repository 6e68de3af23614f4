// SPDX-License-Identifier: Apache-2.0
// A search: the nearest rows that count, and what the documents say of them, in one transaction.
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/embedded.h"

struct forbidding {
    uint64_t *allowed; // made at the first dead row
    int64_t rows;
};

static int forbid(void *context, int64_t row) {
    struct forbidding *forbidding = context;
    const size_t words = (size_t)(forbidding->rows + 63) / 64;
    if (!forbidding->allowed) {
        EL_TRY(el_alloc(words, sizeof *forbidding->allowed, &forbidding->allowed));
        memset(forbidding->allowed, 0xff, words * sizeof *forbidding->allowed);
    }
    if (row >= 0 && row < forbidding->rows) forbidding->allowed[row / 64] &= ~(UINT64_C(1) << row % 64);
    return 0;
}

// Makes index->allowed what the dead rows of `state` leave.
static int update_allowed(struct el_embedded *index, const struct el_documents_state *state) {
    if (index->version == state->version) return 0;
    struct forbidding forbidding = {.rows = state->rows};
    int status = el_documents_each_dead(index->documents, forbid, &forbidding);
    el_free(index->allowed);
    index->allowed = forbidding.allowed;
    index->version = status < 0 ? -1 : state->version;
    return status;
}

struct searching {
    const struct el_index_query *query;
    struct el_index_answer *answer;
};

static int keep_text(struct el_arena *arena, const char *text, size_t length, const char **ret_text) {
    char *copy;
    *ret_text = NULL;
    if (!text) return 0;
    EL_TRY(el_arena_alloc(arena, length + 1, 1, &copy));
    memcpy(copy, text, length);
    copy[length] = '\0';
    *ret_text = copy;
    return 0;
}

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
    EL_TRY(keep_text(&answer->arena, passage.id, strlen(passage.id), &told->id));
    EL_TRY(keep_text(&answer->arena, passage.text, passage.text_length, &told->text));
    EL_TRY(keep_text(&answer->arena, passage.metadata, passage.metadata ? strlen(passage.metadata) : 0,
                     &told->metadata));
    answer->count++;
    return 0;
}

static int search(struct el_embedded *index, struct el_documents_state *state, void *context) {
    const struct searching *searching = context;
    struct el_index_answer *answer = searching->answer;
    const int k = (int)EL_MIN(searching->query->k, state->rows);
    struct el_hit *hits el_auto_free = NULL;
    if (k == 0) return 0;
    EL_TRY(update_allowed(index, state));
    EL_TRY(el_alloc((size_t)k, sizeof *hits, &hits));
    EL_TRY(el_arena_alloc(&answer->arena, (size_t)k, sizeof *answer->hits, &answer->hits));
    const struct el_vector_set set = {.dim = index->base.facts.dim,
                                      .metric = index->base.facts.metric,
                                      .count = state->rows,
                                      .rows = el_vector_file_rows(index->file),
                                      .allowed = index->allowed};
    EL_TRY(el_search_exact(&set, searching->query->vector, 1, k, searching->query->team, hits));
    for (int i = 0; i < k && hits[i].row >= 0; i++)
        EL_TRY(tell(index, &hits[i], answer));
    return 0;
}

int el_embedded_search(struct el_index *index, const struct el_index_query *query,
                       struct el_index_answer *answer) {
    if (query->mode != EL_QUERY_VECTOR)
        return el_fail(EL_EUNSUPPORTED, "indexes are searched by vector only");
    if (query->filter) return el_fail(EL_EUNSUPPORTED, "searches have no filters");
    struct searching searching = {.query = query, .answer = answer};
    return el_embedded_transact(index, false, search, &searching);
}
