// SPDX-License-Identifier: Apache-2.0
// The embedded store: what is read and written, and in which order.
#include "index/embedded.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/folder.h"

static struct el_embedded *inside(struct el_index *index) {
    return (struct el_embedded *)index;
}

// ---- opening, and what is there now ----

static void close_index(struct el_index *base) {
    struct el_embedded *index = inside(base);
    el_vector_file_close(index->file);
    el_documents_close(index->documents);
    if (index->lock >= 0) close(index->lock);
    pthread_mutex_destroy(&index->base.mutex);
    el_allowed_done(&index->allowed);
    el_lists_done(&index->lists);
    el_free(index->folder);
    el_free(index);
}

static void close_p(struct el_embedded **index) {
    if (*index) close_index(&(*index)->base);
}

static int open_vectors(struct el_embedded *index, int64_t generation) {
    char *path el_auto_free = NULL;
    struct el_vector_file *file = NULL;
    EL_TRY(el_index_vector_path(index->folder, generation, &path));
    EL_TRY(el_vector_file_open(path, index->lock >= 0, &file));
    el_vector_file_close(index->file);
    index->file = file;
    index->generation = generation;
    index->base.facts = *el_vector_file_facts(file);
    return 0;
}

// Brings the vector file to a state of the documents.
static int follow(struct el_embedded *index, const struct el_documents_state *state) {
    if (index->generation != state->generation)
        EL_TRY(open_vectors(index, state->generation));
    else
        EL_TRY(el_vector_file_refresh(index->file));
    if (el_vector_file_count(index->file) >= state->rows) return 0;
    return el_fail(EL_ECHECKSUM,
                   "%s is damaged: its vector file has %" PRId64 " rows, its documents have %" PRId64
                   "; take a copy of it that is whole, or make it again",
                   index->folder, el_vector_file_count(index->file), state->rows);
}

// Begins a transaction, with the vector file as it belongs to it. A compaction may replace that file between
// the two looks; then there is a newer state to begin from.
static int begin(struct el_embedded *index, bool writes, struct el_documents_state *ret_state) {
    enum { TRIES = 10 };
    for (int i = 1;; i++) {
        EL_TRY(el_documents_begin(index->documents, writes, ret_state));
        int status = follow(index, ret_state);
        if (status == 0) return 0;
        el_documents_end(index->documents);
        if (status != EL_ENOENT || i == TRIES) return status;
    }
}

static int read_first_state(struct el_embedded *index) {
    struct el_documents_state state;
    EL_TRY(begin(index, false, &state));
    int status = el_documents_key(index->documents, &index->base.key);
    el_documents_end(index->documents);
    if (status == 0 && index->lock >= 0) el_index_sweep(index->folder, index->generation);
    return status;
}

static int open_index(const char *folder, const char *url, bool writable, struct el_index **ret_index) {
    el_auto(close_p) struct el_embedded *index = NULL;
    char *path el_auto_free = NULL;
    (void)url;
    EL_TRY(el_zalloc(1, sizeof *index, &index));
    index->lock = index->allowed.version = index->generation = -1;
    pthread_mutex_init(&index->base.mutex, NULL);
    EL_TRY(el_strdup(folder, &index->folder));
    index->base.store = &el_embedded_store;
    index->base.place = index->folder;
    index->base.writable = writable;
    EL_TRY(el_index_check(folder));
    if (writable) EL_TRY(el_index_lock(folder, &index->lock));
    EL_TRY(el_path_join(folder, EL_INDEX_DOCUMENTS, &path));
    EL_TRY(el_documents_open(path, &index->documents));
    if (writable) EL_TRY(el_documents_upgrade(index->documents));
    EL_TRY(read_first_state(index));
    *ret_index = &el_steal(index)->base;
    return 0;
}

int el_embedded_transact(struct el_index *base, bool writes, el_embedded_work *work, void *context) {
    struct el_embedded *index = inside(base);
    struct el_documents_state state;
    EL_TRY(begin(index, writes, &state));
    int status = work(index, &state, context);
    if (status >= 0 && writes) {
        int committed = el_documents_commit(index->documents, &state);
        if (committed < 0) status = committed;
    }
    el_documents_end(index->documents);
    return status;
}

// ---- making and deleting ----

struct filling {
    const struct el_vector_facts *facts;
    const struct el_siphash_key *key; // NULL: one of its own
};

static int fill_folder(const char *folder, const void *context) {
    const struct filling *filling = context;
    char *vectors el_auto_free = NULL, *documents el_auto_free = NULL;
    struct el_vector_file *file = NULL;
    EL_TRY(el_index_vector_path(folder, 1, &vectors));
    EL_TRY(el_path_join(folder, EL_INDEX_DOCUMENTS, &documents));
    EL_TRY(el_vector_file_create(vectors, filling->facts, &file));
    el_vector_file_close(file);
    return el_documents_create(documents, filling->key);
}

static int create(const char *folder, const char *url, const struct el_vector_facts *facts) {
    (void)url;
    return el_index_folder_make(folder, fill_folder, &(struct filling){facts, NULL});
}

