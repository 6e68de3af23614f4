// SPDX-License-Identifier: Apache-2.0
// POST /v1/indexes/{name}/query. While a search runs others come, and many are searched together in much less
// time than one after the other: so the thread that searches takes all queries that wait, and those that ask
// the same index alike become one query.
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "serve/handlers.h"
#include "serve/index_body.h"
#include "serve/index_text.h"
#include "serve/indexes.h"
#include "serve/server.h"

enum {
    MOST_WAITING = 256,   // requests that are taken at a time
    MOST_TOGETHER = 1024, // questions of several requests; what exact search takes at once
};

// A request that was taken.
struct asked {
    struct el_exchange *exchange; // NULL: it was answered
    char *name;                   // of its index
    int dim;                      // of that
    struct el_embedder *embedder; // of its texts, or NULL
    struct el_query_body body;
};

struct round {
    struct el_server *server;
    size_t count;
    struct asked asked[MOST_WAITING];
};

struct opened {
    struct el_index *index;
    struct el_searcher *searcher;
    struct el_team *team;
};

// Requests of one index that ask alike.
struct group {
    struct asked *members[MOST_WAITING];
    size_t count, questions; // of all members
};

static void answer(struct asked *asked, int status) {
    el_indexes_finish(asked->exchange, 200, status);
    el_query_body_done(&asked->body);
    asked->exchange = NULL;
}

// ---- groups ----

static bool ask_alike(const struct asked *a, const struct asked *b) {
    const struct el_index_query *x = &a->body.query, *y = &b->body.query;
    return x->mode == y->mode && x->k == y->k && x->recall == y->recall && el_streq(x->filter, y->filter) &&
           !x->vectors == !y->vectors && a->embedder == b->embedder;
}

static bool has_room(const struct group *group, const struct asked *asked) {
    const size_t questions = group->questions + asked->body.query.count;
    return questions <= MOST_TOGETHER && questions * (size_t)asked->body.query.k <= EL_QUERY_MOST_IN_ALL;
}

static bool is_of(const struct asked *asked, const char *name) {
    return asked->exchange && el_streq(asked->name, name);
}

// The request at `first` and those behind it that fit.
static void gather(struct round *round, size_t first, struct group *ret_group) {
    struct asked *asked = &round->asked[first];
    *ret_group = (struct group){.members = {asked}, .count = 1, .questions = asked->body.query.count};
    for (size_t i = first + 1; i < round->count; i++) {
        struct asked *other = &round->asked[i];
        if (!is_of(other, asked->name) || !ask_alike(asked, other) || !has_room(ret_group, other)) continue;
        ret_group->members[ret_group->count++] = other;
        ret_group->questions += other->body.query.count;
    }
}

static void copy_questions(const struct group *group, size_t dim, float *vectors, struct el_text *texts) {
    for (size_t i = 0; i < group->count; i++) {
        const struct el_index_query *query = &group->members[i]->body.query;
        if (vectors) memcpy(vectors, query->vectors, query->count * dim * sizeof *vectors);
        if (texts) memcpy(texts, query->texts, query->count * sizeof *texts);
        if (vectors) vectors += query->count * dim;
        if (texts) texts += query->count;
    }
}

// The members' questions as those of one query, one after the other.
static int join(const struct group *group, size_t dim, struct el_arena *arena, struct el_index_query *query) {
    float *vectors = NULL;
    struct el_text *texts = NULL;
    *query = group->members[0]->body.query;
    if (group->count == 1) return 0;
    if (query->vectors) EL_TRY(el_arena_alloc(arena, group->questions, dim * sizeof *vectors, &vectors));
    if (query->texts) EL_TRY(el_arena_alloc(arena, group->questions, sizeof *texts, &texts));
    copy_questions(group, dim, vectors, texts);
    query->count = group->questions;
    query->vectors = vectors;
    query->texts = texts;
    return 0;
}

// ---- searching ----

static int search(const struct opened *opened, const struct group *group,
                  struct el_index_answer *ret_answer) {
    struct el_arena arena el_auto(el_arena_done);
    struct el_index_query query;
    el_arena_init(&arena);
    EL_TRY(join(group, (size_t)el_index_facts(opened->index)->dim, &arena, &query));
    query.team = opened->team;
    query.searcher = opened->searcher;
    return el_search_query(opened->index, group->members[0]->embedder, &query, ret_answer);
}

static int put_lists(struct asked *asked, const struct el_index_list *lists,
                     const struct el_query_stats *stats) {
    struct el_str *reply = &asked->exchange->reply.body;
    const size_t count = asked->body.query.count;
    int status = asked->body.is_many ? el_index_put_results(reply, asked->name, lists, count, stats)
                                     : el_index_put_result(reply, asked->name, lists, stats);
    if (status == 0) status = el_str_putc(reply, '\n');
    return status < 0 ? el_indexes_fail(asked->exchange, status, NULL) : 0;
}

