// SPDX-License-Identifier: Apache-2.0
// Search by meaning: named indexes below a folder, whose texts and questions a model turns into vectors.
#ifndef EL_SERVICE_SEARCH_H
#define EL_SERVICE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"
#include "service/chunk.h"
#include "service/embed.h"

// 1 to 100 letters, digits, '-' and '_', the first a letter or a digit. EL_EINVAL quotes the name.
int el_search_name_check(const char *name);

// The index NAME is the folder root/NAME.
// The codes are those of index.h, EL_EINVAL for a name, and those of a server; each detail names the index.
// `url`: of the store that is to keep it, or NULL: the folder itself.
int el_search_create(const char *root, const char *name, const char *url,
                     const struct el_vector_facts *facts);
int el_search_open(const char *root, const char *name, bool writable, struct el_index **ret_index);
int el_search_delete(const char *root, const char *name);
// Calls `visit` with each name, in their order, until it is negative. A root that is not there has none.
int el_search_list(const char *root, int (*visit)(void *context, const char *name), void *context);

struct el_search_document {
    const char *id;
    const char *metadata; // JSON, or NULL
    struct el_text text;  // valid UTF-8
    // How it is cut; all zero: by paragraph, as many tokens as the model takes and at most 512, an eighth
    // repeated.
    enum el_chunk_by by;
    int64_t chunk_tokens;  // at most in a chunk, those of the prompt and the model's own not counted
    int64_t chunk_overlap; // with EL_SEARCH_NO_OVERLAP for none
    const char *title;     // el_chunk_rules.title, or NULL
};
enum { EL_SEARCH_NO_OVERLAP = -1 };

// What el_index_find gives for this document once it was added: of its content and how it is cut.
struct el_hash128 el_search_hash(const struct el_index *index, const struct el_search_document *document);

// Cuts the documents into chunks, embeds them and puts them into the index: all, or on failure none. The
// model's prompt for documents is put before each chunk, where it has one. *ret_chunks of all. EL_EINVAL:
// chunks of more tokens than the model takes, or an overlap as long as a chunk.
int el_search_add(struct el_index *index, struct el_embedder *embedder,
                  const struct el_search_document *documents, size_t count, int64_t *ret_chunks);

// Whether a query takes a model: it searches vectors and has none yet.
bool el_search_embeds(const struct el_index_query *query);
// As el_index_search; a query that embeds gets the vectors of its texts, with the model's prompt for queries.
// For others the embedder may be NULL.
int el_search_query(struct el_index *index, struct el_embedder *embedder, const struct el_index_query *query,
                    struct el_index_answer *ret_answer);

#endif
