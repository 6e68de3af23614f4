// SPDX-License-Identifier: Apache-2.0
// Reading documents one after another, with all that belongs to them, some at a time.
#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/embedded.h"

enum { PAGE_DOCUMENTS = 4096, PAGE_BYTES = 8 << 20 };

// The page as it grows.
struct reading {
    struct el_embedded *index;
    struct el_index_page *page;
    int64_t rows; // of the state
    struct el_index_document document;
    struct el_str vectors, texts; // of the page; of the document: struct el_text
};

static int keep_chunk(void *context, int64_t row, const struct el_text *text) {
    struct reading *reading = context;
    struct el_text copy = {0};
    const size_t dim = (size_t)reading->index->base.facts.dim;
    if (row < 0 || row >= reading->rows)
        return el_fail(EL_EFORMAT, "%s is damaged: there is no row %" PRId64, reading->index->folder, row);
    const float *vector = el_vector_file_rows(reading->index->file) + (size_t)row * dim;
    EL_TRY(el_str_append(&reading->vectors, vector, dim * sizeof *vector));
    if (text) {
        copy.length = text->length;
        EL_TRY(el_arena_strndup(&reading->page->arena, text->data, text->length, &copy.data));
    }
    reading->document.chunks++;
    return el_str_append(&reading->texts, &copy, sizeof copy);
}

static int keep_document(struct reading *reading, const struct el_document_entry *entry) {
    struct el_arena *arena = &reading->page->arena;
    reading->document = (struct el_index_document){.hash = entry->hash};
    el_str_clear(&reading->texts);
    EL_TRY(el_arena_strdup(arena, entry->id, &reading->document.id));
    EL_TRY(el_arena_strdup(arena, entry->metadata, &reading->document.metadata));
    EL_TRY(el_documents_each_chunk(reading->index->documents, entry->number, keep_chunk, reading));
    EL_TRY(el_arena_copy(arena, reading->texts.data, reading->texts.length, &reading->document.texts));
    reading->page->documents[reading->page->count++] = reading->document;
    reading->page->last = entry->number;
    return 0;
}

static int read_page(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct reading *reading = context;
    struct el_index_page *page = reading->page;
    struct el_document_entry entry;
    int more = 1;
    reading->index = index;
    reading->rows = state->rows;
    EL_TRY(el_arena_alloc(&page->arena, PAGE_DOCUMENTS, sizeof *page->documents, &page->documents));
    while (page->count < PAGE_DOCUMENTS &&
           el_arena_bytes(&page->arena) + reading->vectors.length < PAGE_BYTES &&
           (more = el_documents_next(index->documents, page->last, &entry)) > 0)
        EL_TRY(keep_document(reading, &entry));
    if (more < 0) return more;
    return el_arena_copy(&page->arena, reading->vectors.data, reading->vectors.length, &page->vectors);
}

int el_embedded_read(struct el_index *index, struct el_index_page *page) {
    struct reading reading = {.page = page};
    int status = el_embedded_transact(index, false, read_page, &reading);
    el_str_done(&reading.vectors);
    el_str_done(&reading.texts);
    return status;
}
