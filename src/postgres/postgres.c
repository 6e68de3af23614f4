// SPDX-License-Identifier: Apache-2.0
// The PostgreSQL store: its table of functions, opening, and what is done to a whole index.
#include "postgres/postgres.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/folder.h"
#include "postgres/connection.h"
#include "postgres/documents.h"
#include "postgres/facts.h"
#include "postgres/read.h"
#include "postgres/search.h"
#include "postgres/wire.h"

struct pg_index {
    struct el_index base; // first: a pointer to it is one to the whole
    struct el_pg pg;
};

static struct pg_index *inside(struct el_index *index) {
    return (struct pg_index *)index;
}

// ---- making, opening, deleting ----

// eleanor_NAME: of the index that is the folder NAME.
static int schema_of(const char *folder, char **ret_schema) {
    enum { MOST = 63 }; // bytes of an identifier; more are cut without a word
    struct el_str name el_auto(el_str_done) = {0};
    const char *slash = strrchr(folder, '/');
    EL_TRY(el_str_printf(&name, "eleanor_%s", slash ? slash + 1 : folder));
    if (name.length > MOST)
        return el_fail(EL_EINVAL, "the name of an index in PostgreSQL has at most %zu characters",
                       MOST - strlen("eleanor_"));
    *ret_schema = el_steal(name.data);
    return 0;
}

static int connect_to(const char *folder, const char *url, struct el_pg *ret_pg) {
    char *schema el_auto_free = NULL;
    EL_TRY(schema_of(folder, &schema));
    EL_TRY(el_pg_url_check(url));
    return el_pg_open(url, schema, ret_pg);
}

static int write_url(const char *folder, const void *url) {
    return el_index_write_url(folder, url);
}

static int create(const char *folder, const char *url, const struct el_vector_facts *facts) {
    struct el_pg pg el_auto(el_pg_close) = {0};
    EL_TRY(el_index_check_absent(folder));
    EL_TRY(connect_to(folder, url, &pg));
    EL_TRY(el_pg_make(&pg, facts));
    return el_index_folder_make(folder, write_url, url);
}

static int drop_index(const char *folder, const char *url) {
    struct el_pg pg el_auto(el_pg_close) = {0};
    int status = connect_to(folder, url, &pg);
    if (status == 0) status = el_pg_drop(&pg);
    if (status < 0) return el_fail_in(status, "%s still names the index", folder);
    return el_index_folder_remove(folder);
}

static void close_index(struct el_index *index) {
    el_pg_close(&inside(index)->pg);
    pthread_mutex_destroy(&index->mutex);
    el_free(index);
}

static void close_p(struct pg_index **index) {
    if (*index) close_index(&(*index)->base);
}

static int open_index(const char *folder, const char *url, bool writable, struct el_index **ret_index) {
    el_auto(close_p) struct pg_index *index = NULL;
    struct el_pg_facts facts;
    EL_TRY(el_zalloc(1, sizeof *index, &index));
    pthread_mutex_init(&index->base.mutex, NULL);
    EL_TRY(connect_to(folder, url, &index->pg));
    EL_TRY(el_pg_facts(&index->pg, &facts));
    index->base.store = &el_postgres_store;
    index->base.place = index->pg.url;
    index->base.writable = writable;
    index->base.facts = facts.vectors;
    index->base.key = facts.key;
    *ret_index = &el_steal(index)->base;
    return 0;
}

// ---- documents ----

static int put(struct el_index *index, const struct el_index_batch *batch) {
    return el_pg_put(&inside(index)->pg, batch, index->facts.dim);
}

static int remove_all(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed) {
    return el_pg_remove(&inside(index)->pg, ids, count, ret_removed);
}

static int remove_passing(struct el_index *index, const struct el_filter *filter, int64_t *ret_removed) {
    return el_pg_remove_passing(&inside(index)->pg, filter, ret_removed);
}

static int find_all(struct el_index *index, const struct el_index_document *documents, size_t count,
                    struct el_index_known *inout_known) {
    const char **ids el_auto_free = NULL;
    EL_TRY(el_alloc(count, sizeof *ids, &ids));
    for (size_t i = 0; i < count; i++)
        ids[i] = documents[i].id;
    return el_pg_find(&inside(index)->pg, ids, count, inout_known);
}

static int each(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                void *context) {
    return el_pg_each(&inside(index)->pg, prefix, visit, context);
}

static int read_page(struct el_index *index, struct el_index_page *page) {
    return el_pg_read(&inside(index)->pg, index->facts.dim, page);
}

static int search(struct el_index *index, const struct el_index_query *query,
                  struct el_index_answer *answer) {
    return el_pg_search(&inside(index)->pg, &index->facts, query, answer);
}

// ---- the whole ----

static int count(struct el_pg *pg, void *context) {
    PGresult *result el_auto_result = NULL;
    struct el_index_stats *ret_stats = context;
    EL_TRY(el_pg_query(pg,
                       "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks),"
                       "  (pg_total_relation_size('documents') + pg_total_relation_size('chunks'))::bigint",
                       NULL, 0, &result));
    *ret_stats = (struct el_index_stats){.documents = el_wire_i64(result, 0, 0),
                                         .chunks = el_wire_i64(result, 0, 1),
                                         .bytes = (uint64_t)el_wire_i64(result, 0, 2)};
    return 0;
}

static int stats(struct el_index *index, struct el_index_stats *ret_stats) {
    return el_pg_attempt(&inside(index)->pg, count, ret_stats);
}

static int vacuum(struct el_pg *pg, void *context) {
    EL_TRY(el_pg_script(pg, "VACUUM ANALYZE documents"));
    EL_TRY(el_pg_script(pg, "VACUUM ANALYZE chunks"));
    return el_pg_make_near(pg, context);
}

static int compact(struct el_index *index) {
    return el_pg_attempt(&inside(index)->pg, vacuum, &index->facts);
}

static int check(struct el_pg *pg, void *context) {
    PGresult *result el_auto_result = NULL;
    (void)context;
    EL_TRY(el_pg_query(pg,
                       "SELECT id, documents.chunks, count(part) FROM documents"
                       "  LEFT JOIN chunks ON document = number"
                       "  GROUP BY number HAVING documents.chunks <> count(part) LIMIT 1",
                       NULL, 0, &result));
    if (PQntuples(result) == 0) return 0;
    return el_fail(EL_EFORMAT, "%s is damaged: %s has %" PRId64 " chunks, and is to have %" PRId64, pg->url,
                   PQgetvalue(result, 0, 0), el_wire_i64(result, 0, 2), el_wire_i64(result, 0, 1));
}

static int verify(struct el_index *index) {
    return el_pg_attempt(&inside(index)->pg, check, NULL);
}

const struct el_index_store el_postgres_store = {
    .name = "postgres",
    .scheme = "postgres", // and postgresql
    .create = create,
    .open = open_index,
    .close = close_index,
    .drop = drop_index,
    .put = put,
    .remove = remove_all,
    .remove_passing = remove_passing,
    .find_all = find_all,
    .each = each,
    .read = read_page,
    .search = search,
    .stats = stats,
    .compact = compact,
    .verify = verify,
};
