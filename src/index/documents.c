// SPDX-License-Identifier: Apache-2.0
// The documents' database: one prepared statement for each thing that is asked of it.
#include "index/documents.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "index/index.h"
#include "index/schema.h"
#include "index/sql.h"
#include "index/text_search.h"
#include "index/words.h"

enum { BUSY_MS = 10000 };

enum statement {
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    MAKE_STATE,
    GET_STATE,
    SET_STATE,
    GET_KEY,
    FIND,
    ADD_DOCUMENT,
    ADD_CHUNK,
    KILL_CHUNKS,
    REMOVE_CHUNKS,
    REMOVE_DOCUMENT,
    PASSAGE,
    EACH,
    NEXT,
    EACH_CHUNK,
    COUNT,
    EACH_DEAD,
    LOWER,
    FORGET_DEAD,
    FIND_TEXT,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [MAKE_STATE] = "INSERT INTO state VALUES(1, 0, 0, ?)",
    [GET_STATE] = "SELECT generation, rows, version FROM state",
    [SET_STATE] = "UPDATE state SET generation = ?, rows = ?, version = ?",
    [GET_KEY] = "SELECT key FROM state",
    [FIND] = "SELECT number, hash FROM documents WHERE id = ?",
    [ADD_DOCUMENT] = "INSERT INTO documents(id, hash, metadata) VALUES(?, ?, ?)",
    [ADD_CHUNK] = "INSERT INTO chunks(row, document, part, text) VALUES(?, ?, ?, ?)",
    [KILL_CHUNKS] = "INSERT INTO dead SELECT row FROM chunks WHERE document = ?",
    [REMOVE_CHUNKS] = "DELETE FROM chunks WHERE document = ?",
    [REMOVE_DOCUMENT] = "DELETE FROM documents WHERE number = ?",
    [PASSAGE] =
        "SELECT id, part, text, metadata FROM chunks JOIN documents ON number = document WHERE row = ?",
    [EACH] = "SELECT id FROM documents WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1 ORDER BY id",
    [NEXT] = "SELECT number, id, metadata, hash FROM documents WHERE number > ? ORDER BY number LIMIT 1",
    [EACH_CHUNK] = "SELECT row, text FROM chunks WHERE document = ? ORDER BY row",
    [COUNT] = "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks), count(*) FROM dead",
    [EACH_DEAD] = "SELECT row FROM dead ORDER BY row",
    [LOWER] = "UPDATE chunks SET row = row - ?3 WHERE row BETWEEN ?1 AND ?1 + ?2 - 1",
    [FORGET_DEAD] = "DELETE FROM dead",
    [FIND_TEXT] = "SELECT 1 FROM chunks WHERE text IS NOT NULL LIMIT 1",
};

struct el_documents {
    struct el_sql sql;
    sqlite3_stmt *statements[STATEMENTS]; // NULL until needed
};

const struct el_sql *el_documents_sql(const struct el_documents *documents) {
    return &documents->sql;
}

// ---- statements ----

// Starts a statement with its values: 1 when it has a row.
static int start(struct el_documents *documents, enum statement which, const struct el_sql_value *values,
                 size_t count, sqlite3_stmt **ret_statement) {
    sqlite3_stmt **statement = &documents->statements[which];
    if (!*statement)
        EL_TRY(el_sql_prepare(&documents->sql, sql[which], SQLITE_PREPARE_PERSISTENT, statement));
    *ret_statement = *statement;
    return el_sql_start(&documents->sql, *statement, values, count);
}

// For statements that have no rows.
static int run(struct el_documents *documents, enum statement which, const struct el_sql_value *values,
               size_t count) {
    sqlite3_stmt *statement;
    const int status = start(documents, which, values, count, &statement);
    return status < 0 ? status : 0;
}

// ---- opening ----

void el_documents_close(struct el_documents *documents) {
    if (!documents) return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(documents->statements[i]);
    sqlite3_close(documents->sql.db);
    el_free(documents->sql.path);
    el_free(documents);
}

static void close_p(struct el_documents **documents) {
    el_documents_close(*documents);
}

