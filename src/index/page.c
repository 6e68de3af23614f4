// SPDX-License-Identifier: Apache-2.0
// Filling a page. Texts lie in its arena at once, vectors come together behind each other first.
#include "index/page.h"

#include "base/error.h"

enum { ENOUGH_BYTES = 8 << 20 };

int el_page_begin(struct el_page_filling *filling) {
    struct el_index_page *page = filling->page;
    el_str_clear(&filling->vectors);
    el_arena_reset(&page->arena);
    page->count = 0;
    return el_arena_alloc(&page->arena, EL_PAGE_DOCUMENTS, sizeof *page->documents, &page->documents);
}

int el_page_begin_document(struct el_page_filling *filling, const char *id, const char *metadata,
                           struct el_hash128 hash) {
    struct el_arena *arena = &filling->page->arena;
    filling->document = (struct el_index_document){.hash = hash};
    el_str_clear(&filling->texts);
    EL_TRY(el_arena_strdup(arena, id, &filling->document.id));
    return el_arena_strdup(arena, metadata, &filling->document.metadata);
}

int el_page_add_chunk(struct el_page_filling *filling, const float *vector, const struct el_text *text) {
    struct el_text copy = {.length = text ? text->length : 0};
    EL_TRY(el_arena_strndup(&filling->page->arena, text ? text->data : NULL, copy.length, &copy.data));
    EL_TRY(el_str_append(&filling->vectors, vector, filling->dim * sizeof *vector));
    EL_TRY(el_str_append(&filling->texts, &copy, sizeof copy));
    filling->document.chunks++;
    return 0;
}

int el_page_end_document(struct el_page_filling *filling, int64_t number) {
    struct el_index_page *page = filling->page;
    const struct el_str *texts = &filling->texts;
    EL_TRY(el_arena_copy(&page->arena, texts->data, texts->length, &filling->document.texts));
    page->documents[page->count++] = filling->document;
    page->last = number;
    return 0;
}

bool el_page_is_full(const struct el_page_filling *filling) {
    const struct el_index_page *page = filling->page;
    return page->count == EL_PAGE_DOCUMENTS ||
           el_arena_bytes(&page->arena) + filling->vectors.length >= ENOUGH_BYTES;
}

int el_page_end(struct el_page_filling *filling) {
    struct el_index_page *page = filling->page;
    return el_arena_copy(&page->arena, filling->vectors.data, filling->vectors.length, &page->vectors);
}

void el_page_filling_done(struct el_page_filling *filling) {
    el_str_done(&filling->vectors);
    el_str_done(&filling->texts);
}
