// SPDX-License-Identifier: Apache-2.0
// Statements on a SQLite database.
#include "index/sql.h"

#include <string.h>

#include "base/error.h"

struct el_sql_value el_sql_number(int64_t number) {
    return (struct el_sql_value){.type = SQLITE_INTEGER, .number = number};
}

struct el_sql_value el_sql_real(double real) {
    return (struct el_sql_value){.type = SQLITE_FLOAT, .real = real};
}

struct el_sql_value el_sql_text(const char *data, size_t size) {
    return (struct el_sql_value){.type = data ? SQLITE_TEXT : SQLITE_NULL, .data = data, .size = size};
}

struct el_sql_value el_sql_string(const char *data) {
    return el_sql_text(data, data ? strlen(data) : 0);
}

struct el_sql_value el_sql_blob(const void *data, size_t size) {
    return (struct el_sql_value){.type = SQLITE_BLOB, .data = data, .size = size};
}

int el_sql_fail(const struct el_sql *sql) {
    const int code = sqlite3_errcode(sql->db) & 0xff;
    const int status = code == SQLITE_NOMEM                              ? EL_ENOMEM
                       : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EL_EFORMAT
                       : code == SQLITE_BUSY                             ? EL_EBUSY
                                                                         : EL_EIO;
    return el_fail(status, "%s: %s", sql->path, sqlite3_errmsg(sql->db));
}

int el_sql_execute(const struct el_sql *sql, const char *text) {
    return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : el_sql_fail(sql);
}

int el_sql_prepare(const struct el_sql *sql, const char *text, unsigned flags, sqlite3_stmt **ret_statement) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(sql->db, text, -1, flags, &statement, NULL) != SQLITE_OK) return el_sql_fail(sql);
    *ret_statement = statement;
    return 0;
}

static int bind(sqlite3_stmt *statement, int place, const struct el_sql_value *value) {
    switch (value->type) {
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(statement, place, value->number);
    case SQLITE_FLOAT:
        return sqlite3_bind_double(statement, place, value->real);
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, place, value->data, value->size, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_BLOB:
        return sqlite3_bind_blob64(statement, place, value->data, value->size, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(statement, place);
    }
}

int el_sql_start(const struct el_sql *sql, sqlite3_stmt *statement, const struct el_sql_value *values,
                 size_t count) {
    sqlite3_reset(statement);
    for (size_t i = 0; i < count; i++)
        if (bind(statement, (int)i + 1, &values[i]) != SQLITE_OK) return el_sql_fail(sql);
    return el_sql_step(sql, statement);
}

int el_sql_step(const struct el_sql *sql, sqlite3_stmt *statement) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return 1;
    const int status = code == SQLITE_DONE ? 0 : el_sql_fail(sql);
    sqlite3_reset(statement);
    return status;
}

void el_sql_finalize_p(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}
