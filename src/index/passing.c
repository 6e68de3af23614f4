// SPDX-License-Identifier: Apache-2.0
// The documents whose metadata pass a filter: their rows, and their removal.
#include "base/error.h"
#include "base/mem.h"
#include "index/documents.h"
#include "index/filter_sql.h"

// A statement around the filter's condition.
struct passing {
    const struct el_sql *sql;
    struct el_arena arena;
    sqlite3_stmt *statement;
};

static void passing_done(struct passing *passing) {
    sqlite3_finalize(passing->statement);
    el_arena_done(&passing->arena);
}

// Takes the first step of the statement, as el_sql_start.
static int start(struct passing *passing, const char *before, const struct el_filter *filter,
                 const char *behind) {
    struct el_filter_sql condition = {.arena = &passing->arena};
    struct el_str *text = &condition.text;
    el_arena_init(&passing->arena);
    int status = el_str_puts(text, before);
    if (status == 0) status = el_filter_put_sql(filter, &condition);
    if (status == 0) status = el_str_puts(text, behind);
    if (status == 0) status = el_sql_prepare(passing->sql, text->data, 0, &passing->statement);
    el_str_done(text);
    return status < 0 ? status
                      : el_sql_start(passing->sql, passing->statement, condition.values, condition.count);
}

int el_documents_each_passing(struct el_documents *documents, const struct el_filter *filter,
                              int (*visit)(void *context, int64_t row), void *context) {
    struct passing passing el_auto(passing_done) = {.sql = el_documents_sql(documents)};
    int status =
        start(&passing, "SELECT row FROM documents JOIN chunks ON document = number WHERE ", filter, "");
    while (status > 0) {
        EL_TRY(visit(context, sqlite3_column_int64(passing.statement, 0)));
        status = el_sql_step(passing.sql, passing.statement);
    }
    return status;
}

int el_documents_remove_passing(struct el_documents *documents, const struct el_filter *filter,
                                int64_t *ret_removed) {
    static const struct {
        const char *before, *behind;
    } steps[] = {
        {"INSERT INTO dead SELECT row FROM chunks WHERE document IN (SELECT number FROM documents WHERE ",
         ")"},
        {"DELETE FROM chunks WHERE document IN (SELECT number FROM documents WHERE ", ")"},
        {"DELETE FROM documents WHERE ", ""},
    };
    const struct el_sql *sql = el_documents_sql(documents);
    for (size_t i = 0; i < EL_COUNT(steps); i++) {
        struct passing passing el_auto(passing_done) = {.sql = sql};
        EL_TRY(start(&passing, steps[i].before, filter, steps[i].behind));
    }
    *ret_removed = sqlite3_changes64(sql->db); // of the last step
    return 0;
}
