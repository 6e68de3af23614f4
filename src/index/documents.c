// SPDX-License-Identifier: Apache-2.0
// The documents' database: its tables, and one prepared statement for each thing that is asked of it.
#include "index/documents.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "index/index.h"

enum { APPLICATION = 0x454C4958, VERSION = 1, BUSY_MS = 10000 }; // "ELIX"

static const char *const schema =
    "PRAGMA journal_mode = WAL;"
    "BEGIN;"
    "CREATE TABLE state(generation INTEGER NOT NULL, rows INTEGER NOT NULL, version INTEGER NOT NULL,"
    "  key BLOB NOT NULL);"
    "CREATE TABLE documents(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,"
    "  metadata TEXT);"
    "CREATE TABLE chunks(row INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents,"
    "  part INTEGER NOT NULL, text TEXT);"
    "CREATE INDEX chunks_of_document ON chunks(document);"
    "CREATE TABLE dead(row INTEGER PRIMARY KEY);";

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
};

struct el_documents {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS]; // NULL until needed
};

// ---- statements ----

static int fail_sql(sqlite3 *db, const char *path) {
    const int code = sqlite3_errcode(db) & 0xff;
    const int status = code == SQLITE_NOMEM                              ? EL_ENOMEM
                       : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EL_EFORMAT
                       : code == SQLITE_BUSY                             ? EL_EBUSY
                                                                         : EL_EIO;
    return el_fail(status, "%s: %s", path, sqlite3_errmsg(db));
}

struct value {
    int type;         // SQLITE_INTEGER, SQLITE_TEXT, SQLITE_BLOB or SQLITE_NULL
    int64_t number;   // or
    const void *data; // with
    size_t size;
};

static struct value number(int64_t n) {
    return (struct value){.type = SQLITE_INTEGER, .number = n};
}

static struct value text(const char *data, size_t size) {
    return (struct value){.type = data ? SQLITE_TEXT : SQLITE_NULL, .data = data, .size = size};
}

static struct value string(const char *data) {
    return text(data, data ? strlen(data) : 0);
}

static struct value blob(const void *data, size_t size) {
    return (struct value){.type = SQLITE_BLOB, .data = data, .size = size};
}

static int bind(sqlite3_stmt *statement, int place, const struct value *value) {
    switch (value->type) {
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(statement, place, value->number);
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, place, value->data, value->size, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_BLOB:
        return sqlite3_bind_blob64(statement, place, value->data, value->size, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(statement, place);
    }
}

// 1 when the statement has a row, 0 when it is through.
static int step(struct el_documents *documents, sqlite3_stmt *statement) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return 1;
    const int status = code == SQLITE_DONE ? 0 : fail_sql(documents->db, documents->path);
    sqlite3_reset(statement);
    return status;
}

// Starts a statement with its values: as step(). What the values point to must last until the last step.
static int start(struct el_documents *documents, enum statement which, const struct value *values, int count,
                 sqlite3_stmt **ret_statement) {
    sqlite3_stmt **statement = &documents->statements[which];
    if (!*statement && sqlite3_prepare_v3(documents->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
                                          NULL) != SQLITE_OK)
        return fail_sql(documents->db, documents->path);
    sqlite3_reset(*statement);
    for (int i = 0; i < count; i++)
        if (bind(*statement, i + 1, &values[i]) != SQLITE_OK) return fail_sql(documents->db, documents->path);
    *ret_statement = *statement;
    return step(documents, *statement);
}

// For statements that have no rows.
static int run(struct el_documents *documents, enum statement which, const struct value *values, int count) {
    sqlite3_stmt *statement;
    const int status = start(documents, which, values, count, &statement);
    return status < 0 ? status : 0;
}

// ---- opening ----

void el_documents_close(struct el_documents *documents) {
    if (!documents) return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(documents->statements[i]);
    sqlite3_close(documents->db);
    el_free(documents->path);
    el_free(documents);
}

static void close_p(struct el_documents **documents) {
    el_documents_close(*documents);
}

