// SPDX-License-Identifier: Apache-2.0
// Which rows of the vectors are whose (chunks), whose no longer (dead), and the words that text search goes
// by.
#include "index/schema.h"

#include <inttypes.h>

#include "base/error.h"
#include "index/words.h"

enum { APPLICATION = 0x454C4958 }; // "ELIX"

#define CHUNKS                                                                             \
    "CREATE TABLE chunks(chunk INTEGER PRIMARY KEY, row INTEGER NOT NULL UNIQUE,"          \
    "  document INTEGER NOT NULL REFERENCES documents, part INTEGER NOT NULL, text TEXT);" \
    "CREATE INDEX chunks_of_document ON chunks(document, row);"

// What a document is called: its id, which may be a path, and the title among its metadata.
#define NAME \
    "id || ' ' || ifnull(CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.title') END, '')"

// The words of the chunks, by stems: of their texts, and of their documents' names. Neither is kept twice: so
// FTS5 is to be told them again when they go.
#define WORDS                                                                              \
    "CREATE VIRTUAL TABLE words"                                                           \
    "  USING fts5(text, name, content = '', tokenize = 'porter " EL_WORDS_TOKENIZER "');"  \
    "CREATE TRIGGER chunk_comes AFTER INSERT ON chunks WHEN new.text IS NOT NULL BEGIN"    \
    "  INSERT INTO words(rowid, text, name) SELECT new.chunk, new.text, " NAME             \
    "  FROM documents WHERE number = new.document; END;"                                   \
    "CREATE TRIGGER chunk_goes AFTER DELETE ON chunks WHEN old.text IS NOT NULL BEGIN"     \
    "  INSERT INTO words(words, rowid, text, name) SELECT 'delete', old.chunk, old.text, " \
    "  " NAME " FROM documents WHERE number = old.document; END;"

static const char *const tables =
    "CREATE TABLE state(generation INTEGER NOT NULL, rows INTEGER NOT NULL, version INTEGER NOT NULL,"
    "  key BLOB NOT NULL);"
    "CREATE TABLE documents(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,"
    "  metadata TEXT);"
    "CREATE TABLE dead(row INTEGER PRIMARY KEY);" CHUNKS WORDS "PRAGMA application_id = 0x454C4958;"
    "PRAGMA user_version = 3";

// From each earlier version to the last. Version 1 had no words, and its chunks no number that compaction
// leaves alone; version 2 had the words of texts alone, without stems.
static const char *const upgrades[EL_SCHEMA_VERSION] = {
    [1] =
        "BEGIN IMMEDIATE;"
        "DROP INDEX chunks_of_document;"
        "ALTER TABLE chunks RENAME TO chunks_1;" CHUNKS WORDS "INSERT INTO chunks(row, document, part, text)"
        "  SELECT row, document, part, text FROM chunks_1 ORDER BY row;"
        "DROP TABLE chunks_1;"
        "PRAGMA user_version = 3;"
        "COMMIT",
    [2] = "BEGIN IMMEDIATE;"
          "DROP TRIGGER chunk_comes; DROP TRIGGER chunk_goes; DROP TABLE words;" WORDS
          "INSERT INTO words(rowid, text, name) SELECT chunk, text, " NAME
          "  FROM chunks JOIN documents ON number = document WHERE text IS NOT NULL;"
          "PRAGMA user_version = 3;"
          "COMMIT",
};

int el_schema_make(const struct el_sql *sql) {
    return el_sql_execute(sql, tables);
}

static int read_pragma(const struct el_sql *sql, const char *what, int64_t *ret_value) {
    sqlite3_stmt *statement el_auto_statement = NULL;
    EL_TRY(el_sql_prepare(sql, what, 0, &statement));
    int status = el_sql_step(sql, statement);
    if (status < 0) return status;
    *ret_value = status > 0 ? sqlite3_column_int64(statement, 0) : 0;
    return 0;
}

int el_schema_check(const struct el_sql *sql, int64_t *ret_version) {
    int64_t application, version;
    EL_TRY(read_pragma(sql, "PRAGMA application_id", &application));
    EL_TRY(read_pragma(sql, "PRAGMA user_version", &version));
    if (application != APPLICATION) return el_fail(EL_EFORMAT, "%s is no database of an index", sql->path);
    if (version < 1 || version > EL_SCHEMA_VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s has version %" PRId64 ", this program reads up to %d", sql->path,
                       version, EL_SCHEMA_VERSION);
    *ret_version = version;
    return 0;
}

int el_schema_upgrade(const struct el_sql *sql) {
    int64_t version;
    EL_TRY(el_schema_check(sql, &version));
    return version == EL_SCHEMA_VERSION ? 0 : el_sql_execute(sql, upgrades[version]);
}