static int open_database(const char *path, int flags, struct el_documents **ret_documents) {
    el_auto(close_p) struct el_documents *documents = NULL;
    EL_TRY(el_zalloc(1, sizeof *documents, &documents));
    EL_TRY(el_strdup(path, &documents->sql.path));
    if (sqlite3_open_v2(path, &documents->sql.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags,
                        NULL) != SQLITE_OK)
        return documents->sql.db ? el_sql_fail(&documents->sql) : el_fail(EL_ENOMEM, "%s: no memory", path);
    sqlite3_busy_timeout(documents->sql.db, BUSY_MS);
    EL_TRY(el_words_register(&documents->sql));
    // A commit is on the disk when it returns.
    EL_TRY(el_sql_execute(&documents->sql, "PRAGMA synchronous = FULL"));
    *ret_documents = el_steal(documents);
    return 0;
}

int el_documents_create(const char *path, const struct el_siphash_key *key) {
    el_auto(close_p) struct el_documents *documents = NULL;
    struct el_siphash_key drawn;
    EL_TRY(el_siphash_draw_key(&drawn));
    EL_TRY(open_database(path, SQLITE_OPEN_CREATE, &documents));
    EL_TRY(el_sql_execute(&documents->sql, "PRAGMA journal_mode = WAL; BEGIN"));
    EL_TRY(el_schema_make(&documents->sql));
    const struct el_sql_value value = el_sql_blob(key ? key : &drawn, sizeof drawn);
    EL_TRY(run(documents, MAKE_STATE, &value, 1));
    return run(documents, COMMIT, NULL, 0);
}

int el_documents_open(const char *path, struct el_documents **ret_documents) {
    el_auto(close_p) struct el_documents *documents = NULL;
    int64_t version;
    if (!el_path_exists(path)) return el_fail(EL_ENOENT, "%s is missing", path);
    EL_TRY(open_database(path, 0, &documents));
    EL_TRY(el_schema_check(&documents->sql, &version));
    *ret_documents = el_steal(documents);
    return 0;
}

int el_documents_upgrade(struct el_documents *documents) {
    int status = el_schema_upgrade(&documents->sql);
    el_documents_end(documents);
    return status;
}

// ---- transactions ----

static int read_state(struct el_documents *documents, struct el_documents_state *ret_state) {
    sqlite3_stmt *statement;
    int status = start(documents, GET_STATE, NULL, 0, &statement);
    if (status < 0) return status;
    if (status == 0) return el_fail(EL_EFORMAT, "%s: there is no state in it", documents->sql.path);
    *ret_state = (struct el_documents_state){.generation = sqlite3_column_int64(statement, 0),
                                             .rows = sqlite3_column_int64(statement, 1),
                                             .version = sqlite3_column_int64(statement, 2)};
    sqlite3_reset(statement);
    return 0;
}

int el_documents_begin(struct el_documents *documents, bool writes, struct el_documents_state *ret_state) {
    EL_TRY(run(documents, writes ? BEGIN_WRITE : BEGIN_READ, NULL, 0));
    int status = read_state(documents, ret_state);
    if (status < 0) el_documents_end(documents);
    return status;
}

int el_documents_commit(struct el_documents *documents, const struct el_documents_state *state) {
    const struct el_sql_value values[] = {el_sql_number(state->generation), el_sql_number(state->rows),
                                          el_sql_number(state->version + 1)};
    EL_TRY(run(documents, SET_STATE, values, EL_COUNT(values)));
    return run(documents, COMMIT, NULL, 0);
}

void el_documents_end(struct el_documents *documents) {
    for (int i = 0; i < STATEMENTS; i++)
        if (documents->statements[i]) sqlite3_reset(documents->statements[i]);
    if (!sqlite3_get_autocommit(documents->sql.db))
        sqlite3_exec(documents->sql.db, "ROLLBACK", NULL, NULL, NULL);
}

int el_documents_key(struct el_documents *documents, struct el_siphash_key *ret_key) {
    sqlite3_stmt *statement;
    int status = start(documents, GET_KEY, NULL, 0, &statement);
    if (status < 0) return status;
    if (status == 0 || sqlite3_column_bytes(statement, 0) != sizeof *ret_key)
        return el_fail(EL_EFORMAT, "%s: there is no key in it", documents->sql.path);
    memcpy(ret_key, sqlite3_column_blob(statement, 0), sizeof *ret_key);
    sqlite3_reset(statement);
    return 0;
}

