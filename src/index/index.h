// SPDX-License-Identifier: Apache-2.0
// An index: a folder with a vector file and the database of its documents. The whole loop:
//
//     el_index_create(folder, &facts);
//     el_index_open(folder, true, &index);
//     el_index_put(index, documents, count, vectors);              // 0: they are there for good, all of them
//     el_index_search(index, &query, &answer);
//     el_index_answer_done(&answer);
//     el_index_close(index);
//
// A change is in the vector file before the transaction that tells of it, so a crash leaves it done or not
// done. One handle may write at a time, in all processes, which a lock on the folder sees to; any number may
// read meanwhile, each search seeing one state of the whole. A handle is for any thread, one call at a time.
#ifndef EL_INDEX_INDEX_H
#define EL_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/siphash.h"
#include "base/thread.h"
#include "eleanor/eleanor.h"
#include "vectors/file.h"

enum { EL_INDEX_ID_SIZE = 4096 }; // bytes of a document's id, at most

struct el_index;
struct el_manager;
struct el_searcher;

// "ip", "cosine", "l2"; EL_EINVAL says what there is.
const char *el_metric_name(enum el_metric metric);
int el_metric_parse(const char *name, enum el_metric *ret_metric);

// Makes a folder with an empty index; it appears whole or not at all. EL_EINVAL (there is one; facts that
// can't be), EL_EIO, EL_ENOMEM.
int el_index_create(const char *folder, const struct el_vector_facts *facts);
// EL_ENOENT, EL_EBUSY (`writable`: another one writes), EL_ECHECKSUM, EL_EFORMAT, EL_EUNSUPPORTED, EL_EIO,
// EL_ENOMEM.
int el_index_open(const char *folder, bool writable, struct el_index **ret_index);
void el_index_close(struct el_index *index);
// Makes an empty index whose documents can go over into `whole` (el_index_merge): of the same facts, and with
// the same key, so that hashes stay good. The codes of el_index_create.
int el_index_create_part(const char *folder, const struct el_index *whole);
// Removes the folder. EL_ENOENT, EL_EBUSY, EL_EIO; what is no index is left alone: EL_EFORMAT.
int el_index_delete(const char *folder);

// The first GPU of the manager, where it has one, finds the nearest centroids when inverted lists are made.
// The manager is borrowed until the close; NULL: the processor does.
void el_index_use_devices(struct el_index *index, struct el_manager *manager);

const struct el_vector_facts *el_index_facts(const struct el_index *index);
// "flat", "ivf"; EL_EINVAL says what there is.
const char *el_index_kind_name(enum el_index_kind kind);
int el_index_kind_parse(const char *name, enum el_index_kind *ret_kind);
// What keeps it, "embedded" or another; and where: the folder, or a URL without a password.
const char *el_index_store_name(const struct el_index *index);
const char *el_index_place(const struct el_index *index);

struct el_index_document {
    const char *id;              // 1 .. EL_INDEX_ID_SIZE bytes: a path, a key of the client's
    const char *metadata;        // JSON, or NULL
    struct el_hash128 hash;      // of its content
    int64_t chunks;              // parts, each with a vector
    const struct el_text *texts; // [chunks]; NULL, or .data NULL: not kept
};

// Adds documents, or replaces those that have the same id: all, or on failure none. `vectors` are those of
// the chunks, one document after the other, [sum of chunks][dim]. EL_EINVAL names the document: an id that
// can't be, a vector that is not finite or, by cosine, has no direction. EL_EIO (a full disk), EL_EBUSY,
// EL_ENOMEM.
int el_index_put(struct el_index *index, const struct el_index_document *documents, size_t count,
                 const float *vectors);
// Removes documents by id, all or none; ids that are not there count for nothing.
int el_index_remove(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed);
// Removes the documents whose metadata pass a filter (JSON), all or none. EL_EINVAL: the filter can't be
// read, or el_filter_check_removal refuses it.
int el_index_remove_passing(struct el_index *index, const char *filter, int64_t *ret_removed);

// The hash of a content, by a key of this index alone: who does not know it can't make two contents alike.
struct el_hash128 el_index_hash(const struct el_index *index, const void *bytes, size_t size);
// 1 and the hash when there is a document of that id, else 0.
int el_index_find(struct el_index *index, const char *id, struct el_hash128 *ret_hash);
struct el_index_known {
    bool is_there;
    struct el_hash128 hash;
};
// The same for many documents at once; those that are marked as there already are not looked for.
int el_index_find_all(struct el_index *index, const struct el_index_document *documents, size_t count,
                      struct el_index_known *inout_known);
