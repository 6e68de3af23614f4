// SPDX-License-Identifier: Apache-2.0
// Joining the parts of an index. Each part is read from its beginning, a page at a time; the one whose next
// document has the lowest id has its turn. What came together is put when a page runs out, since its texts
// lie there.
#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/store.h"

struct source {
    struct el_index *part;
    struct el_index_page page;
    size_t next;         // document of the page
    const float *vector; // of its first chunk
};

struct merging {
    struct el_index *whole;
    struct source *sources; // [count]
    struct source *
        *heap; // [heap_count]: those that have a document; none is before the one at (its place - 1) / 2
    size_t count, heap_count;
    struct el_str documents, vectors; // to put: struct el_index_document, float
    void (*tell)(void *context, int64_t documents);
    void *context;
    int64_t done, added;
};

// ---- the order ----

// Where ":NUMBER" begins at the end of an id, as in FILE:ROW; or its end.
static size_t number_at(const char *id) {
    const size_t length = strlen(id);
    size_t at = length;
    while (at && isdigit((unsigned char)id[at - 1]))
        at--;
    return at && at < length && id[at - 1] == ':' ? at : length;
}

// As one process takes them: files by path, rows of a file by number.
static int compare_ids(const char *a, const char *b) {
    const size_t at = number_at(a), length_a = strlen(a), length_b = strlen(b);
    if (at == number_at(b) && at < length_a && at < length_b && length_a != length_b && memcmp(a, b, at) == 0)
        return length_a < length_b ? -1 : 1; // numbers, which have no zeros before them
    return strcmp(a, b);
}

static bool is_before(const struct source *a, const struct source *b) {
    return compare_ids(a->page.documents[a->next].id, b->page.documents[b->next].id) < 0;
}

static void sift_down(struct merging *merging, size_t place) {
    struct source **heap = merging->heap;
    for (;;) {
        size_t first = place;
        for (size_t child = 2 * place + 1; child <= 2 * place + 2 && child < merging->heap_count; child++)
            if (is_before(heap[child], heap[first])) first = child;
        if (first == place) return;
        struct source *moved = heap[place];
        heap[place] = heap[first];
        heap[first] = moved;
        place = first;
    }
}

// ---- documents ----

static int put(struct merging *merging) {
    struct el_index_document *documents = (void *)merging->documents.data;
    struct el_index_known *known el_auto_free = NULL;
    float *vectors = (void *)merging->vectors.data;
    size_t count = merging->documents.length / sizeof *documents;
    EL_TRY(el_zalloc(count, sizeof *known, &known));
    EL_TRY(el_index_find_all(merging->whole, documents, count, known));
    el_index_drop_known(merging->whole, known, documents, &count, vectors);
    if (count) EL_TRY(el_index_put(merging->whole, documents, count, vectors));
    merging->added += (int64_t)count;
    el_str_clear(&merging->documents);
    el_str_clear(&merging->vectors);
    if (merging->tell) merging->tell(merging->context, merging->done);
    return 0;
}

// Goes on to a page that has a document: 1, 0 when there is none any more.
static int turn(struct merging *merging, struct source *source) {
    if (source->next < source->page.count) return 1;
    const int64_t last = source->page.last;
    EL_TRY(put(merging));
    el_index_page_done(&source->page);
    EL_TRY(el_index_read(source->part, last, &source->page));
    source->next = 0;
    source->vector = source->page.vectors;
    return source->page.count > 0;
}

static int take(struct merging *merging, struct source *source) {
    const struct el_index_document *document = &source->page.documents[source->next++];
    const size_t floats = (size_t)document->chunks * (size_t)merging->whole->facts.dim;
    const float *vectors = source->vector;
    source->vector += floats;
    merging->done++;
    EL_TRY(el_str_append(&merging->vectors, vectors, floats * sizeof *vectors));
    return el_str_append(&merging->documents, document, sizeof *document);
}

static int merge_all(struct merging *merging) {
    for (size_t i = 0; i < merging->count; i++) {
        int more = turn(merging, &merging->sources[i]);
        if (more < 0) return more;
        if (more) merging->heap[merging->heap_count++] = &merging->sources[i];
    }
    for (size_t i = merging->heap_count / 2; i-- > 0;)
        sift_down(merging, i);
    while (merging->heap_count) {
        EL_TRY(take(merging, merging->heap[0]));
        int more = turn(merging, merging->heap[0]);
        if (more < 0) return more;
        if (!more) merging->heap[0] = merging->heap[--merging->heap_count];
        sift_down(merging, 0);
    }
    return put(merging);
}

int el_index_check_part(const struct el_index *whole, const struct el_index *part) {
    if (memcmp(&part->key, &whole->key, sizeof part->key) == 0 && part->facts.dim == whole->facts.dim)
        return 0;
    return el_fail(EL_EINVAL, "%s is part of another index than %s; remove it", part->place, whole->place);
}

static int open_sources(struct merging *merging, struct el_index *const *parts) {
    EL_TRY(el_zalloc(merging->count, sizeof *merging->sources, &merging->sources));
    EL_TRY(el_zalloc(merging->count, sizeof(struct source *), &merging->heap));
    for (size_t i = 0; i < merging->count; i++) {
        EL_TRY(el_index_check_part(merging->whole, parts[i]));
        merging->sources[i].part = parts[i];
    }
    return 0;
}

int el_index_merge(struct el_index *whole, struct el_index *const *parts, size_t count,
                   void (*tell)(void *context, int64_t documents), void *context, int64_t *ret_added) {
    struct merging merging = {.whole = whole, .count = count, .tell = tell, .context = context};
    int status = open_sources(&merging, parts);
    if (status == 0) status = merge_all(&merging);
    for (size_t i = 0; merging.sources && i < count; i++)
        el_index_page_done(&merging.sources[i].page);
    el_free(merging.sources);
    el_free(merging.heap);
    el_str_done(&merging.documents);
    el_str_done(&merging.vectors);
    if (status == 0) *ret_added = merging.added;
    return status;
}
