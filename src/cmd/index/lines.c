// SPDX-License-Identifier: Apache-2.0
// `eleanor index add NAME --vectors FILE.npy --lines FILE.jsonl`: documents whose vectors were made
// elsewhere, or that `index export` wrote. Each line has an id, metadata and texts, null where one is not
// known; the next rows are its, one for each text.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/index/index.h"
#include "format/npy.h"

enum { BATCH_DOCUMENTS = 4096, BATCH_BYTES = 8 << 20 };

// Documents that wait to be put.
struct batch {
    struct el_index_document documents[BATCH_DOCUMENTS];
    size_t count;
    struct el_str vectors; // of the documents, one behind the other
    struct el_arena arena; // ids, texts, metadata
    size_t line_bytes;     // that they took
};

struct adding {
    const struct el_index_wish *wish;
    struct el_index_target target;
    struct el_map lines, bytes; // of both files
    struct el_npy npy;
    int64_t line, row; // to come
    struct batch batch;
    int64_t added, unchanged;
};

static int fail_line(const struct adding *adding, const char *what) {
    return el_fail(EL_EFORMAT, "%s:%" PRId64 ": %s", adding->wish->lines, adding->line, what);
}

static int keep(struct adding *adding, const json_t *string, struct el_text *ret_text) {
    struct el_text text = {.length = json_string_length(string)};
    EL_TRY(el_arena_strndup(&adding->batch.arena, json_string_value(string), text.length, &text.data));
    *ret_text = text;
    return 0;
}

static int keep_json(struct adding *adding, const json_t *value, const char **ret_text) {
    char *copy;
    const size_t length = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    EL_TRY(el_arena_alloc(&adding->batch.arena, length + 1, 1, &copy));
    json_dumpb(value, copy, length, JSON_COMPACT | JSON_ENCODE_ANY);
    copy[length] = '\0';
    *ret_text = copy;
    return 0;
}

static int keep_texts(struct adding *adding, const json_t *list, struct el_index_document *document) {
    struct el_text *texts;
    const size_t count = json_array_size(list);
    if (!json_is_array(list))
        return fail_line(adding, "a list \"texts\" is wanted, with null where there is none");
    if ((int64_t)count > adding->npy.rows - adding->row)
        return fail_line(adding, "there are not as many vectors as texts up to here");
    EL_TRY(el_arena_alloc(&adding->batch.arena, count, sizeof *texts, &texts));
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_array_get(list, i);
        texts[i] = (struct el_text){0};
        if (json_is_string(text))
            EL_TRY(keep(adding, text, &texts[i]));
        else if (!json_is_null(text))
            return fail_line(adding, "what stands in \"texts\" is neither a text nor null");
    }
    document->texts = texts;
    document->chunks = (int64_t)count;
    return 0;
}

// ---- a batch ----

static bool is_full(const struct batch *batch) {
    return batch->count == BATCH_DOCUMENTS || batch->vectors.length + batch->line_bytes >= BATCH_BYTES;
}

static int put_batch(struct adding *adding) {
    struct batch *batch = &adding->batch;
    const size_t count = batch->count;
    float *vectors = (void *)batch->vectors.data;
    EL_TRY(el_index_target_drop_known(&adding->target, batch->documents, &batch->count, vectors));
    if (batch->count) EL_TRY(el_index_put(adding->target.index, batch->documents, batch->count, vectors));
    adding->added += (int64_t)batch->count;
    adding->unchanged += (int64_t)(count - batch->count);
    batch->count = batch->line_bytes = 0;
    el_str_clear(&batch->vectors);
    el_arena_reset(&batch->arena);
    return 0;
}

static void batch_done(struct batch *batch) {
    el_str_done(&batch->vectors);
    el_arena_done(&batch->arena);
}

// ---- a line ----

