// SPDX-License-Identifier: Apache-2.0
// The tables of an index: one schema, so that their names need not be made up from the index's.
#include "postgres/facts.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "postgres/wire.h"

enum { VERSION = 1 };

// Ids may be longer than a B-tree's entry, so a hash index keeps them unique.
static const char *const tables =
    "CREATE TABLE facts(version integer NOT NULL, dim integer NOT NULL, metric text NOT NULL,"
    "  model text NOT NULL, key bytea NOT NULL);"
    "CREATE SEQUENCE numbers;"
    "CREATE TABLE documents(number bigint PRIMARY KEY, id text COLLATE \"C\" NOT NULL, hash bytea NOT NULL,"
    "  metadata jsonb, chunks bigint NOT NULL, EXCLUDE USING hash (id WITH =));"
    "CREATE TABLE chunks(document bigint NOT NULL REFERENCES documents ON DELETE CASCADE,"
    "  part bigint NOT NULL, text text, vector %s.vector(%d) NOT NULL,"
    "  words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED,"
    "  PRIMARY KEY(document, part));"
    "CREATE INDEX chunks_words ON chunks USING gin (words);";

static int make_extension(struct el_pg *pg) {
    int status = el_pg_script(pg, "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public");
    if (status == 0) return el_pg_set_schema(pg);
    if (pg->again) return status;
    return el_fail_in(EL_EUNSUPPORTED,
                      "the database has no extension `vector`: install pgvector on the server, then let a "
                      "superuser run CREATE EXTENSION vector in the database");
}

// A command whose words stand before and behind the schema's name, which it quotes.
static int run_on_schema(struct el_pg *pg, const char *before, const char *behind) {
    struct el_str sql el_auto(el_str_done) = {0};
    char *quoted = PQescapeIdentifier(pg->connection, pg->schema, strlen(pg->schema));
    if (!quoted) return el_fail(EL_ENOMEM, "%s: no memory for a name", pg->url);
    int status = el_str_printf(&sql, "%s %s %s", before, quoted, behind);
    PQfreemem(quoted);
    return status < 0 ? status : el_pg_script(pg, sql.data);
}

static int insert_facts(struct el_pg *pg, const struct el_vector_facts *facts) {
    struct el_str numbers el_auto(el_str_done) = {0};
    struct el_siphash_key key;
    const char *metric = el_metric_name(facts->metric);
    EL_TRY(el_siphash_draw_key(&key));
    EL_TRY(el_wire_put_i32(&numbers, VERSION));
    EL_TRY(el_wire_put_i32(&numbers, facts->dim));
    const struct el_pg_value values[] = {{numbers.data, 4},
                                         {numbers.data + 4, 4},
                                         {metric, strlen(metric)},
                                         {facts->model, strlen(facts->model)},
                                         {&key, sizeof key}};
    return el_pg_run(pg, "INSERT INTO facts VALUES($1, $2, $3, $4, $5)", values, EL_COUNT(values));
}

static int make_tables(struct el_pg *pg, const struct el_vector_facts *facts) {
    struct el_str sql el_auto(el_str_done) = {0};
    EL_TRY(el_str_printf(&sql, tables, pg->vectors, facts->dim));
    EL_TRY(el_pg_script(pg, sql.data));
    return insert_facts(pg, facts);
}

static bool same_facts(const struct el_vector_facts *a, const struct el_vector_facts *b) {
    return a->dim == b->dim && a->metric == b->metric && el_streq(a->model, b->model);
}

static int join(struct el_pg *pg, const struct el_vector_facts *facts) {
    struct el_pg_facts there;
    EL_TRY(el_pg_facts(pg, &there));
    if (same_facts(&there.vectors, facts)) return 0;
    return el_fail(
        EL_EINVAL,
        "%s has an index of this name already, of %d dimensions, %s, %s; take these, or another name",
        pg->url, there.vectors.dim, el_metric_name(there.vectors.metric),
        *there.vectors.model ? there.vectors.model : "no model");
}

static int has_schema(struct el_pg *pg) {
    PGresult *result el_auto_result = NULL;
    const struct el_pg_value schema = {pg->schema, strlen(pg->schema)};
    EL_TRY(el_pg_query(pg, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text", &schema, 1,
                       &result));
    return PQntuples(result);
}

