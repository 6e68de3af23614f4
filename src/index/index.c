// SPDX-License-Identifier: Apache-2.0
// What all stores have in common: arguments are looked at and vectors prepared, then the index's store has
// its turn.
#include "index/index.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/store.h"

// A number of type float is off by 2^-24 of itself at most, so a vector's square by 2^-23.
static const double ROUNDING = 0x1p-22;

static const char *const metric_names[] = {
    [EL_METRIC_IP] = "ip", [EL_METRIC_COSINE] = "cosine", [EL_METRIC_L2] = "l2"};

static const char *const mode_names[] = {
    [EL_QUERY_VECTOR] = "vector", [EL_QUERY_TEXT] = "text", [EL_QUERY_HYBRID] = "hybrid"};

static const char *const kind_names[] = {[EL_INDEX_FLAT] = "flat", [EL_INDEX_IVF] = "ivf"};

// Its place among the names, or -1.
static int find_name(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (el_streq(name, names[i])) return (int)i;
    return -1;
}

const char *el_metric_name(enum el_metric metric) {
    return metric_names[metric];
}

int el_metric_parse(const char *name, enum el_metric *ret_metric) {
    const int found = find_name(name, metric_names, EL_COUNT(metric_names));
    if (found < 0) return el_fail(EL_EINVAL, "\"%.40s\" is no metric: cosine, ip or l2", name);
    *ret_metric = (enum el_metric)found;
    return 0;
}

const char *el_index_kind_name(enum el_index_kind kind) {
    return kind_names[kind];
}

int el_index_kind_parse(const char *name, enum el_index_kind *ret_kind) {
    const int found = find_name(name, kind_names, EL_COUNT(kind_names));
    if (found < 0) return el_fail(EL_EINVAL, "\"%.40s\" is no kind of index: flat or ivf", name);
    *ret_kind = (enum el_index_kind)found;
    return 0;
}

const char *el_query_mode_name(enum el_query_mode mode) {
    return mode_names[mode];
}

int el_query_mode_parse(const char *name, enum el_query_mode *ret_mode) {
    const int found = find_name(name, mode_names, EL_COUNT(mode_names));
    if (found < 0) return el_fail(EL_EINVAL, "\"%.40s\" is no mode: vector, text or hybrid", name);
    *ret_mode = (enum el_query_mode)found;
    return 0;
}

int el_index_create(const char *folder, const struct el_vector_facts *facts) {
    return el_embedded_store.create(folder, NULL, facts);
}

int el_index_open(const char *folder, bool writable, struct el_index **ret_index) {
    return el_embedded_store.open(folder, NULL, writable, ret_index);
}

int el_index_delete(const char *folder) {
    return el_embedded_store.drop(folder, NULL);
}

void el_index_close(struct el_index *index) {
    if (index) index->store->close(index);
}

void el_index_use_devices(struct el_index *index, struct el_manager *manager) {
    index->manager = manager;
}

const struct el_vector_facts *el_index_facts(const struct el_index *index) {
    return &index->facts;
}

const char *el_index_store_name(const struct el_index *index) {
    return index->store->name;
}

const char *el_index_place(const struct el_index *index) {
    return index->place;
}

struct el_hash128 el_index_hash(const struct el_index *index, const void *bytes, size_t size) {
    return el_siphash_of(&index->key, bytes, size);
}

const char *el_index_prepare_vector(const struct el_vector_facts *facts, const float *vector,
                                    float *ret_vector) {
    double square = 0;
    for (int i = 0; i < facts->dim; i++)
        square += (double)vector[i] * vector[i];
    if (!isfinite(square)) return "holds a number that is not finite";
    double scale = 1;
    if (facts->metric == EL_METRIC_COSINE) {
        if (square == 0) return "is all zeros: by cosine it has no direction";
        // One of length 1 but for rounding stays as it is, so that what was prepared once comes through
        // again.
        if (fabs(square - 1) > ROUNDING) scale = 1 / sqrt(square);
    }
    for (int i = 0; i < facts->dim; i++)
        ret_vector[i] = (float)(vector[i] * scale);
    return NULL;
}