// Its hash is that of the line and the vectors, one behind the other.
static int hash_document(struct adding *adding, const struct el_text *line, size_t vectors_at,
                         struct el_index_document *document) {
    struct el_str content el_auto(el_str_done) = {0};
    EL_TRY(el_str_append(&content, line->data, line->length));
    EL_TRY(el_str_append(&content, adding->batch.vectors.data + vectors_at,
                         adding->batch.vectors.length - vectors_at));
    document->hash = el_index_hash(adding->target.index, content.data, content.length);
    return 0;
}

static int take_document(struct adding *adding, const struct el_text *line, const json_t *root) {
    struct el_index_document document = {0};
    struct el_text id;
    const json_t *metadata = json_object_get(root, "metadata");
    const struct el_arena_mark mark = el_arena_mark(&adding->batch.arena);
    const size_t at = adding->batch.vectors.length, row_size = (size_t)adding->npy.columns * sizeof(float);
    if (!json_is_string(json_object_get(root, "id"))) return fail_line(adding, "a text \"id\" is wanted");
    EL_TRY(keep(adding, json_object_get(root, "id"), &id));
    if (strlen(id.data) != id.length) return fail_line(adding, "an id has no NUL");
    if (metadata && !json_is_null(metadata)) EL_TRY(keep_json(adding, metadata, &document.metadata));
    document.id = id.data;
    EL_TRY(keep_texts(adding, json_object_get(root, "texts"), &document));
    const uint8_t *rows = adding->npy.data + (size_t)adding->row * row_size;
    adding->row += document.chunks;
    if (!el_shard_has(&adding->target.shard, document.id)) {
        el_arena_release(&adding->batch.arena, mark);
        return 0;
    }
    EL_TRY(el_str_append(&adding->batch.vectors, rows, (size_t)document.chunks * row_size));
    EL_TRY(hash_document(adding, line, at, &document));
    adding->batch.documents[adding->batch.count++] = document;
    adding->batch.line_bytes += line->length;
    return is_full(&adding->batch) ? put_batch(adding) : 0;
}

static int take_line(struct adding *adding, const struct el_text *line) {
    json_t *root el_auto_json = NULL;
    adding->line++;
    if (el_json_parse(adding->wish->lines, line->data, line->length, &root) < 0)
        return el_fail_in(EL_EFORMAT, "line %" PRId64, adding->line);
    return take_document(adding, line, root);
}

static int take_lines(struct adding *adding) {
    const char *at = (const char *)adding->lines.data, *end = at + adding->lines.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const struct el_text line = {at, (size_t)((newline ? newline : end) - at)};
        EL_TRY(take_line(adding, &line));
        at = line.data + line.length + 1;
    }
    if (adding->row != adding->npy.rows)
        return el_fail(EL_EFORMAT, "%s has %" PRId64 " rows, the lines of %s are for %" PRId64,
                       adding->wish->vectors, adding->npy.rows, adding->wish->lines, adding->row);
    return put_batch(adding);
}

static int add(struct adding *adding) {
    const struct el_index_wish *wish = adding->wish;
    EL_TRY(el_map_open(wish->lines, &adding->lines));
    EL_TRY(el_map_open(wish->vectors, &adding->bytes));
    EL_TRY(el_npy_parse(wish->vectors, adding->bytes.data, adding->bytes.size, &adding->npy));
    EL_TRY(el_index_target_open(wish, &adding->target));
    EL_TRY(el_index_check_columns(wish, &adding->npy, adding->target.index));
    return take_lines(adding);
}

int el_index_add_lines(const struct el_index_wish *wish) {
    struct adding *adding;
    EL_TRY(el_zalloc(1, sizeof *adding, &adding));
    adding->wish = wish;
    el_arena_init(&adding->batch.arena);
    int status = add(adding);
    if (status == 0)
        printf(wish->json ? "{\"index\":\"%s\",\"added\":%" PRId64 ",\"unchanged\":%" PRId64 "}\n"
                          : "%s: %" PRId64 " documents added, %" PRId64 " unchanged\n",
               wish->name, adding->added, adding->unchanged);
    el_index_target_close(&adding->target);
    el_map_close(&adding->lines);
    el_map_close(&adding->bytes);
    batch_done(&adding->batch);
    el_free(adding);
    return status;
}