// ---- documents ----

static struct el_hash128 hash_in(sqlite3_stmt *statement, int column) {
    struct el_hash128 hash = {{0}};
    if (sqlite3_column_bytes(statement, column) == sizeof hash)
        memcpy(&hash, sqlite3_column_blob(statement, column), sizeof hash);
    return hash;
}

// 1 when it is there.
static int find(struct el_documents *documents, const char *id, int64_t *ret_number,
                struct el_hash128 *ret_hash) {
    sqlite3_stmt *statement;
    const struct el_sql_value value = el_sql_string(id);
    int status = start(documents, FIND, &value, 1, &statement);
    if (status <= 0) return status;
    *ret_number = sqlite3_column_int64(statement, 0);
    *ret_hash = hash_in(statement, 1);
    sqlite3_reset(statement);
    return 1;
}

int el_documents_find(struct el_documents *documents, const char *id, struct el_hash128 *ret_hash) {
    int64_t unused;
    return find(documents, id, &unused, ret_hash);
}

int el_documents_remove(struct el_documents *documents, const char *id) {
    int64_t which;
    struct el_hash128 unused;
    int found = find(documents, id, &which, &unused);
    if (found <= 0) return found;
    const struct el_sql_value value = el_sql_number(which);
    EL_TRY(run(documents, KILL_CHUNKS, &value, 1));
    EL_TRY(run(documents, REMOVE_CHUNKS, &value, 1));
    EL_TRY(run(documents, REMOVE_DOCUMENT, &value, 1));
    return 1;
}

int el_documents_put(struct el_documents *documents, const struct el_index_document *document,
                     int64_t first) {
    EL_TRY(el_documents_remove(documents, document->id));
    const struct el_sql_value values[] = {el_sql_string(document->id),
                                          el_sql_blob(&document->hash, sizeof document->hash),
                                          el_sql_string(document->metadata)};
    EL_TRY(run(documents, ADD_DOCUMENT, values, EL_COUNT(values)));
    const int64_t which = sqlite3_last_insert_rowid(documents->sql.db);
    for (int64_t i = 0; i < document->chunks; i++) {
        const struct el_text *chunk = document->texts ? &document->texts[i] : NULL;
        const struct el_sql_value row[] = {
            el_sql_number(first + i), el_sql_number(which), el_sql_number(i),
            el_sql_text(chunk ? chunk->data : NULL, chunk ? chunk->length : 0)};
        EL_TRY(run(documents, ADD_CHUNK, row, EL_COUNT(row)));
    }
    return 0;
}

static int fail_id(const struct el_documents *documents) {
    return el_fail(EL_ENOMEM, "%s: no memory for a document's id", documents->sql.path);
}

int el_documents_passage(struct el_documents *documents, int64_t row, struct el_passage *ret_passage) {
    sqlite3_stmt *statement;
    const struct el_sql_value value = el_sql_number(row);
    int status = start(documents, PASSAGE, &value, 1, &statement);
    if (status <= 0) return status;
    *ret_passage = (struct el_passage){.id = (const char *)sqlite3_column_text(statement, 0),
                                       .part = sqlite3_column_int64(statement, 1),
                                       .text = (const char *)sqlite3_column_text(statement, 2),
                                       .metadata = (const char *)sqlite3_column_text(statement, 3),
                                       .text_length = (size_t)sqlite3_column_bytes(statement, 2)};
    if (ret_passage->id) return 1; // the statement is reset when it is used again
    return fail_id(documents);
}

int el_documents_each(struct el_documents *documents, const char *prefix,
                      int (*visit)(void *context, const char *id), void *context) {
    sqlite3_stmt *statement;
    const struct el_sql_value value = el_sql_string(prefix);
    int status = start(documents, EACH, &value, 1, &statement);
    while (status > 0) {
        const char *id = (const char *)sqlite3_column_text(statement, 0);
        if (!id) return fail_id(documents);
        EL_TRY(visit(context, id));
        status = el_sql_step(&documents->sql, statement);
    }
    return status;
}