struct el_index_query el_index_query_part(const struct el_vector_facts *facts,
                                          const struct el_index_query *query, size_t first, size_t count) {
    struct el_index_query part = *query;
    part.count = count;
    if (query->vectors) part.vectors += first * (size_t)facts->dim;
    if (query->texts) part.texts += first;
    return part;
}

// ---- one call at a time ----

static void lock(struct el_index *index) {
    pthread_mutex_lock(&index->mutex);
}

static int unlock(struct el_index *index, int status) {
    pthread_mutex_unlock(&index->mutex);
    return status;
}

// ---- changes ----

static int check_writable(const struct el_index *index) {
    return index->writable ? 0 : el_fail(EL_EINVAL, "%s was opened for reading", index->place);
}

static int check_document(const struct el_index_document *document) {
    const size_t length = document->id ? strlen(document->id) : 0;
    if (length == 0 || length > EL_INDEX_ID_SIZE)
        return el_fail(EL_EINVAL, "a document's id has from 1 to %d bytes, \"%.40s...\" has %zu",
                       EL_INDEX_ID_SIZE, length ? document->id : "", length);
    return document->chunks < 0 ? el_fail(EL_EINVAL, "%s: less than no chunks", document->id) : 0;
}

static int prepare_rows(const struct el_index *index, const struct el_index_batch *batch,
                        const float *vectors, float *rows) {
    const size_t dim = (size_t)index->facts.dim;
    size_t row = 0;
    for (size_t i = 0; i < batch->count; i++) {
        for (int64_t j = 0; j < batch->documents[i].chunks; j++, row++) {
            const char *wrong = el_index_prepare_vector(&index->facts, vectors + row * dim, rows + row * dim);
            if (wrong)
                return el_fail(EL_EINVAL, "%s: vector %" PRId64 " %s", batch->documents[i].id, j, wrong);
        }
    }
    return 0;
}

int el_index_put(struct el_index *index, const struct el_index_document *documents, size_t count,
                 const float *vectors) {
    struct el_index_batch batch = {.documents = documents, .count = count};
    float *rows el_auto_free = NULL;
    size_t floats;
    EL_TRY(check_writable(index));
    for (size_t i = 0; i < count; i++) {
        EL_TRY(check_document(&documents[i]));
        batch.chunks += documents[i].chunks;
    }
    if (!el_mul_size((size_t)batch.chunks, (size_t)index->facts.dim, &floats))
        return el_fail(EL_ENOMEM, "too many vectors");
    EL_TRY(el_alloc(floats, sizeof *rows, &rows));
    EL_TRY(prepare_rows(index, &batch, vectors, rows));
    batch.rows = rows;
    lock(index);
    return unlock(index, index->store->put(index, &batch));
}

int el_index_remove(struct el_index *index, const char *const *ids, size_t count, int64_t *ret_removed) {
    EL_TRY(check_writable(index));
    lock(index);
    return unlock(index, index->store->remove(index, ids, count, ret_removed));
}

int el_index_remove_passing(struct el_index *index, const char *filter, int64_t *ret_removed) {
    struct el_arena arena el_auto(el_arena_done);
    const struct el_filter *parsed;
    el_arena_init(&arena);
    EL_TRY(check_writable(index));
    EL_TRY(el_filter_parse(filter, &arena, &parsed));
    EL_TRY(el_filter_check_removal(parsed));
    lock(index);
    return unlock(index, index->store->remove_passing(index, parsed, ret_removed));
}

int el_index_compact(struct el_index *index) {
    EL_TRY(check_writable(index));
    lock(index);
    return unlock(index, index->store->compact(index));
}

// ---- reading ----

int el_index_find(struct el_index *index, const char *id, struct el_hash128 *ret_hash) {
    struct el_index_known known = {0};
    EL_TRY(el_index_find_all(index, &(struct el_index_document){.id = id}, 1, &known));
    if (known.is_there) *ret_hash = known.hash;
    return known.is_there;
}