static int execute(struct el_documents *documents, const char *what) {
    return sqlite3_exec(documents->db, what, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : fail_sql(documents->db, documents->path);
}

static int open_database(const char *path, int flags, struct el_documents **ret_documents) {
    el_auto(close_p) struct el_documents *documents = NULL;
    EL_TRY(el_zalloc(1, sizeof *documents, &documents));
    EL_TRY(el_strdup(path, &documents->path));
    if (sqlite3_open_v2(path, &documents->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, NULL) !=
        SQLITE_OK)
        return documents->db ? fail_sql(documents->db, path) : el_fail(EL_ENOMEM, "%s: no memory", path);
    sqlite3_busy_timeout(documents->db, BUSY_MS);
    EL_TRY(execute(documents, "PRAGMA synchronous = FULL")); // a commit is on the disk when it returns
    *ret_documents = el_steal(documents);
    return 0;
}

int el_documents_create(const char *path, const struct el_siphash_key *key) {
    el_auto(close_p) struct el_documents *documents = NULL;
    struct el_siphash_key drawn;
    EL_TRY(el_siphash_draw_key(&drawn));
    EL_TRY(open_database(path, SQLITE_OPEN_CREATE, &documents));
    EL_TRY(execute(documents, schema));
    const struct value value = blob(key ? key : &drawn, sizeof drawn);
    EL_TRY(run(documents, MAKE_STATE, &value, 1));
    return execute(documents, "PRAGMA application_id = 0x454C4958; PRAGMA user_version = 1; COMMIT");
}

static int read_pragma(struct el_documents *documents, const char *what, int64_t *ret_value) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(documents->db, what, -1, &statement, NULL) != SQLITE_OK)
        return fail_sql(documents->db, documents->path);
    int status = step(documents, statement);
    if (status > 0) *ret_value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status < 0 ? status : 0;
}

int el_documents_open(const char *path, struct el_documents **ret_documents) {
    el_auto(close_p) struct el_documents *documents = NULL;
    int64_t application = 0, version = 0;
    if (!el_path_exists(path)) return el_fail(EL_ENOENT, "%s is missing", path);
    EL_TRY(open_database(path, 0, &documents));
    EL_TRY(read_pragma(documents, "PRAGMA application_id", &application));
    EL_TRY(read_pragma(documents, "PRAGMA user_version", &version));
    if (application != APPLICATION) return el_fail(EL_EFORMAT, "%s is no database of an index", path);
    if (version != VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s has version %" PRId64 ", this program reads %d", path, version,
                       VERSION);
    *ret_documents = el_steal(documents);
    return 0;
}

// ---- transactions ----

static int read_state(struct el_documents *documents, struct el_documents_state *ret_state) {
    sqlite3_stmt *statement;
    int status = start(documents, GET_STATE, NULL, 0, &statement);
    if (status < 0) return status;
    if (status == 0) return el_fail(EL_EFORMAT, "%s: there is no state in it", documents->path);
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
    const struct value values[] = {number(state->generation), number(state->rows),
                                   number(state->version + 1)};
    EL_TRY(run(documents, SET_STATE, values, EL_COUNT(values)));
    return run(documents, COMMIT, NULL, 0);
}

void el_documents_end(struct el_documents *documents) {
    for (int i = 0; i < STATEMENTS; i++)
        if (documents->statements[i]) sqlite3_reset(documents->statements[i]);
    if (!sqlite3_get_autocommit(documents->db)) sqlite3_exec(documents->db, "ROLLBACK", NULL, NULL, NULL);
}

int el_documents_key(struct el_documents *documents, struct el_siphash_key *ret_key) {
    sqlite3_stmt *statement;
    int status = start(documents, GET_KEY, NULL, 0, &statement);
    if (status < 0) return status;
    if (status == 0 || sqlite3_column_bytes(statement, 0) != sizeof *ret_key)
        return el_fail(EL_EFORMAT, "%s: there is no key in it", documents->path);
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
    const struct value value = string(id);
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
    const struct value value = number(which);
    EL_TRY(run(documents, KILL_CHUNKS, &value, 1));
    EL_TRY(run(documents, REMOVE_CHUNKS, &value, 1));
    EL_TRY(run(documents, REMOVE_DOCUMENT, &value, 1));
    return 1;
}

