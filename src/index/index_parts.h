// SPDX-License-Identifier: Apache-2.0
// The inside of an open index, for the files of this folder.
#ifndef EL_INDEX_INDEX_PARTS_H
#define EL_INDEX_INDEX_PARTS_H

#include <pthread.h>

#include "index/documents.h"
#include "index/index.h"

struct el_index {
    char *folder;
    int lock; // or -1: only reads
    pthread_mutex_t mutex;
    struct el_documents *documents;
    struct el_vector_file *file;
    struct el_vector_facts facts;
    struct el_siphash_key key;
    int64_t generation; // of `file`
    int64_t version;    // of `allowed`; -1: it has not been made
    uint64_t *allowed;  // a bit per row that counts, or NULL: all do
};

// What a call does within a transaction, under the mutex. One that writes sets *state to what is to hold
// then.
typedef int el_index_work(struct el_index *index, struct el_documents_state *state, void *context);
// Commits what `work` wrote when it is not negative; returns what it returned. EL_EINVAL: opened for reading.
int el_index_transact(struct el_index *index, bool writes, el_index_work *work, void *context);

// A vector as it is kept and searched: for cosine, of length 1. What is wrong with one that can't be, or
// NULL.
const char *el_index_prepare_vector(const struct el_vector_facts *facts, const float *vector,
                                    float *ret_vector);

#endif