int el_index_create_part(const char *folder, const struct el_index *whole) {
    struct el_vector_facts facts = whole->facts;
    facts.kind = EL_INDEX_FLAT; // nobody searches it
    return el_index_folder_make(folder, fill_folder, &(struct filling){&facts, &whole->key});
}

static int drop_index(const char *folder, const char *url) {
    (void)url;
    EL_TRY(el_index_check(folder));
    return el_index_folder_remove(folder);
}

// ---- changes ----

static int put_batch(struct el_embedded *index, struct el_documents_state *state, void *context) {
    const struct el_index_batch *batch = context;
    // Rows that no transaction came to tell of: of a crash, or of a disk that was full.
    if (el_vector_file_count(index->file) > state->rows)
        EL_TRY(el_vector_file_rollback(index->file, state->rows));
    if (batch->chunks) EL_TRY(el_vector_file_append(index->file, batch->rows, batch->chunks));
    for (size_t i = 0; i < batch->count; i++) {
        EL_TRY(el_documents_put(index->documents, &batch->documents[i], state->rows));
        state->rows += batch->documents[i].chunks;
    }
    return 0;
}

static int put(struct el_index *index, const struct el_index_batch *batch) {
    struct el_index_batch copy = *batch;
    EL_TRY(el_embedded_transact(index, true, put_batch, &copy));
    el_lists_keep_up(inside(index)); // the documents are there, whether or not there is room for lists
    return 0;
}

struct removing {
    const char *const *ids;
    size_t count;
    int64_t removed;
};

static int remove_documents(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct removing *removing = context;
    (void)state;
    for (size_t i = 0; i < removing->count; i++) {
        int found = el_documents_remove(index->documents, removing->ids[i]);
        if (found < 0) return found;
        removing->removed += found;
    }
    return 0;
}

static int remove_all(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed) {
    struct removing removing = {.ids = ids, .count = count};
    EL_TRY(el_embedded_transact(index, true, remove_documents, &removing));
    *ret_removed = removing.removed;
    return 0;
}

struct removing_passing {
    const struct el_filter *filter;
    int64_t removed;
};

static int remove_documents_passing(struct el_embedded *index, struct el_documents_state *state,
                                    void *context) {
    struct removing_passing *removing = context;
    (void)state;
    return el_documents_remove_passing(index->documents, removing->filter, &removing->removed);
}

static int remove_passing(struct el_index *index, const struct el_filter *filter, int64_t *ret_removed) {
    struct removing_passing removing = {.filter = filter};
    EL_TRY(el_embedded_transact(index, true, remove_documents_passing, &removing));
    *ret_removed = removing.removed;
    return 0;
}

// ---- reading ----

struct finding {
    const struct el_index_document *documents;
    size_t count;
    struct el_index_known *known;
};

static int find_documents(struct el_embedded *index, struct el_documents_state *state, void *context) {
    const struct finding *finding = context;
    (void)state;
    for (size_t i = 0; i < finding->count; i++) {
        struct el_index_known *known = &finding->known[i];
        if (known->is_there) continue;
        const int found = el_documents_find(index->documents, finding->documents[i].id, &known->hash);
        if (found < 0) return found;
        known->is_there = found;
    }
    return 0;
}

static int find_all(struct el_index *index, const struct el_index_document *documents, size_t count,
                    struct el_index_known *inout_known) {
    struct finding finding = {.documents = documents, .count = count, .known = inout_known};
    return el_embedded_transact(index, false, find_documents, &finding);
}

struct visiting {
    const char *prefix;
    int (*visit)(void *context, const char *id);
    void *context;
};

static int each_document(struct el_embedded *index, struct el_documents_state *state, void *context) {
    const struct visiting *visiting = context;
    (void)state;
    return el_documents_each(index->documents, visiting->prefix, visiting->visit, visiting->context);
}

static int each(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                void *context) {
    struct visiting visiting = {prefix, visit, context};
    return el_embedded_transact(index, false, each_document, &visiting);
}

static int count(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct el_index_stats *ret_stats = context;
    struct el_documents_counts counts;
    (void)state;
    EL_TRY(el_documents_count(index->documents, &counts));
    *ret_stats =
        (struct el_index_stats){.documents = counts.documents, .chunks = counts.chunks, .dead = counts.dead};
    el_lists_tell(index, ret_stats);
    return el_index_folder_bytes(index->folder, &ret_stats->bytes);
}

static int stats(struct el_index *index, struct el_index_stats *ret_stats) {
    return el_embedded_transact(index, false, count, ret_stats);
}

const struct el_index_store el_embedded_store = {
    .name = "embedded",
    .create = create,
    .open = open_index,
    .close = close_index,
    .drop = drop_index,
    .put = put,
    .remove = remove_all,
    .remove_passing = remove_passing,
    .find_all = find_all,
    .each = each,
    .read = el_embedded_read,
    .search = el_embedded_search,
    .stats = stats,
    .compact = el_embedded_compact,
    .verify = el_embedded_verify,
};
