// SPDX-License-Identifier: Apache-2.0
// `eleanor index add NAME --vectors FILE.npy`: vectors that were made elsewhere, a document each.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "cmd/index/index.h"
#include "format/npy.h"

enum { BATCH_ROWS = 8192 };

int el_index_check_columns(const struct el_index_wish *wish, const struct el_npy *npy,
                           const struct el_index *index) {
    const int dim = el_index_facts(index)->dim;
    if (npy->columns == dim) return 0;
    return el_fail(EL_EINVAL, "%s holds vectors of %" PRId64 " dimensions, index %s has %d", wish->vectors,
                   npy->columns, wish->name, dim);
}

// The rows of a batch, with their ids.
struct batch {
    struct el_index_document *documents; // [BATCH_ROWS]
    size_t *id_at;                       // [BATCH_ROWS]: of each in `ids`
    struct el_str ids;                   // one after the other, each with its NUL
    float *vectors;                      // [BATCH_ROWS][dim]; those of the file need not be aligned
    size_t count;
};

static void batch_done(struct batch *batch) {
    el_free(batch->documents);
    el_free(batch->id_at);
    el_free(batch->vectors);
    el_str_done(&batch->ids);
}

static int make_batch(size_t row_size, struct batch *batch) {
    EL_TRY(el_alloc(BATCH_ROWS, sizeof *batch->documents, &batch->documents));
    EL_TRY(el_alloc(BATCH_ROWS, sizeof *batch->id_at, &batch->id_at));
    return el_alloc(BATCH_ROWS, row_size, &batch->vectors);
}

// Adds a row with the id FILE:ROW, unless it is another's share.
static int take_row(const struct el_index_target *target, const char *path, int64_t row, const uint8_t *bytes,
                    size_t row_size, struct batch *batch) {
    const size_t at = batch->ids.length;
    EL_TRY(el_str_printf(&batch->ids, "%s:%" PRId64, path, row));
    EL_TRY(el_str_putc(&batch->ids, '\0'));
    if (!el_shard_has(&target->shard, batch->ids.data + at)) return 0;
    const struct el_hash128 hash = el_index_hash(target->index, bytes, row_size);
    batch->id_at[batch->count] = at;
    batch->documents[batch->count] = (struct el_index_document){.chunks = 1, .hash = hash};
    memcpy((uint8_t *)batch->vectors + batch->count * row_size, bytes, row_size);
    batch->count++;
    return 0;
}

// Puts what the index does not have with these very bytes.
static int put_batch(const struct el_index_target *target, struct batch *batch, int64_t *inout_added) {
    for (size_t i = 0; i < batch->count; i++)
        batch->documents[i].id = batch->ids.data + batch->id_at[i];
    EL_TRY(el_index_target_drop_known(target, batch->documents, &batch->count, batch->vectors));
    if (batch->count) EL_TRY(el_index_put(target->index, batch->documents, batch->count, batch->vectors));
    *inout_added += (int64_t)batch->count;
    batch->count = 0;
    el_str_clear(&batch->ids);
    return 0;
}

static int put_rows(const struct el_index_target *target, const char *path, const struct el_npy *npy,
                    struct el_progress *progress, int64_t *ret_added) {
    struct batch batch el_auto(batch_done) = {0};
    const size_t row_size = (size_t)npy->columns * sizeof(float);
    EL_TRY(make_batch(row_size, &batch));
    *ret_added = 0;
    for (int64_t row = 0; row < npy->rows;) {
        const int64_t end = EL_MIN(row + BATCH_ROWS, npy->rows);
        for (; row < end; row++)
            EL_TRY(take_row(target, path, row, npy->data + (size_t)row * row_size, row_size, &batch));
        EL_TRY(put_batch(target, &batch, ret_added));
        el_progress_set(progress, (uint64_t)row);
    }
    return 0;
}

static int add(const struct el_index_target *target, const struct el_index_wish *wish, const char *path,
               const struct el_npy *npy) {
    int64_t added = 0;
    struct el_progress progress;
    EL_TRY(el_index_check_columns(wish, npy, target->index));
    el_progress_open(&progress, stderr);
    el_progress_start(&progress, wish->name, "vectors", (uint64_t)npy->rows, 0);
    int status = put_rows(target, path, npy, &progress, &added);
    el_progress_finish(&progress);
    if (status < 0) return status;
    if (wish->json)
        printf("{\"index\":\"%s\",\"vectors\":%" PRId64 ",\"added\":%" PRId64 "}\n", wish->name, npy->rows,
               added);
    else
        printf("%s: %" PRId64 " vectors added, %" PRId64 " unchanged\n", wish->name, added,
               npy->rows - added);
    return 0;
}

int el_index_add_vectors(const struct el_index_wish *wish) {
    struct el_map map = {0};
    struct el_npy npy = {0};
    struct el_index_target target = {0};
    char path[PATH_MAX];
    EL_TRY(el_map_open(wish->vectors, &map));
    int status = el_npy_parse(wish->vectors, map.data, map.size, &npy);
    if (status == 0 && !realpath(wish->vectors, path)) status = el_fail(EL_EIO, "%s is gone", wish->vectors);
    if (status == 0) status = el_index_target_open(wish, &target);
    if (status == 0) status = add(&target, wish, path, &npy);
    el_index_target_close(&target);
    el_map_close(&map);
    return status;
}
