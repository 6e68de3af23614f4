// SPDX-License-Identifier: Apache-2.0
// Reading documents one after another, with all that belongs to them, out of the embedded store.
#include <inttypes.h>

#include "base/error.h"
#include "index/embedded.h"
#include "index/page.h"

struct reading {
    struct el_page_filling filling;
    struct el_embedded *index;
    int64_t rows; // of the state
};

static int add_chunk(void *context, int64_t row, const struct el_text *text) {
    struct reading *reading = context;
    if (row < 0 || row >= reading->rows)
        return el_fail(EL_EFORMAT, "%s is damaged: there is no row %" PRId64, reading->index->folder, row);
    const float *rows = el_vector_file_rows(reading->index->file);
    return el_page_add_chunk(&reading->filling, rows + (size_t)row * reading->filling.dim, text);
}

static int add_document(struct reading *reading, const struct el_document_entry *entry) {
    EL_TRY(el_page_begin_document(&reading->filling, entry->id, entry->metadata, entry->hash));
    EL_TRY(el_documents_each_chunk(reading->index->documents, entry->number, add_chunk, reading));
    return el_page_end_document(&reading->filling, entry->number);
}

static int read_page(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct reading *reading = context;
    struct el_document_entry entry;
    int more = 1;
    reading->index = index;
    reading->rows = state->rows;
    EL_TRY(el_page_begin(&reading->filling));
    while (!el_page_is_full(&reading->filling) &&
           (more = el_documents_next(index->documents, reading->filling.page->last, &entry)) > 0)
        EL_TRY(add_document(reading, &entry));
    return more < 0 ? more : el_page_end(&reading->filling);
}

int el_embedded_read(struct el_index *index, struct el_index_page *page) {
    struct reading reading = {.filling = {.page = page, .dim = (size_t)index->facts.dim}};
    const int status = el_embedded_transact(index, false, read_page, &reading);
    el_page_filling_done(&reading.filling);
    return status;
}