static void answer_group(const struct group *group, const struct el_index_answer *found) {
    const struct el_index_list *lists = found->lists;
    for (size_t i = 0; i < group->count; i++) {
        struct asked *asked = group->members[i];
        const size_t count = asked->body.query.count;
        answer(asked, put_lists(asked, lists, &found->stats));
        lists += count;
    }
}

static void answer_failed(struct asked *asked, int status) {
    const bool many = asked->body.is_many;
    const char *param = asked->body.query.vectors ? (many ? "vectors" : "vector") : (many ? "texts" : "text");
    answer(asked, el_indexes_fail(asked->exchange, status, param));
}

// What fails in company, as for one vector that can't be, is searched alone.
static void search_group(const struct opened *opened, const struct group *group) {
    struct el_index_answer found;
    const int status = search(opened, group, &found);
    if (status == 0) {
        answer_group(group, &found);
        el_index_answer_done(&found);
    } else if (group->count == 1) {
        answer_failed(group->members[0], status);
    } else {
        for (size_t i = 0; i < group->count; i++) {
            struct asked *alone = group->members[i];
            search_group(opened, &(struct group){{alone}, 1, alone->body.query.count});
        }
    }
}

// ---- a round ----

// Of what is asked now; search_index sees to it that it still holds then.
static int read_body(struct asked *asked, const struct el_index *index) {
    struct el_exchange *exchange = asked->exchange;
    const char *bytes = exchange->body.data ? exchange->body.data : "";
    asked->dim = el_index_facts(index)->dim;
    EL_TRY(el_query_body_parse(bytes, exchange->body.length, (size_t)exchange->server->config->max_inputs,
                               asked->dim, &asked->body, &exchange->fault));
    return el_search_embeds(&asked->body.query) ? el_indexes_embedder(exchange, index, &asked->embedder) : 0;
}

static int read_request(struct asked *asked) {
    struct el_index *index;
    EL_TRY(el_indexes_begin(asked->exchange, &asked->name));
    const int status = el_open_indexes_find(&asked->exchange->server->indexes, asked->name, &index, NULL);
    return status < 0 ? el_indexes_fail_named(asked->exchange, status) : read_body(asked, index);
}

// All that waits, and what comes while that is read: so those who were just answered are there again.
static void take(struct round *round, struct el_exchange *exchange, el_clerk_job *job) {
    while (exchange) {
        struct asked *asked = &round->asked[round->count++];
        asked->exchange = exchange;
        if (read_request(asked) < 0) answer(asked, EL_EINVAL);
        exchange = round->count < MOST_WAITING ? el_clerk_next(&round->server->index_reader, job) : NULL;
    }
}

static int check_dim(const struct asked *asked, const struct el_index *index) {
    if (asked->dim == el_index_facts(index)->dim) return 0;
    return el_fault_set(&asked->exchange->fault, EL_FAULT_INDEX_BUSY, "name",
                        "index %s was replaced by another while the query waited; try again", asked->name);
}

// The request at `first` and all behind it of the same index.
static void search_index(struct round *round, size_t first) {
    struct el_open_indexes *indexes = &round->server->indexes;
    const char *name = round->asked[first].name;
    struct opened opened;
    struct group group;
    int status = el_open_indexes_find(indexes, name, &opened.index, &opened.searcher);
    if (status == 0) status = el_open_indexes_team(indexes, &opened.team);
    if (status < 0) {
        answer(&round->asked[first], el_indexes_fail_named(round->asked[first].exchange, status));
        return;
    }
    for (size_t i = first; i < round->count; i++) {
        struct asked *asked = &round->asked[i];
        if (is_of(asked, name) && check_dim(asked, opened.index) < 0) answer(asked, EL_EINVAL);
    }
    for (size_t i = first; i < round->count; i++) {
        if (!is_of(&round->asked[i], name)) continue;
        gather(round, i, &group);
        search_group(&opened, &group);
    }
}

static void query_job(struct el_exchange *exchange) {
    struct el_server *server = exchange->server;
    struct round *round el_auto_free = NULL;
    const int status = el_zalloc(1, sizeof *round, &round);
    if (status < 0) {
        el_indexes_finish(exchange, 200, el_indexes_fail(exchange, status, NULL));
        return;
    }
    round->server = server;
    take(round, exchange, query_job);
    for (size_t i = 0; i < round->count; i++)
        if (round->asked[i].exchange) search_index(round, i);
    for (size_t i = 0; i < round->count; i++)
        el_free(round->asked[i].name);
}

void el_handle_query_index(struct el_exchange *exchange) {
    el_indexes_give(exchange, &exchange->server->index_reader, query_job);
}