int el_documents_put(struct el_documents *documents, const struct el_index_document *document,
                     int64_t first) {
    EL_TRY(el_documents_remove(documents, document->id));
    const struct value values[] = {string(document->id), blob(&document->hash, sizeof document->hash),
                                   string(document->metadata)};
    EL_TRY(run(documents, ADD_DOCUMENT, values, EL_COUNT(values)));
    const int64_t which = sqlite3_last_insert_rowid(documents->db);
    for (int64_t i = 0; i < document->chunks; i++) {
        const struct el_text *chunk = document->texts ? &document->texts[i] : NULL;
        const struct value row[] = {number(first + i), number(which), number(i),
                                    text(chunk ? chunk->data : NULL, chunk ? chunk->length : 0)};
        EL_TRY(run(documents, ADD_CHUNK, row, EL_COUNT(row)));
    }
    return 0;
}

int el_documents_passage(struct el_documents *documents, int64_t row, struct el_passage *ret_passage) {
    sqlite3_stmt *statement;
    const struct value value = number(row);
    int status = start(documents, PASSAGE, &value, 1, &statement);
    if (status <= 0) return status;
    *ret_passage = (struct el_passage){.id = (const char *)sqlite3_column_text(statement, 0),
                                       .part = sqlite3_column_int64(statement, 1),
                                       .text = (const char *)sqlite3_column_text(statement, 2),
                                       .metadata = (const char *)sqlite3_column_text(statement, 3),
                                       .text_length = (size_t)sqlite3_column_bytes(statement, 2)};
    if (ret_passage->id) return 1; // the statement is reset when it is used again
    return el_fail(EL_ENOMEM, "%s: no memory for a document's id", documents->path);
}

int el_documents_each(struct el_documents *documents, const char *prefix,
                      int (*visit)(void *context, const char *id), void *context) {
    sqlite3_stmt *statement;
    const struct value value = string(prefix);
    int status = start(documents, EACH, &value, 1, &statement);
    while (status > 0) {
        EL_TRY(visit(context, (const char *)sqlite3_column_text(statement, 0)));
        status = step(documents, statement);
    }
    return status;
}

int el_documents_next(struct el_documents *documents, int64_t after, struct el_document_entry *ret_entry) {
    sqlite3_stmt *statement;
    const struct value value = number(after);
    int status = start(documents, NEXT, &value, 1, &statement);
    if (status <= 0) return status;
    *ret_entry = (struct el_document_entry){.number = sqlite3_column_int64(statement, 0),
                                            .id = (const char *)sqlite3_column_text(statement, 1),
                                            .metadata = (const char *)sqlite3_column_text(statement, 2),
                                            .hash = hash_in(statement, 3)};
    if (ret_entry->id) return 1; // the statement is reset when it is used again
    return el_fail(EL_ENOMEM, "%s: no memory for a document's id", documents->path);
}

int el_documents_each_chunk(struct el_documents *documents, int64_t which,
                            int (*visit)(void *context, int64_t row, const struct el_text *text),
                            void *context) {
    sqlite3_stmt *statement;
    const struct value value = number(which);
    int status = start(documents, EACH_CHUNK, &value, 1, &statement);
    while (status > 0) {
        const struct el_text text = {(const char *)sqlite3_column_text(statement, 1),
                                     (size_t)sqlite3_column_bytes(statement, 1)};
        EL_TRY(visit(context, sqlite3_column_int64(statement, 0), text.data ? &text : NULL));
        status = step(documents, statement);
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
        status = step(documents, statement);
    }
    return status;
}

int el_documents_lower(struct el_documents *documents, int64_t first, int64_t count, int64_t down) {
    const struct value values[] = {number(first), number(count), number(down)};
    return run(documents, LOWER, values, EL_COUNT(values));
}

int el_documents_forget_dead(struct el_documents *documents) {
    return run(documents, FORGET_DEAD, NULL, 0);
}
