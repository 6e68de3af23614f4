// SPDX-License-Identifier: Apache-2.0
// A page of documents by a cursor, which gives their chunks some at a time until the page is full: how many
// bytes of text they have is known only then.
#include "postgres/read.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/page.h"
#include "postgres/query.h"
#include "postgres/wire.h"

// The cursor's columns; of a document without chunks the last three are NULL.
enum { NUMBER, ID, HASH, METADATA, PART, TEXT, VECTOR };

struct reading {
    struct el_page_filling filling;
    int64_t after;  // the page begins behind this document
    int64_t number; // of the document that was begun; `after`: none was
    float *vector;  // [dim]
};

static const char *text_at(const PGresult *result, int row, int column) {
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static int end_document(struct reading *reading) {
    return reading->number == reading->after ? 0 : el_page_end_document(&reading->filling, reading->number);
}

static int begin_document(struct reading *reading, const PGresult *result, int row) {
    struct el_hash128 hash = {{0}};
    if (PQgetlength(result, row, HASH) == sizeof hash)
        memcpy(&hash, PQgetvalue(result, row, HASH), sizeof hash);
    reading->number = el_wire_i64(result, row, NUMBER);
    return el_page_begin_document(&reading->filling, PQgetvalue(result, row, ID),
                                  text_at(result, row, METADATA), hash);
}

static int add_chunk(struct reading *reading, const PGresult *result, int row) {
    const struct el_text text = {text_at(result, row, TEXT), (size_t)PQgetlength(result, row, TEXT)};
    if (PQgetisnull(result, row, PART)) return 0;
    EL_TRY(el_wire_vector(result, row, VECTOR, (int)reading->filling.dim, reading->vector));
    return el_page_add_chunk(&reading->filling, reading->vector, text.data ? &text : NULL);
}

// 1 when more can be taken; the page is full only where a document ends.
static int take_rows(struct reading *reading, const PGresult *result) {
    for (int row = 0; row < PQntuples(result); row++) {
        if (el_wire_i64(result, row, NUMBER) != reading->number) {
            EL_TRY(end_document(reading));
            if (el_page_is_full(&reading->filling)) return 0;
            EL_TRY(begin_document(reading, result, row));
        }
        EL_TRY(add_chunk(reading, result, row));
    }
    if (PQntuples(result)) return 1;
    EL_TRY(end_document(reading));
    return 0;
}

static int open_cursor(struct el_pg *pg, int64_t after) {
    struct el_pg_statement statement el_auto(el_pg_statement_done);
    struct el_str *text = &statement.text;
    el_pg_statement_init(&statement);
    EL_TRY(el_str_puts(text, "DECLARE page NO SCROLL CURSOR FOR"
                             " SELECT number, id, hash, metadata::text, part, text, vector"
                             " FROM (SELECT * FROM documents WHERE number > "));
    EL_TRY(el_pg_put_i64(&statement, after));
    EL_TRY(el_str_puts(text, " ORDER BY number LIMIT "));
    EL_TRY(el_pg_put_i64(&statement, EL_PAGE_DOCUMENTS));
    EL_TRY(el_str_puts(text, ") AS next LEFT JOIN chunks ON document = number ORDER BY number, part"));
    return el_pg_run(pg, text->data, statement.values, statement.count);
}

static int read_page(struct el_pg *pg, void *context) {
    struct reading *reading = context;
    int more = 1;
    reading->number = reading->filling.page->last = reading->after;
    EL_TRY(el_page_begin(&reading->filling));
    EL_TRY(open_cursor(pg, reading->after));
    while (more) {
        PGresult *result el_auto_result = NULL;
        EL_TRY(el_pg_query(pg, "FETCH 256 FROM page", NULL, 0, &result));
        more = take_rows(reading, result);
        if (more < 0) return more;
    }
    return el_page_end(&reading->filling);
}

int el_pg_read(struct el_pg *pg, int dim, struct el_index_page *page) {
    struct reading reading = {.filling = {.page = page, .dim = (size_t)dim}, .after = page->last};
    EL_TRY(el_alloc((size_t)dim, sizeof *reading.vector, &reading.vector));
    const int status = el_pg_transact(pg, read_page, &reading); // whose end closes the cursor
    el_page_filling_done(&reading.filling);
    el_free(reading.vector);
    return status;
}
