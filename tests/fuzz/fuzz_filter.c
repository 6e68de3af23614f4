// SPDX-License-Identifier: Apache-2.0
// Fuzzes filters: whatever the bytes, they are refused with a sentence, or become SQL that SQLite takes, with
// a value for each of its parameters, and that has an answer on any document.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/filter_sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const table = "CREATE TABLE documents(metadata TEXT);"
                                 "INSERT INTO documents VALUES(NULL), ('{}'), "
                                 "('{\"a\":1,\"b\":[\"x\",null,true,1.5],\"c\":{\"a\":\"y\"}}')";

static struct el_sql database = {.path = ":memory:"};

static void open_database(void) {
    if (database.db) return;
    if (sqlite3_open(":memory:", &database.db) != SQLITE_OK || el_sql_execute(&database, table) < 0) abort();
}

static void check(const struct el_filter_sql *condition) {
    sqlite3_stmt *statement el_auto_statement = NULL;
    if (el_sql_prepare(&database, condition->text.data, 0, &statement) < 0) abort();
    if ((size_t)sqlite3_bind_parameter_count(statement) != condition->count) abort();
    int status = el_sql_start(&database, statement, condition->values, condition->count);
    for (; status > 0; status = el_sql_step(&database, statement))
        if (sqlite3_column_type(statement, 0) != SQLITE_INTEGER) abort(); // true or false, never null
    if (status < 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_arena arena el_auto(el_arena_done);
    struct el_filter_sql condition = {.arena = &arena};
    const struct el_filter *filter;
    char *json el_auto_free = NULL;
    open_database();
    el_arena_init(&arena);
    if (el_strndup((const char *)data, size, &json) < 0) return 0;
    if (el_filter_parse(json, &arena, &filter) < 0) {
        if (!*el_error_detail()) abort();
        return 0;
    }
    if (el_str_puts(&condition.text, "SELECT ") < 0 || el_filter_put_sql(filter, &condition) < 0 ||
        el_str_puts(&condition.text, " FROM documents") < 0)
        abort();
    check(&condition);
    el_str_done(&condition.text);
    return 0;
}
