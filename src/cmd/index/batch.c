// SPDX-License-Identifier: Apache-2.0
// Batches of files: looked for in the index together, embedded together.
#include "cmd/index/batch.h"

#include "base/error.h"
#include "base/mem.h"

enum { BATCH_BYTES = 1 << 20 }; // of text, where that comes before EL_ADD_BATCH_FILES

static enum el_chunk_by chunk_by(const struct el_index_wish *wish, enum el_file_kind kind) {
    static const enum el_chunk_by by_kind[EL_KIND_COUNT] = {[EL_KIND_MARKDOWN] = EL_CHUNK_MARKDOWN,
                                                            [EL_KIND_HTML] = EL_CHUNK_MARKDOWN,
                                                            [EL_KIND_CODE] = EL_CHUNK_CODE};
    return wish->chunk_auto ? by_kind[kind] : wish->chunk_by;
}

struct el_search_document el_add_document(const struct el_index_wish *wish, const char *path,
                                          const struct el_file_text *file) {
    return (struct el_search_document){.id = path,
                                       .metadata = file->metadata.data,
                                       .text = {file->text.data, file->text.length},
                                       .by = chunk_by(wish, file->kind),
                                       .chunk_tokens = wish->chunk_tokens,
                                       .chunk_overlap = wish->chunk_overlap,
                                       .title = file->title.data};
}

static void clear(struct el_add_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        el_file_text_done(&batch->file[i]);
    batch->count = batch->bytes = batch->wanted = 0;
}

// ---- looking up ----

// Keeps file `which` behind those that are wanted, unless the index has it.
static void sort_out(struct el_add_batch *batch, size_t which, const struct el_index_known *known) {
    const size_t to = batch->wanted;
    if (known->is_there && el_hash_equal(&known->hash, &batch->hash[which])) {
        batch->summary->unchanged++;
        batch->bytes -= batch->file[which].text.length;
        el_file_text_done(&batch->file[which]);
        return;
    }
    batch->summary->changed += known->is_there;
    batch->summary->added += !known->is_there;
    el_add_tell(batch->summary, known->is_there ? "change" : "add", batch->path[which], NULL);
    batch->path[to] = batch->path[which];
    batch->file[to] = batch->file[which];
    batch->hash[to] = batch->hash[which];
    batch->wanted++;
}

static int look_up(struct el_add_batch *batch) {
    struct el_index_document documents[EL_ADD_BATCH_FILES];
    struct el_index_known known[EL_ADD_BATCH_FILES] = {0};
    const size_t first = batch->wanted, count = batch->count - first;
    if (!count) return 0;
    for (size_t i = 0; i < count; i++)
        documents[i] =
            (struct el_index_document){.id = batch->path[first + i], .hash = batch->hash[first + i]};
    EL_TRY(el_index_target_find_all(batch->target, documents, count, known));
    for (size_t i = 0; i < count; i++)
        sort_out(batch, first + i, &known[i]);
    batch->count = batch->wanted;
    return 0;
}

// ---- embedding ----

static int open_model(struct el_add_batch *batch) {
    const char *name = el_index_facts(batch->target->index)->model;
    return batch->model.embedder ? 0 : el_cmd_model_open(batch->config, name, NULL, &batch->model);
}

static int embed(struct el_add_batch *batch) {
    struct el_search_document documents[EL_ADD_BATCH_FILES];
    int64_t chunks = 0;
    for (size_t i = 0; i < batch->count; i++)
        documents[i] = el_add_document(batch->wish, batch->path[i], &batch->file[i]);
    if (batch->count && !batch->wish->dry_run) {
        EL_TRY(open_model(batch));
        EL_TRY(el_search_add(batch->target->index, batch->model.embedder, documents, batch->count, &chunks));
    }
    batch->summary->chunks += chunks;
    clear(batch);
    return 0;
}

int el_add_batch_flush(struct el_add_batch *batch) {
    EL_TRY(look_up(batch));
    return embed(batch);
}

// A batch of which the index had more than half is filled up again before it is embedded.
int el_add_batch_put(struct el_add_batch *batch, const char *path, struct el_file_text *file,
                     const struct el_hash128 *hash) {
    const size_t which = batch->count++;
    batch->path[which] = path;
    batch->hash[which] = *hash;
    batch->file[which] = *file;
    batch->bytes += file->text.length;
    *file = (struct el_file_text){0};
    if (batch->count < EL_ADD_BATCH_FILES && batch->bytes < BATCH_BYTES) return 0;
    EL_TRY(look_up(batch));
    return batch->count < EL_ADD_BATCH_FILES / 2 && batch->bytes < BATCH_BYTES / 2 ? 0 : embed(batch);
}

void el_add_batch_done(struct el_add_batch *batch) {
    clear(batch);
    el_cmd_model_close(&batch->model);
}