static int make(struct el_pg *pg, void *context) {
    const struct el_vector_facts *facts = context;
    if (!pg->vectors) EL_TRY(make_extension(pg));
    const int there = has_schema(pg);
    if (there < 0) return there;
    if (!there) EL_TRY(run_on_schema(pg, "CREATE SCHEMA", ""));
    return there ? join(pg, facts) : make_tables(pg, facts);
}

int el_pg_make(struct el_pg *pg, const struct el_vector_facts *facts) {
    struct el_vector_facts copy = *facts;
    if (facts->dim > EL_PG_MOST_DIM)
        return el_fail(EL_EUNSUPPORTED, "pgvector takes vectors of up to %d dimensions, not %d",
                       EL_PG_MOST_DIM, facts->dim);
    return el_pg_transact(pg, make, &copy);
}

static int drop(struct el_pg *pg, void *context) {
    (void)context;
    return run_on_schema(pg, "DROP SCHEMA IF EXISTS", "CASCADE");
}

int el_pg_drop(struct el_pg *pg) {
    return el_pg_attempt(pg, drop, NULL);
}

static int read_facts(struct el_pg *pg, const PGresult *result, struct el_pg_facts *ret_facts) {
    struct el_pg_facts facts = {0};
    const int version = el_wire_i32(result, 0, 0);
    if (version != VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s: the index has version %d, this program reads %d", pg->url,
                       version, VERSION);
    const int model_length = PQgetlength(result, 0, 3);
    facts.vectors.dim = el_wire_i32(result, 0, 1);
    EL_TRY(el_metric_parse(PQgetvalue(result, 0, 2), &facts.vectors.metric));
    if (facts.vectors.dim < 1 || facts.vectors.dim > EL_PG_MOST_DIM || model_length >= EL_VECTOR_MODEL_SIZE ||
        PQgetlength(result, 0, 4) != sizeof facts.key)
        return el_fail(EL_EFORMAT, "%s: the index's table of facts is none of ours", pg->url);
    memcpy(facts.vectors.model, PQgetvalue(result, 0, 3), (size_t)model_length);
    memcpy(&facts.key, PQgetvalue(result, 0, 4), sizeof facts.key);
    *ret_facts = facts;
    return 0;
}

int el_pg_facts(struct el_pg *pg, struct el_pg_facts *ret_facts) {
    PGresult *result el_auto_result = NULL;
    EL_TRY(el_pg_query(pg, "SELECT version, dim, metric, model, key FROM facts", NULL, 0, &result));
    if (PQntuples(result) == 1) return read_facts(pg, result, ret_facts);
    return el_fail(EL_EFORMAT, "%s: the index's table of facts has %d rows", pg->url, PQntuples(result));
}

// ---- the HNSW index ----

// 1 or 0; one whose making was interrupted is as good as none.
static int has_near(struct el_pg *pg) {
    PGresult *result el_auto_result = NULL;
    EL_TRY(el_pg_query(pg,
                       "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('chunks_near') AND indisvalid",
                       NULL, 0, &result));
    return PQntuples(result);
}

int el_pg_make_near(struct el_pg *pg, const struct el_vector_facts *facts) {
    struct el_str sql el_auto(el_str_done) = {0};
    if (facts->dim > EL_PG_MOST_NEAR_DIM) return 0;
    const int there = has_near(pg);
    if (there < 0) return there;
    EL_TRY(el_pg_script(pg, "DROP INDEX IF EXISTS chunks_near_ccnew")); // of an interrupted REINDEX
    if (there) return el_pg_script(pg, "REINDEX INDEX CONCURRENTLY chunks_near");
    EL_TRY(el_pg_script(pg, "DROP INDEX IF EXISTS chunks_near"));
    EL_TRY(el_str_printf(&sql, "CREATE INDEX CONCURRENTLY chunks_near ON chunks USING hnsw (vector %s.%s)",
                         pg->vectors, facts->metric == EL_METRIC_L2 ? "vector_l2_ops" : "vector_ip_ops"));
    return el_pg_script(pg, sql.data);
}
