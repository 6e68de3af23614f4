// SPDX-License-Identifier: Apache-2.0
// What keeps an index, behind one table of functions: the embedded store (embedded.h) in the index's own
// folder, or another that its URL names. index.c has looked at arguments before it calls these: ids can be,
// vectors are prepared and finite, who writes has opened for writing.
#ifndef EL_INDEX_STORE_H
#define EL_INDEX_STORE_H

#include <pthread.h>

#include "index/filter.h"
#include "index/index.h"

// Documents on their way in.
struct el_index_batch {
    const struct el_index_document *documents;
    size_t count;
    int64_t chunks;    // of all documents
    const float *rows; // [chunks][dim], as el_index_prepare_vector makes them
};

struct el_index_store {
    const char *name;   // as stats say it
    const char *scheme; // URLs of this store begin with it; NULL: it needs none

    // As el_index_create, _open and _delete; `url` is the store's, NULL where it needs none. open fills in
    // all of struct el_index.
    int (*create)(const char *folder, const char *url, const struct el_vector_facts *facts);
    int (*open)(const char *folder, const char *url, bool writable, struct el_index **ret_index);
    void (*close)(struct el_index *index);
    int (*drop)(const char *folder, const char *url);

    // As the functions of index.h.
    int (*put)(struct el_index *index, const struct el_index_batch *batch);
    int (*remove)(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed);
    int (*remove_passing)(struct el_index *index, const struct el_filter *filter, int64_t *ret_removed);
    int (*find_all)(struct el_index *index, const struct el_index_document *documents, size_t count,
                    struct el_index_known *inout_known);
    int (*each)(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                void *context);
    // Hits and what they point to come from the answer's arena, which the caller frees on failure too; so it
    // is with pages.
    int (*read)(struct el_index *index, struct el_index_page *page); // goes on from page->last
    // Fills in the answer's lists, which are there and empty.
    int (*search)(struct el_index *index, const struct el_index_query *query, struct el_index_answer *answer);
    int (*stats)(struct el_index *index, struct el_index_stats *ret_stats);
    int (*compact)(struct el_index *index);
    int (*verify)(struct el_index *index);
};

extern const struct el_index_store el_embedded_store;

// The beginning of each store's own struct, which its open makes and its close destroys.
struct el_index {
    pthread_mutex_t mutex; // is held through each call of those above but open and close
    const struct el_index_store *store;
    const char *place; // folder or URL, for messages
    bool writable;
    struct el_vector_facts facts;
    struct el_siphash_key key;  // of the contents' hashes
    struct el_manager *manager; // el_index_use_devices
};

// A vector as it is kept and searched: for cosine, of length 1. What is wrong with one that can't be, or
// NULL.
const char *el_index_prepare_vector(const struct el_vector_facts *facts, const float *vector,
                                    float *ret_vector);

// `count` of a query's questions, from number `first` on; borrowed.
struct el_index_query el_index_query_part(const struct el_vector_facts *facts,
                                          const struct el_index_query *query, size_t first, size_t count);

#endif