// Takes those out that are there with the hash they have, and their chunks' vectors: what is left is to be
// put.
void el_index_drop_known(const struct el_index *index, const struct el_index_known *known,
                         struct el_index_document *documents, size_t *inout_count, float *vectors);
// Calls `visit` with each id that begins with `prefix`, until it is negative; it may not call the index.
int el_index_each(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                  void *context);

struct el_index_hit {
    float score;          // larger is better: inner product, cosine, minus the squared distance; BM25;
                          // a sum of reciprocal ranks
    const char *id;       // of the document
    int64_t part;         // chunk of it, from 0
    const char *text;     // of the chunk, or NULL
    size_t text_length;   // bytes
    const char *metadata; // of the document, or NULL
};

// By nearness of vectors, by words (BM25), or by both, fused by rank.
enum el_query_mode { EL_QUERY_VECTOR, EL_QUERY_TEXT, EL_QUERY_HYBRID };
// "vector", "text", "hybrid"; EL_EINVAL says what there is.
const char *el_query_mode_name(enum el_query_mode mode);
int el_query_mode_parse(const char *name, enum el_query_mode *ret_mode);

struct el_query_stats {
    enum el_query_mode mode;
    int64_t rows; // that were searched: those that count and pass the filter; -1: the store does not say
    size_t asked; // questions that were searched together
    double ms;    // that the search took, of all of them
    // Of vectors: the lists that were looked at, 0 when that was every row; and the share of the true
    // neighbours that so many found when the lists were made, 1 for every row, -1: the store does not say.
    int probes;
    double recall;
};
struct el_index_list {
    struct el_index_hit *hits; // best first
    size_t count;              // k, or all there are
};
struct el_index_answer {
    struct el_index_list *lists; // [count], one for each question, in their order
    size_t count;
    struct el_query_stats stats;
    struct el_arena arena; // holds all of it
};

// Questions that are asked together, which costs a search of exact vectors much less than one at a time.
struct el_index_query {
    enum el_query_mode mode;
    size_t count;                // of the questions, at least 1
    const float *vectors;        // [count][dim]; for vector and hybrid
    const struct el_text *texts; // [count]; for text and hybrid
    int k;
    const char *filter;           // JSON over metadata, or NULL
    double recall;                // of an approximate index: the share of true neighbours wanted; 0: its own
    struct el_team *team;         // or NULL: the caller's thread alone
    struct el_searcher *searcher; // with copies of this index's vectors (searcher.h); NULL: there are none
};
// The k chunks that answer each question best. In the embedded store all see one state of it. EL_EINVAL: k <
// 1, no question, or a vector as el_index_put refuses them. EL_EUNSUPPORTED: what this index can't do, as to
// search texts that it does not keep.
int el_index_search(struct el_index *index, const struct el_index_query *query,
                    struct el_index_answer *ret_answer);
void el_index_answer_done(struct el_index_answer *answer);

// Some documents in the order in which they came.
struct el_index_page {
    struct el_index_document *documents; // [count], each with its texts
    float *vectors;                      // of their chunks, one document after the other
    size_t count;
    int64_t last;          // number of the last document, to go on from
    struct el_arena arena; // holds all of it
};
// The documents that came after number `after`, 0 for the first: as many as make some MiB, at least one;
// none at the end.
int el_index_read(struct el_index *index, int64_t after, struct el_index_page *ret_page);
void el_index_page_done(struct el_index_page *page);

// EL_EINVAL: `part` was made for another index.
int el_index_check_part(const struct el_index *whole, const struct el_index *part);
// Puts all documents of the parts into `whole`, in the order of their ids, where each part has them in that
// order: as one process would have put them. One that `whole` has with the same hash is left alone, so it may
// be called again after a crash. `tell` (may be NULL) hears how many are done. EL_EINVAL: a part that was
// made for another index.
int el_index_merge(struct el_index *whole, struct el_index *const *parts, size_t count,
                   void (*tell)(void *context, int64_t documents), void *context, int64_t *ret_added);

struct el_index_stats {
    int64_t documents, chunks;
    int64_t dead;   // rows that compaction frees
    uint64_t bytes; // of all files
    int lists;      // of a kind that has them, 0: none were made yet
    int64_t listed; // rows in them
};
int el_index_stats(struct el_index *index, struct el_index_stats *ret_stats);

// Writes the vector file anew without the rows that no document has any more, beside the old one, which
// readers may still have; then its inverted lists, in an index that has them. EL_ECHECKSUM when the old one
// is damaged. On failure all is as before, or the vectors are compact and the lists wait for the next call.
int el_index_compact(struct el_index *index);
// Holds every vector against its sum, and the documents against the vectors. EL_ECHECKSUM, EL_EFORMAT.
int el_index_verify(struct el_index *index);

#endif