int el_index_find_all(struct el_index *index, const struct el_index_document *documents, size_t count,
                      struct el_index_known *inout_known) {
    lock(index);
    return unlock(index, index->store->find_all(index, documents, count, inout_known));
}

void el_index_drop_known(const struct el_index *index, const struct el_index_known *known,
                         struct el_index_document *documents, size_t *inout_count, float *vectors) {
    const size_t dim = (size_t)index->facts.dim;
    const float *from = vectors;
    float *to = vectors;
    size_t kept = 0;
    for (size_t i = 0; i < *inout_count; i++) {
        const size_t floats = (size_t)documents[i].chunks * dim;
        if (!known[i].is_there || !el_hash_equal(&known[i].hash, &documents[i].hash)) {
            if (to != from) memmove(to, from, floats * sizeof *to);
            documents[kept++] = documents[i];
            to += floats;
        }
        from += floats;
    }
    *inout_count = kept;
}

int el_index_each(struct el_index *index, const char *prefix, int (*visit)(void *context, const char *id),
                  void *context) {
    lock(index);
    return unlock(index, index->store->each(index, prefix, visit, context));
}

static int prepare_questions(const struct el_index *index, const struct el_index_query *query,
                             float *vectors) {
    const size_t dim = (size_t)index->facts.dim;
    for (size_t i = 0; i < query->count; i++) {
        const char *wrong =
            el_index_prepare_vector(&index->facts, query->vectors + i * dim, vectors + i * dim);
        if (wrong && query->count == 1) return el_fail(EL_EINVAL, "the query's vector %s", wrong);
        if (wrong) return el_fail(EL_EINVAL, "vector %zu of the query %s", i, wrong);
    }
    return 0;
}

static int search(struct el_index *index, const struct el_index_query *query,
                  struct el_index_answer *answer) {
    EL_TRY(el_arena_alloc(&answer->arena, query->count, sizeof *answer->lists, &answer->lists));
    memset(answer->lists, 0, query->count * sizeof *answer->lists);
    lock(index);
    return unlock(index, index->store->search(index, query, answer));
}

int el_index_search(struct el_index *index, const struct el_index_query *query,
                    struct el_index_answer *ret_answer) {
    float *vectors el_auto_free = NULL;
    struct el_index_query prepared = *query;
    struct el_index_answer answer = {.count = query->count,
                                     .stats = {.mode = query->mode, .asked = query->count, .recall = 1}};
    const uint64_t start = el_now_ns();
    if (query->k < 1) return el_fail(EL_EINVAL, "%d results can't be asked for; at least 1", query->k);
    if (!query->count) return el_fail(EL_EINVAL, "a query asks nothing; at least one question is wanted");
    if (query->mode != EL_QUERY_TEXT) {
        EL_TRY(el_alloc(query->count, (size_t)index->facts.dim * sizeof *vectors, &vectors));
        EL_TRY(prepare_questions(index, query, vectors));
        prepared.vectors = vectors;
    }
    el_arena_init(&answer.arena);
    int status = search(index, &prepared, &answer);
    answer.stats.ms = (double)(el_now_ns() - start) / 1e6;
    if (status < 0)
        el_index_answer_done(&answer);
    else
        *ret_answer = answer;
    return status;
}

void el_index_answer_done(struct el_index_answer *answer) {
    el_arena_done(&answer->arena);
    *answer = (struct el_index_answer){0};
}

int el_index_read(struct el_index *index, int64_t after, struct el_index_page *ret_page) {
    struct el_index_page page = {.last = after};
    el_arena_init(&page.arena);
    lock(index);
    int status = unlock(index, index->store->read(index, &page));
    if (status < 0)
        el_index_page_done(&page);
    else
        *ret_page = page;
    return status;
}

void el_index_page_done(struct el_index_page *page) {
    el_arena_done(&page->arena);
    *page = (struct el_index_page){0};
}

int el_index_stats(struct el_index *index, struct el_index_stats *ret_stats) {
    lock(index);
    return unlock(index, index->store->stats(index, ret_stats));
}

int el_index_verify(struct el_index *index) {
    lock(index);
    return unlock(index, index->store->verify(index));
}
