// SPDX-License-Identifier: Apache-2.0
// What an index knows of its documents beside their vectors: a SQLite database that says which rows of which
// vector file are whose. It has the last word: rows that it does not name are as good as not there, so that a
// transaction here makes an addition, a replacement or a compaction true at once. Since a replaced document's
// rows stay in the vector file until that is compacted, they are kept here as dead.
//
// Every call stands between a begin and its end; a handle belongs to one thread at a time.
#ifndef EL_INDEX_DOCUMENTS_H
#define EL_INDEX_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"
#include "eleanor/eleanor.h"
#include "index/filter.h"
#include "index/sql.h"
#include "vectors/exact.h"

struct el_documents;

// What holds at a moment.
struct el_documents_state {
    int64_t generation; // of the vector file
    int64_t rows;       // of it that count; each belongs to a chunk or is dead
    int64_t version;    // grows with each transaction
};

// Makes the database, with a key of its own for hashes of contents, or with this one. EL_EIO, EL_ENOMEM.
int el_documents_create(const char *path, const struct el_siphash_key *key);
// EL_ENOENT, EL_EIO, EL_EFORMAT (something else), EL_EUNSUPPORTED (a newer version), EL_ENOMEM; so do all
// below.
int el_documents_open(const char *path, struct el_documents **ret_documents);
void el_documents_close(struct el_documents *documents);
// Brings a database of an earlier version up to date, for whom may write. Those can be read as they are, save
// that they have no text search.
int el_documents_upgrade(struct el_documents *documents);

// Sees the database as it is now, whatever others write meanwhile, until the end.
int el_documents_begin(struct el_documents *documents, bool writes, struct el_documents_state *ret_state);
// Makes what was written true, with the state as it is given; EL_EIO: nothing has changed.
int el_documents_commit(struct el_documents *documents, const struct el_documents_state *state);
// Ends reading, or drops what was written. Does nothing after a commit.
void el_documents_end(struct el_documents *documents);

// Random bits that were drawn with the database, for hashes of contents.
int el_documents_key(struct el_documents *documents, struct el_siphash_key *ret_key);

// 1 when there is a document of that id, else 0.
int el_documents_find(struct el_documents *documents, const char *id, struct el_hash128 *ret_hash);
// A new document whose chunks are the rows from `first` on; one of its id is removed before.
struct el_index_document;
int el_documents_put(struct el_documents *documents, const struct el_index_document *document, int64_t first);
// 1 when there was one. Its rows are dead.
int el_documents_remove(struct el_documents *documents, const char *id);

// Those whose metadata pass a filter.
int el_documents_remove_passing(struct el_documents *documents, const struct el_filter *filter,
                                int64_t *ret_removed);

// What a row is: 1, or 0 for none of a document. Borrowed until the next call.
struct el_passage {
    const char *id;
    int64_t part;                // of the document, from 0
    const char *text, *metadata; // or NULL
    size_t text_length;
};
int el_documents_passage(struct el_documents *documents, int64_t row, struct el_passage *ret_passage);

// Calls `visit` with the id of each document that begins with `prefix`, in their order, until it is negative.
int el_documents_each(struct el_documents *documents, const char *prefix,
                      int (*visit)(void *context, const char *id), void *context);
// Calls `visit` with each row of the documents that pass a filter, until it is negative.
int el_documents_each_passing(struct el_documents *documents, const struct el_filter *filter,
                              int (*visit)(void *context, int64_t row), void *context);

// The k rows whose texts answer a question best by their words (text_search.h): how many there are.
// EL_EUNSUPPORTED: there are no texts.
struct el_allowed;
int el_documents_match(struct el_documents *documents, const struct el_text *question,
                       const struct el_allowed *allowed, int k, struct el_hit *ret_hits /* [k] */);

// The document that came next after number `after`, which is at least 0: 1, or 0 when that was the last.
struct el_document_entry {
    int64_t number; // rises with each document that comes
    const char *id; // borrowed, as all below, until the next call
    const char *metadata;
    struct el_hash128 hash;
};
int el_documents_next(struct el_documents *documents, int64_t after, struct el_document_entry *ret_entry);
// Calls `visit` with the row and the text (or NULL) of each of its chunks, in order, until it is negative.
int el_documents_each_chunk(struct el_documents *documents, int64_t number,
                            int (*visit)(void *context, int64_t row, const struct el_text *text),
                            void *context);

struct el_documents_counts {
    int64_t documents, chunks, dead;
};
int el_documents_count(struct el_documents *documents, struct el_documents_counts *ret_counts);
// Calls `visit` with each dead row, in order.
int el_documents_each_dead(struct el_documents *documents, int (*visit)(void *context, int64_t row),
                           void *context);
// For compaction: the chunks of rows first .. first + count - 1 are `down` lower from now on.
int el_documents_lower(struct el_documents *documents, int64_t first, int64_t count, int64_t down);
int el_documents_forget_dead(struct el_documents *documents);

// For passing.c, which makes statements of its own.
const struct el_sql *el_documents_sql(const struct el_documents *documents);

#endif
