// SPDX-License-Identifier: Apache-2.0
// The embedded store: a folder with a vector file and the database of its documents. The inside of an index
// that is open in it, for the files of this folder.
#ifndef EL_INDEX_EMBEDDED_H
#define EL_INDEX_EMBEDDED_H

#include "index/allowed.h"
#include "index/documents.h"
#include "index/lists.h"
#include "index/store.h"

struct el_embedded {
    struct el_index base; // first: a pointer to it is one to the whole
    char *folder;
    int lock; // or -1: only reads
    struct el_documents *documents;
    struct el_vector_file *file;
    int64_t generation; // of `file`
    struct el_allowed allowed;
    struct el_lists lists;
};

// What a call does within a transaction. One that writes sets *state to what is to hold
// then.
typedef int el_embedded_work(struct el_embedded *index, struct el_documents_state *state, void *context);
// Commits what `work` wrote when it is not negative; returns what it returned.
int el_embedded_transact(struct el_index *base, bool writes, el_embedded_work *work, void *context);

// Members of el_embedded_store that have files of their own.
int el_embedded_search(struct el_index *index, const struct el_index_query *query,
                       struct el_index_answer *answer);
int el_embedded_read(struct el_index *index, struct el_index_page *page);
int el_embedded_compact(struct el_index *index);
int el_embedded_verify(struct el_index *index);

#endif
