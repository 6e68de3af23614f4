// SPDX-License-Identifier: Apache-2.0
// A page of documents as a store fills it: each document is begun, gets its chunks and is ended.
#ifndef EL_INDEX_PAGE_H
#define EL_INDEX_PAGE_H

#include "base/str.h"
#include "index/index.h"

enum { EL_PAGE_DOCUMENTS = 4096 }; // at most

struct el_page_filling {
    struct el_index_page *page;
    size_t dim;
    struct el_index_document document; // that was begun
    struct el_str vectors, texts;      // of the page; of the document: struct el_text
};

// An empty page; also for another try at filling one. All of these: EL_ENOMEM.
int el_page_begin(struct el_page_filling *filling);
int el_page_begin_document(struct el_page_filling *filling, const char *id, const char *metadata,
                           struct el_hash128 hash);
int el_page_add_chunk(struct el_page_filling *filling, const float *vector /* [dim] */,
                      const struct el_text *text /* or NULL */);
int el_page_end_document(struct el_page_filling *filling, int64_t number);
// Whether it has documents or bytes enough.
bool el_page_is_full(const struct el_page_filling *filling);
int el_page_end(struct el_page_filling *filling);

// Frees what is needed for filling alone, whether or not that came to its end.
void el_page_filling_done(struct el_page_filling *filling);

#endif
