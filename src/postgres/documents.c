// SPDX-License-Identifier: Apache-2.0
// Documents into the database, by binary COPY, and out of it.
#include "postgres/documents.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "postgres/filter.h"
#include "postgres/query.h"
#include "postgres/wire.h"

enum { COPY_BYTES = 1 << 20 }; // are sent at once

// ---- putting ----

struct putting {
    const struct el_index_batch *batch;
    int dim;
    bool *superseded;    // [batch->count]: the same id stands again behind
    const char **ids;    // [batch->count]
    int64_t *numbers;    // [batch->count], of the documents
    struct el_str bytes; // of a parameter or a COPY
};

static void putting_done(struct putting *putting) {
    el_free(putting->superseded);
    el_free(putting->ids);
    el_free(putting->numbers);
    el_str_done(&putting->bytes);
}

static int by_id(const void *a, const void *b) {
    const char *const *const *x = a, *const *const *y = b;
    const int order = strcmp(**x, **y);
    return order ? order : (*x > *y) - (*x < *y);
}

static int find_superseded(struct putting *putting) {
    const char ***sorted el_auto_free = NULL; // pointers into putting->ids
    const size_t count = putting->batch->count;
    EL_TRY(el_alloc(count, sizeof *sorted, &sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &putting->ids[i];
    qsort(sorted, count, sizeof *sorted, by_id);
    for (size_t i = 0; i + 1 < count; i++)
        putting->superseded[sorted[i] - putting->ids] = el_streq(*sorted[i], *sorted[i + 1]);
    return 0;
}

static int prepare(struct putting *putting) {
    const size_t count = putting->batch->count;
    EL_TRY(el_zalloc(count, sizeof *putting->superseded, &putting->superseded));
    EL_TRY(el_alloc(count, sizeof *putting->ids, &putting->ids));
    EL_TRY(el_alloc(count, sizeof *putting->numbers, &putting->numbers));
    for (size_t i = 0; i < count; i++)
        putting->ids[i] = putting->batch->documents[i].id;
    return find_superseded(putting);
}

// Those that are to be replaced go. A bigint array of one row would do for numbers; a series needs none.
static int remove_old(struct el_pg *pg, const char *const *ids, size_t count, struct el_str *bytes,
                      int64_t *ret_removed) {
    PGresult *result el_auto_result = NULL;
    el_str_clear(bytes);
    EL_TRY(el_wire_put_texts(bytes, ids, count));
    const struct el_pg_value value = {bytes->data, bytes->length};
    EL_TRY(el_pg_query(pg,
                       "DELETE FROM documents USING unnest($1::text[]) AS old(id)"
                       "  WHERE documents.id = old.id",
                       &value, 1, &result));
    return el_parse_i64(PQcmdTuples(result), 0, INT64_MAX, ret_removed);
}

static int draw_numbers(struct el_pg *pg, struct putting *putting) {
    PGresult *result el_auto_result = NULL;
    const size_t count = putting->batch->count;
    el_str_clear(&putting->bytes);
    EL_TRY(el_wire_put_i64(&putting->bytes, (int64_t)count));
    const struct el_pg_value value = {putting->bytes.data, putting->bytes.length};
    EL_TRY(
        el_pg_query(pg, "SELECT nextval('numbers') FROM generate_series(1, $1::bigint)", &value, 1, &result));
    if ((size_t)PQntuples(result) != count)
        return el_fail(EL_EFORMAT, "%s: the sequence of numbers gave %d of %zu", pg->url, PQntuples(result),
                       count);
    for (size_t i = 0; i < count; i++)
        putting->numbers[i] = el_wire_i64(result, (int)i, 0);
    return 0;
}

// Sends what has come together, when that is enough or the last.
static int send_bytes(struct el_pg *pg, struct el_str *bytes, size_t enough) {
    if (bytes->length < enough) return 0;
    EL_TRY(el_pg_copy(pg, bytes->data, bytes->length));
    el_str_clear(bytes);
    return 0;
}

static int put_document(const struct el_index_document *document, int64_t number, struct el_str *out) {
    EL_TRY(el_wire_copy_row(out, 5));
    EL_TRY(el_wire_field_i64(out, number));
    EL_TRY(el_wire_field_bytes(out, document->id, strlen(document->id)));
    EL_TRY(el_wire_field_bytes(out, &document->hash, sizeof document->hash));
    EL_TRY(document->metadata ? el_wire_field_json(out, document->metadata) : el_wire_field_null(out));
    return el_wire_field_i64(out, document->chunks);
}

static int put_chunk(const struct el_index_document *document, int64_t number, int64_t part, const float *row,
                     int dim, struct el_str *out) {
    const struct el_text *text = document->texts ? &document->texts[part] : NULL;
    EL_TRY(el_wire_copy_row(out, 4));
    EL_TRY(el_wire_field_i64(out, number));
    EL_TRY(el_wire_field_i64(out, part));
    EL_TRY(text && text->data ? el_wire_field_bytes(out, text->data, text->length) : el_wire_field_null(out));
    return el_wire_field_vector(out, row, dim);
}

static int copy_documents(struct el_pg *pg, struct putting *putting) {
    struct el_str *bytes = &putting->bytes;
    for (size_t i = 0; i < putting->batch->count; i++) {
        if (putting->superseded[i]) continue;
        EL_TRY(put_document(&putting->batch->documents[i], putting->numbers[i], bytes));
        EL_TRY(send_bytes(pg, bytes, COPY_BYTES));
    }
    return 0;
}

static int copy_chunks(struct el_pg *pg, struct putting *putting) {
    struct el_str *bytes = &putting->bytes;
    const float *row = putting->batch->rows;
    for (size_t i = 0; i < putting->batch->count; i++) {
        const struct el_index_document *document = &putting->batch->documents[i];
        for (int64_t part = 0; part < document->chunks; part++, row += putting->dim) {
            if (putting->superseded[i]) continue;
            EL_TRY(put_chunk(document, putting->numbers[i], part, row, putting->dim, bytes));
            EL_TRY(send_bytes(pg, bytes, COPY_BYTES));
        }
    }
    return 0;
}

static int copy(struct el_pg *pg, const char *sql, struct putting *putting,
                int (*rows)(struct el_pg *pg, struct putting *putting)) {
    el_str_clear(&putting->bytes);
    EL_TRY(el_pg_script(pg, sql));
    EL_TRY(el_wire_copy_head(&putting->bytes));
    EL_TRY(rows(pg, putting));
    EL_TRY(el_wire_copy_tail(&putting->bytes));
    EL_TRY(send_bytes(pg, &putting->bytes, 0));
    return el_pg_copy_end(pg);
}

static int put(struct el_pg *pg, void *context) {
    struct putting *putting = context;
    int64_t removed;
    EL_TRY(remove_old(pg, putting->ids, putting->batch->count, &putting->bytes, &removed));
    EL_TRY(draw_numbers(pg, putting));
    EL_TRY(copy(pg, "COPY documents(number, id, hash, metadata, chunks) FROM STDIN (FORMAT binary)", putting,
                copy_documents));
    return copy(pg, "COPY chunks(document, part, text, vector) FROM STDIN (FORMAT binary)", putting,
                copy_chunks);
}

int el_pg_put(struct el_pg *pg, const struct el_index_batch *batch, int dim) {
    struct putting putting el_auto(putting_done) = {.batch = batch, .dim = dim};
    if (!batch->count) return 0;
    EL_TRY(prepare(&putting));
    return el_pg_transact(pg, put, &putting);
}

// ---- removing ----

struct removing {
    const char *const *ids;
    size_t count;
    int64_t removed;
};

static int remove_documents(struct el_pg *pg, void *context) {
    struct removing *removing = context;
    struct el_str bytes el_auto(el_str_done) = {0};
    return remove_old(pg, removing->ids, removing->count, &bytes, &removing->removed);
}

int el_pg_remove(struct el_pg *pg, const char *const *ids, size_t count, int64_t *ret_removed) {
    struct removing removing = {.ids = ids, .count = count};
    EL_TRY(el_pg_attempt(pg, remove_documents, &removing)); // a single statement
    *ret_removed = removing.removed;
    return 0;
}

struct removing_passing {
    const struct el_filter *filter;
    int64_t removed;
};

static int remove_documents_passing(struct el_pg *pg, void *context) {
    struct removing_passing *removing = context;
    struct el_pg_statement statement el_auto(el_pg_statement_done);
    PGresult *result el_auto_result = NULL;
    el_pg_statement_init(&statement);
    EL_TRY(el_str_puts(&statement.text, "DELETE FROM documents WHERE "));
    EL_TRY(el_pg_put_filter(removing->filter, &statement));
    EL_TRY(el_pg_query(pg, statement.text.data, statement.values, statement.count, &result));
    return el_parse_i64(PQcmdTuples(result), 0, INT64_MAX, &removing->removed);
}

int el_pg_remove_passing(struct el_pg *pg, const struct el_filter *filter, int64_t *ret_removed) {
    struct removing_passing removing = {.filter = filter};
    EL_TRY(el_pg_attempt(pg, remove_documents_passing, &removing)); // a single statement
    *ret_removed = removing.removed;
    return 0;
}

// ---- reading ----

struct finding {
    const char *const *ids; // or a prefix
    size_t count;
    struct el_index_known *known;
    PGresult *result;
};

static int find(struct el_pg *pg, void *context) {
    const struct finding *finding = context;
    PGresult *result el_auto_result = NULL;
    struct el_str ids el_auto(el_str_done) = {0};
    EL_TRY(el_wire_put_texts(&ids, finding->ids, finding->count));
    const struct el_pg_value value = {ids.data, ids.length};
    EL_TRY(el_pg_query(pg,
                       "SELECT place, hash FROM unnest($1::text[]) WITH ORDINALITY AS wanted(id, place)"
                       "  JOIN documents ON documents.id = wanted.id",
                       &value, 1, &result));
    for (int i = 0; i < PQntuples(result); i++) {
        struct el_index_known *known = &finding->known[el_wire_i64(result, i, 0) - 1];
        if (known->is_there) continue;
        known->is_there = true;
        if (PQgetlength(result, i, 1) == sizeof known->hash)
            memcpy(&known->hash, PQgetvalue(result, i, 1), sizeof known->hash);
    }
    return 0;
}

int el_pg_find(struct el_pg *pg, const char *const *ids, size_t count, struct el_index_known *inout_known) {
    struct finding finding = {.ids = ids, .count = count, .known = inout_known};
    return count ? el_pg_attempt(pg, find, &finding) : 0;
}

static int find_by_prefix(struct el_pg *pg, void *context) {
    struct finding *finding = context;
    const struct el_pg_value prefix = {*finding->ids, strlen(*finding->ids)};
    return el_pg_query(pg, "SELECT id FROM documents WHERE starts_with(id, $1::text) ORDER BY id", &prefix, 1,
                       &finding->result);
}

int el_pg_each(struct el_pg *pg, const char *prefix, int (*visit)(void *context, const char *id),
               void *context) {
    struct finding finding = {.ids = &prefix, .count = 1};
    int status = el_pg_attempt(pg, find_by_prefix, &finding);
    for (int i = 0; status >= 0 && i < PQntuples(finding.result); i++)
        status = visit(context, PQgetvalue(finding.result, i, 0));
    PQclear(finding.result);
    return EL_MIN(status, 0);
}
