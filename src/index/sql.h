// SPDX-License-Identifier: Apache-2.0
// A SQLite database and statements that run on it, with errors that name its path.
#ifndef EL_INDEX_SQL_H
#define EL_INDEX_SQL_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct el_sql {
    char *path;
    sqlite3 *db;
};

// A parameter. What it points to must last until the statement's last step.
struct el_sql_value {
    int type; // SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB or SQLITE_NULL
    int64_t number;
    double real;
    const void *data;
    size_t size;
};
struct el_sql_value el_sql_number(int64_t number);
struct el_sql_value el_sql_real(double real);
struct el_sql_value el_sql_text(const char *data, size_t size); // NULL: null
struct el_sql_value el_sql_string(const char *data);
struct el_sql_value el_sql_blob(const void *data, size_t size);

// The last call's failure: EL_ENOMEM, EL_EFORMAT (the file is damaged), EL_EBUSY, EL_EIO.
int el_sql_fail(const struct el_sql *sql);
// Statements that have no rows and no parameters.
int el_sql_execute(const struct el_sql *sql, const char *text);
// `flags` of sqlite3_prepare_v3. The statement is to be finalized.
int el_sql_prepare(const struct el_sql *sql, const char *text, unsigned flags, sqlite3_stmt **ret_statement);
// Binds the values to ?1, ?2, ... and takes the first step.
int el_sql_start(const struct el_sql *sql, sqlite3_stmt *statement, const struct el_sql_value *values,
                 size_t count);
// 1 when the statement has a row, 0 when it is through.
int el_sql_step(const struct el_sql *sql, sqlite3_stmt *statement);

void el_sql_finalize_p(sqlite3_stmt **statement);
#define el_auto_statement __attribute__((cleanup(el_sql_finalize_p)))

#endif
