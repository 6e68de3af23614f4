// SPDX-License-Identifier: Apache-2.0
// An open index: what is read and written, and in which order.
#include "index/index_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/folder.h"

static const char *const metric_names[] = {
    [EL_METRIC_IP] = "ip", [EL_METRIC_COSINE] = "cosine", [EL_METRIC_L2] = "l2"};

const char *el_metric_name(enum el_metric metric) {
    return metric_names[metric];
}

int el_metric_parse(const char *name, enum el_metric *ret_metric) {
    for (size_t i = 0; i < EL_COUNT(metric_names); i++) {
        if (!el_streq(name, metric_names[i])) continue;
        *ret_metric = (enum el_metric)i;
        return 0;
    }
    return el_fail(EL_EINVAL, "\"%.40s\" is no metric: cosine, ip or l2", name);
}

// ---- opening, and what is there now ----

void el_index_close(struct el_index *index) {
    if (!index) return;
    el_vector_file_close(index->file);
    el_documents_close(index->documents);
    if (index->lock >= 0) close(index->lock);
    pthread_mutex_destroy(&index->mutex);
    el_free(index->allowed);
    el_free(index->folder);
    el_free(index);
}

static void close_p(struct el_index **index) {
    el_index_close(*index);
}

static int open_vectors(struct el_index *index, int64_t generation) {
    char *path el_auto_free = NULL;
    struct el_vector_file *file = NULL;
    EL_TRY(el_index_vector_path(index->folder, generation, &path));
    EL_TRY(el_vector_file_open(path, index->lock >= 0, &file));
    el_vector_file_close(index->file);
    index->file = file;
    index->generation = generation;
    index->facts = *el_vector_file_facts(file);
    return 0;
}

