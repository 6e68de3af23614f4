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
#include "cmd/index.h"
#include "format/npy.h"

enum { BATCH_ROWS = 8192 };

// A part of the rows, with the ids that they get.
struct rows {
    struct el_index_document *documents; // [BATCH_ROWS]
    struct el_str ids;                   // one after the other, each with its NUL
    float *vectors;                      // [BATCH_ROWS][dim]; those of the file need not be aligned
};

static void rows_done(struct rows *rows) {
    el_free(rows->documents);
    el_free(rows->vectors);
    el_str_done(&rows->ids);
}

// FILE:ROW for `count` rows from `first` on.
static int name_rows(struct rows *rows, const char *path, int64_t first, size_t count) {
    size_t at = 0;
    el_str_clear(&rows->ids);
    for (size_t i = 0; i < count; i++) {
        EL_TRY(el_str_printf(&rows->ids, "%s:%" PRId64, path, first + (int64_t)i));
        EL_TRY(el_str_putc(&rows->ids, '\0'));
    }
    for (size_t i = 0; i < count; i++) {
        rows->documents[i] = (struct el_index_document){.id = rows->ids.data + at, .chunks = 1};
        at += strlen(rows->ids.data + at) + 1;
    }
    return 0;
}

static int put_rows(struct el_index *index, const char *path, const struct el_npy *npy,
                    struct el_progress *progress, struct rows *rows) {
    const size_t row_size = (size_t)npy->columns * sizeof(float);
    EL_TRY(el_alloc(BATCH_ROWS, sizeof *rows->documents, &rows->documents));
    EL_TRY(el_alloc(BATCH_ROWS, row_size, &rows->vectors));
    for (int64_t first = 0; first < npy->rows; first += BATCH_ROWS) {
        const size_t count = (size_t)EL_MIN(BATCH_ROWS, npy->rows - first);
        memcpy(rows->vectors, npy->data + (size_t)first * row_size, count * row_size);
        EL_TRY(name_rows(rows, path, first, count));
        for (size_t i = 0; i < count; i++)
            rows->documents[i].hash =
                el_index_hash(index, rows->vectors + i * (size_t)npy->columns, row_size);
        EL_TRY(el_index_put(index, rows->documents, count, rows->vectors));
        el_progress_set(progress, (uint64_t)first + count);
    }
    return 0;
}

static int add(struct el_index *index, const struct el_index_wish *wish, const char *path,
               const struct el_npy *npy) {
    struct rows rows el_auto(rows_done) = {0};
    struct el_progress progress;
    const int dim = el_index_facts(index)->dim;
    if (npy->columns != dim)
        return el_fail(EL_EINVAL, "%s holds vectors of %" PRId64 " dimensions, index %s has %d",
                       wish->vectors, npy->columns, wish->name, dim);
    el_progress_open(&progress, stderr);
    el_progress_start(&progress, wish->name, "vectors", (uint64_t)npy->rows, 0);
    int status = put_rows(index, path, npy, &progress, &rows);
    el_progress_finish(&progress);
    return status;
}

int el_index_add_vectors(const struct el_index_wish *wish) {
    struct el_map map = {0};
    struct el_npy npy = {0};
    struct el_index *index = NULL;
    char path[PATH_MAX];
    EL_TRY(el_map_open(wish->vectors, &map));
    int status = el_npy_parse(wish->vectors, map.data, map.size, &npy);
    if (status == 0 && !realpath(wish->vectors, path)) status = el_fail(EL_EIO, "%s is gone", wish->vectors);
    if (status == 0) status = el_search_open(wish->root, wish->name, true, &index);
    if (status == 0) status = add(index, wish, path, &npy);
    if (status == 0 && wish->json)
        printf("{\"index\":\"%s\",\"vectors\":%" PRId64 "}\n", wish->name, npy.rows);
    else if (status == 0)
        printf("%s: %" PRId64 " vectors added\n", wish->name, npy.rows);
    el_index_close(index);
    el_map_close(&map);
    return status;
}