int el_documents_next(struct el_documents *documents, int64_t after, struct el_document_entry *ret_entry) {
    sqlite3_stmt *statement;
    const struct el_sql_value value = el_sql_number(after);
    int status = start(documents, NEXT, &value, 1, &statement);
    if (status <= 0) return status;
    *ret_entry = (struct el_document_entry){.number = sqlite3_column_int64(statement, 0),
                                            .id = (const char *)sqlite3_column_text(statement, 1),
                                            .metadata = (const char *)sqlite3_column_text(statement, 2),
                                            .hash = hash_in(statement, 3)};
    if (ret_entry->id) return 1; // the statement is reset when it is used again
    return fail_id(documents);
}

int el_documents_each_chunk(struct el_documents *documents, int64_t number,
                            int (*visit)(void *context, int64_t row, const struct el_text *text),
                            void *context) {
    sqlite3_stmt *statement;
    const struct el_sql_value value = el_sql_number(number);
    int status = start(documents, EACH_CHUNK, &value, 1, &statement);
    while (status > 0) {
        const struct el_text text = {(const char *)sqlite3_column_text(statement, 1),
                                     (size_t)sqlite3_column_bytes(statement, 1)};
        if (!text.data && sqlite3_column_type(statement, 1) != SQLITE_NULL)
            return el_fail(EL_ENOMEM, "%s: no memory for a chunk's text", documents->sql.path);
        EL_TRY(visit(context, sqlite3_column_int64(statement, 0), text.data ? &text : NULL));
        status = el_sql_step(&documents->sql, statement);
    }
    return status;
}

int el_documents_count(struct el_documents *documents, struct el_documents_counts *ret_counts) {
    sqlite3_stmt *statement;
    int status = start(documents, COUNT, NULL, 0, &statement);
    if (status < 0) return status;
    *ret_counts = (struct el_documents_counts){.documents = sqlite3_column_int64(statement, 0),
                                               .chunks = sqlite3_column_int64(statement, 1),
                                               .dead = sqlite3_column_int64(statement, 2)};
    sqlite3_reset(statement);
    return 0;
}

int el_documents_each_dead(struct el_documents *documents, int (*visit)(void *context, int64_t row),
                           void *context) {
    sqlite3_stmt *statement;
    int status = start(documents, EACH_DEAD, NULL, 0, &statement);
    while (status > 0) {
        EL_TRY(visit(context, sqlite3_column_int64(statement, 0)));
        status = el_sql_step(&documents->sql, statement);
    }
    return status;
}

int el_documents_lower(struct el_documents *documents, int64_t first, int64_t count, int64_t down) {
    const struct el_sql_value values[] = {el_sql_number(first), el_sql_number(count), el_sql_number(down)};
    return run(documents, LOWER, values, EL_COUNT(values));
}

int el_documents_forget_dead(struct el_documents *documents) {
    return run(documents, FORGET_DEAD, NULL, 0);
}

// ---- text search ----

// Why there is nothing to be found, where that is not for want of a word.
static int check_texts(struct el_documents *documents) {
    sqlite3_stmt *statement;
    int status = start(documents, FIND_TEXT, NULL, 0, &statement);
    if (status) return EL_MIN(status, 0);
    return el_fail(EL_EUNSUPPORTED,
                   "%s keeps no texts that could be searched: its documents are vectors alone",
                   documents->sql.path);
}

int el_documents_match(struct el_documents *documents, const struct el_text *question,
                       const struct el_allowed *allowed, int k, struct el_hit *ret_hits) {
    int64_t version;
    int count;
    EL_TRY(el_schema_check(&documents->sql, &version));
    if (version < EL_SCHEMA_WITH_WORDS)
        return el_fail(
            EL_EUNSUPPORTED,
            "%s was made before there was text search; whatever writes to the index brings it up to "
            "date, as `eleanor index compact`",
            documents->sql.path);
    EL_TRY(el_text_search(&documents->sql, question, allowed, k, ret_hits, &count));
    if (count == 0) EL_TRY(check_texts(documents));
    return count;
}