// Brings the vector file to a state of the documents.
static int follow(struct el_index *index, const struct el_documents_state *state) {
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
static int begin(struct el_index *index, bool writes, struct el_documents_state *ret_state) {
    enum { TRIES = 10 };
    for (int i = 1;; i++) {
        EL_TRY(el_documents_begin(index->documents, writes, ret_state));
        int status = follow(index, ret_state);
        if (status == 0) return 0;
        el_documents_end(index->documents);
        if (status != EL_ENOENT || i == TRIES) return status;
    }
}

static int read_first_state(struct el_index *index) {
    struct el_documents_state state;
    EL_TRY(begin(index, false, &state));
    int status = el_documents_key(index->documents, &index->key);
    el_documents_end(index->documents);
    if (status == 0 && index->lock >= 0) el_index_sweep(index->folder, index->generation);
    return status;
}

int el_index_open(const char *folder, bool writable, struct el_index **ret_index) {
    el_auto(close_p) struct el_index *index = NULL;
    char *path el_auto_free = NULL;
    EL_TRY(el_zalloc(1, sizeof *index, &index));
    index->lock = index->version = index->generation = -1;
    pthread_mutex_init(&index->mutex, NULL);
    EL_TRY(el_strdup(folder, &index->folder));
    EL_TRY(el_index_check(folder));
    if (writable) EL_TRY(el_index_lock(folder, &index->lock));
    EL_TRY(el_path_join(folder, EL_INDEX_DOCUMENTS, &path));
    EL_TRY(el_documents_open(path, &index->documents));
    EL_TRY(read_first_state(index));
    *ret_index = el_steal(index);
    return 0;
}

const struct el_vector_facts *el_index_facts(const struct el_index *index) {
    return &index->facts;
}

int el_index_transact(struct el_index *index, bool writes, el_index_work *work, void *context) {
    struct el_documents_state state;
    if (writes && index->lock < 0) return el_fail(EL_EINVAL, "%s was opened for reading", index->folder);
    pthread_mutex_lock(&index->mutex);
    int status = begin(index, writes, &state);
    if (status == 0) {
        status = work(index, &state, context);
        if (status >= 0 && writes) {
            int committed = el_documents_commit(index->documents, &state);
            if (committed < 0) status = committed;
        }
        el_documents_end(index->documents);
    }
    pthread_mutex_unlock(&index->mutex);
    return status;
}

// ---- vectors as they are kept ----

const char *el_index_prepare_vector(const struct el_vector_facts *facts, const float *vector,
                                    float *ret_vector) {
    double square = 0;
    for (int i = 0; i < facts->dim; i++)
        square += (double)vector[i] * vector[i];
    if (!isfinite(square)) return "holds a number that is not finite";
    double scale = 1;
    if (facts->metric == EL_METRIC_COSINE) {
        if (square == 0) return "is all zeros: by cosine it has no direction";
        scale = 1 / sqrt(square);
    }
    for (int i = 0; i < facts->dim; i++)
        ret_vector[i] = (float)(vector[i] * scale);
    return NULL;
}

struct putting {
    const struct el_index_document *documents;
    size_t count;
    int64_t chunks;
    float *rows; // [chunks][dim]
};

static int check_document(const struct el_index_document *document) {
    const size_t length = document->id ? strlen(document->id) : 0;
    if (length == 0 || length > EL_INDEX_ID_SIZE)
        return el_fail(EL_EINVAL, "a document's id has from 1 to %d bytes, \"%.40s...\" has %zu",
                       EL_INDEX_ID_SIZE, length ? document->id : "", length);
    return document->chunks < 0 ? el_fail(EL_EINVAL, "%s: less than no chunks", document->id) : 0;
}

static int prepare_rows(const struct el_index *index, const float *vectors, struct putting *putting) {
    const size_t dim = (size_t)index->facts.dim;
    size_t row = 0, floats;
    if (!el_mul_size((size_t)putting->chunks, dim, &floats)) return el_fail(EL_ENOMEM, "too many vectors");
    EL_TRY(el_alloc(floats, sizeof *putting->rows, &putting->rows));
    for (size_t i = 0; i < putting->count; i++) {
        for (int64_t j = 0; j < putting->documents[i].chunks; j++, row++) {
            const char *wrong =
                el_index_prepare_vector(&index->facts, vectors + row * dim, putting->rows + row * dim);
            if (wrong)
                return el_fail(EL_EINVAL, "%s: vector %" PRId64 " %s", putting->documents[i].id, j, wrong);
        }
    }
    return 0;
}

static int put(struct el_index *index, struct el_documents_state *state, void *context) {
    const struct putting *putting = context;
    // Rows that no transaction came to tell of: of a crash, or of a disk that was full.
    if (el_vector_file_count(index->file) > state->rows)
        EL_TRY(el_vector_file_rollback(index->file, state->rows));
    if (putting->chunks) EL_TRY(el_vector_file_append(index->file, putting->rows, putting->chunks));
    for (size_t i = 0; i < putting->count; i++) {
        EL_TRY(el_documents_put(index->documents, &putting->documents[i], state->rows));
        state->rows += putting->documents[i].chunks;
    }
    return 0;
}

int el_index_put(struct el_index *index, const struct el_index_document *documents, size_t count,
                 const float *vectors) {
    struct putting putting = {.documents = documents, .count = count};
    for (size_t i = 0; i < count; i++) {
        EL_TRY(check_document(&documents[i]));
        putting.chunks += documents[i].chunks;
    }
    int status = prepare_rows(index, vectors, &putting);
    if (status == 0) status = el_index_transact(index, true, put, &putting);
    el_free(putting.rows);
    return status;
}

struct removing {
    const char *const *ids;
    size_t count;
    int64_t removed;
};

static int remove_documents(struct el_index *index, struct el_documents_state *state, void *context) {
    struct removing *removing = context;
    (void)state;
    for (size_t i = 0; i < removing->count; i++) {
        int found = el_documents_remove(index->documents, removing->ids[i]);
        if (found < 0) return found;
        removing->removed += found;
    }
    return 0;
}

int el_index_remove(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed) {
    struct removing removing = {.ids = ids, .count = count};
    EL_TRY(el_index_transact(index, true, remove_documents, &removing));
    *ret_removed = removing.removed;
    return 0;
}

// ---- reading ----

struct el_hash128 el_index_hash(const struct el_index *index, const void *bytes, size_t size) {
    struct el_siphash hash;
    el_siphash_init(&hash, &index->key);
    el_siphash_add(&hash, bytes, size);
    return el_siphash_end(&hash);
}

struct finding {
    const char *id; // or a prefix
    struct el_hash128 *ret_hash;
    int (*visit)(void *context, const char *id);
    void *context;
};

static int find(struct el_index *index, struct el_documents_state *state, void *context) {
    const struct finding *finding = context;
    (void)state;
    return el_documents_find(index->documents, finding->id, finding->ret_hash);
}

int el_index_find(struct el_index *index, const char *id, struct el_hash128 *ret_hash) {
    struct finding finding = {.id = id, .ret_hash = ret_hash};
    return el_index_transact(index, false, find, &finding);
}

static int each(struct el_index *index, struct el_documents_state *state, void *context) {
    const struct finding *finding = context;
    (void)state;
    return el_documents_each(index->documents, finding->id, finding->visit, finding->context);
}

int el_index_each(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                  void *context) {
    struct finding finding = {.id = prefix, .visit = visit, .context = context};
    return el_index_transact(index, false, each, &finding);
}

static int stats(struct el_index *index, struct el_documents_state *state, void *context) {
    struct el_index_stats *ret_stats = context;
    struct el_documents_counts counts;
    (void)state;
    EL_TRY(el_documents_count(index->documents, &counts));
    *ret_stats =
        (struct el_index_stats){.documents = counts.documents, .chunks = counts.chunks, .dead = counts.dead};
    return el_index_folder_bytes(index->folder, &ret_stats->bytes);
}

int el_index_stats(struct el_index *index, struct el_index_stats *ret_stats) {
    return el_index_transact(index, false, stats, ret_stats);
}
