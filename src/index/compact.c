// SPDX-License-Identifier: Apache-2.0
// Verifying an index, and writing its vectors anew without the rows that are dead.
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "index/embedded.h"
#include "index/folder.h"

static int verify(struct el_embedded *index, struct el_documents_state *state, void *context) {
    struct el_documents_counts *ret_counts = context;
    EL_TRY(el_vector_file_verify(index->file));
    EL_TRY(el_documents_count(index->documents, ret_counts));
    if (ret_counts->chunks + ret_counts->dead == state->rows) return 0;
    return el_fail(EL_EFORMAT,
                   "%s is damaged: %" PRId64 " chunks and %" PRId64 " dead rows are not its %" PRId64 " rows",
                   index->folder, ret_counts->chunks, ret_counts->dead, state->rows);
}

int el_embedded_verify(struct el_index *index) {
    struct el_documents_counts counts;
    EL_TRY(el_embedded_transact(index, false, verify, &counts));
    return el_lists_verify((struct el_embedded *)index);
}

// Copies runs of live rows, which lie between dead ones, through a buffer.
struct copying {
    struct el_embedded *index;
    struct el_vector_file *target;
    float *buffer; // [capacity][dim]
    int64_t capacity, buffered;
    int64_t next; // row to copy
    int64_t dead; // rows left out so far
};

static int flush(struct copying *copying) {
    if (copying->buffered) EL_TRY(el_vector_file_append(copying->target, copying->buffer, copying->buffered));
    copying->buffered = 0;
    return 0;
}

static int copy_run(struct copying *copying, int64_t end) {
    const size_t dim = (size_t)copying->index->base.facts.dim;
    const float *rows = el_vector_file_rows(copying->index->file);
    if (copying->dead && end > copying->next)
        EL_TRY(
            el_documents_lower(copying->index->documents, copying->next, end - copying->next, copying->dead));
    while (copying->next < end) {
        const int64_t room = copying->capacity - copying->buffered;
        const size_t some = (size_t)EL_MIN(room, end - copying->next);
        memcpy(copying->buffer + (size_t)copying->buffered * dim, rows + (size_t)copying->next * dim,
               some * dim * sizeof *rows);
        copying->buffered += (int64_t)some;
        copying->next += (int64_t)some;
        if (copying->buffered == copying->capacity) EL_TRY(flush(copying));
    }
    return 0;
}

struct dead_rows {
    int64_t *rows;
    size_t count;
};

static int note_dead(void *context, int64_t row) {
    struct dead_rows *dead = context;
    dead->rows[dead->count++] = row;
    return 0;
}

static int copy_live(struct copying *copying, const struct dead_rows *dead, int64_t rows) {
    for (size_t i = 0; i < dead->count; i++) {
        EL_TRY(copy_run(copying, dead->rows[i]));
        copying->next = dead->rows[i] + 1;
        copying->dead++;
    }
    EL_TRY(copy_run(copying, rows));
    return flush(copying);
}

static int copy_all(struct copying *copying, int64_t rows, int64_t dead_count) {
    enum { BUFFER_BYTES = 16 << 20 };
    struct dead_rows dead = {0};
    copying->capacity = EL_MAX(1, BUFFER_BYTES / (copying->index->base.facts.dim * (int64_t)sizeof(float)));
    EL_TRY(el_alloc((size_t)dead_count, sizeof *dead.rows, &dead.rows));
    int status = el_alloc((size_t)copying->capacity * (size_t)copying->index->base.facts.dim, sizeof(float),
                          &copying->buffer);
    if (status == 0) status = el_documents_each_dead(copying->index->documents, note_dead, &dead);
    if (status == 0) status = copy_live(copying, &dead, rows);
    if (status == 0) status = el_documents_forget_dead(copying->index->documents);
    el_free(copying->buffer);
    el_free(dead.rows);
    return status;
}

static int rewrite(struct el_embedded *index, struct el_documents_state *state,
                   struct el_vector_file **ret_file) {
    char *path el_auto_free = NULL;
    struct el_documents_counts counts;
    EL_TRY(verify(index, state, &counts)); // damage may not get a sum of its own
    EL_TRY(el_index_vector_path(index->folder, state->generation + 1, &path));
    EL_TRY(el_vector_file_create(path, &index->base.facts, ret_file));
    struct copying copying = {.index = index, .target = *ret_file};
    EL_TRY(copy_all(&copying, state->rows, counts.dead));
    EL_TRY(el_sync_folder(index->folder));
    state->generation++;
    state->rows = counts.chunks;
    return 0;
}

// The transaction's end makes the new file the index's. Until that has been tried, it may be removed.
static int rewrite_or_sweep(struct el_embedded *index, struct el_documents_state *state, void *context) {
    int status = rewrite(index, state, context);
    if (status < 0) el_index_sweep(index->folder, index->generation);
    return status;
}

static void take_over(struct el_embedded *index, struct el_vector_file *file) {
    el_vector_file_close(index->file);
    index->file = file;
    index->generation++;
    el_index_sweep(index->folder, index->generation);
}

int el_embedded_compact(struct el_index *index) {
    struct el_vector_file *file = NULL;
    int status = el_embedded_transact(index, true, rewrite_or_sweep, &file);
    if (status < 0) {
        el_vector_file_close(file);
        return status;
    }
    take_over((struct el_embedded *)index, file);
    return el_lists_make((struct el_embedded *)index);
}
