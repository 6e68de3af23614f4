// SPDX-License-Identifier: Apache-2.0
// `eleanor index add NAME PATH...`: files into an index. What is there already with the same content is left
// alone; the rest goes in by batches, each of which is there for good when the next begins.
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cmd/index/add.h"
#include "cmd/model.h"
#include "files/ahead.h"
#include "files/stamps.h"

enum {
    BATCH_FILES = 256,
    BATCH_BYTES = 1 << 20, // or so much text, whichever comes first
    DEFAULT_WORKERS = 4,   // at most; they wait for disks and converters, and the model wants the processors
    READER = 1,            // raised when files are read otherwise than before: they are read again
};

// Files that wait to be embedded.
struct batch {
    const char *path[BATCH_FILES];
    struct el_file_text file[BATCH_FILES];
    size_t count, bytes;
};

struct adding {
    const struct el_config *config;
    const struct el_index_wish *wish;
    struct el_index_target target;
    struct el_cmd_model model; // opened when there is something to embed
    struct el_walk walk;
    struct el_stamps *stamps;
    uint64_t rules; // how files are read, for the stamps
    bool *kept;     // [walk.count]: el_add_remove_gone
    struct batch batch;
    struct el_add_summary summary;
};

// ---- a batch ----

static void clear(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        el_file_text_done(&batch->file[i]);
    batch->count = batch->bytes = 0;
}

static enum el_chunk_by chunk_by(const struct el_index_wish *wish, enum el_file_kind kind) {
    static const enum el_chunk_by by_kind[EL_KIND_COUNT] = {[EL_KIND_MARKDOWN] = EL_CHUNK_MARKDOWN,
                                                            [EL_KIND_HTML] = EL_CHUNK_MARKDOWN,
                                                            [EL_KIND_CODE] = EL_CHUNK_CODE};
    return wish->chunk_auto ? by_kind[kind] : wish->chunk_by;
}

static struct el_search_document document_of(const struct el_index_wish *wish, const char *path,
                                             const struct el_file_text *file) {
    return (struct el_search_document){.id = path,
                                       .metadata = file->metadata.data,
                                       .text = {file->text.data, file->text.length},
                                       .by = chunk_by(wish, file->kind),
                                       .chunk_tokens = wish->chunk_tokens,
                                       .chunk_overlap = wish->chunk_overlap,
                                       .title = file->title.data};
}

static int open_model(struct adding *adding) {
    const char *name = el_index_facts(adding->target.index)->model;
    if (adding->model.embedder) return 0;
    return el_cmd_model_open(adding->config, name, NULL, &adding->model);
}

static int flush(struct adding *adding) {
    struct batch *batch = &adding->batch;
    struct el_search_document documents[BATCH_FILES];
    int64_t chunks = 0;
    if (!batch->count) return 0;
    for (size_t i = 0; i < batch->count; i++)
        documents[i] = document_of(adding->wish, batch->path[i], &batch->file[i]);
    if (!adding->wish->dry_run) {
        EL_TRY(open_model(adding));
        EL_TRY(el_search_add(adding->target.index, adding->model.embedder, documents, batch->count, &chunks));
    }
    adding->summary.chunks += chunks;
    clear(batch);
    return 0;
}

// ---- a file ----

// 1 when the document that is in the index has this hash, 0 when it has another or is not there.
static int is_in(struct adding *adding, const char *path, const struct el_hash128 *hash, int *ret_known) {
    struct el_hash128 had;
    int known = el_index_target_find(&adding->target, path, &had);
    if (known < 0) return known;
    *ret_known = known;
    return known && el_hash_equal(&had, hash);
}

// Keeps a file that was read for the batch, unless the index has it.
static int keep_or_drop(struct adding *adding, const char *path, struct el_file_text *file,
                        const struct el_hash128 *hash) {
    struct batch *batch = &adding->batch;
    int known = 0;
    int same = is_in(adding, path, hash, &known);
    if (same < 0) return same;
    if (same) {
        adding->summary.unchanged++;
        return 0;
    }
    adding->summary.changed += known;
    adding->summary.added += !known;
    el_add_tell(&adding->summary, known ? "change" : "add", path, NULL);
    batch->bytes += file->text.length;
    batch->path[batch->count] = path;
    batch->file[batch->count++] = *file;
    *file = (struct el_file_text){0};
    return batch->count == BATCH_FILES || batch->bytes >= BATCH_BYTES ? flush(adding) : 0;
}

// Counts a file that gave no text, now or in an earlier run.
static void leave_out(struct adding *adding, size_t which, enum el_file_outcome outcome, const char *why) {
    const struct el_file_outcome_info *info = &el_file_outcomes[outcome];
    const char *path = adding->walk.files[which].path;
    adding->summary.outcomes[outcome]++;
    adding->kept[which] = info->fails || outcome == EL_FILE_NO_PDFTOTEXT;
    if (info->fails)
        el_add_failed(&adding->summary, path, info->key, why);
    else
        el_add_tell(&adding->summary, "skip", path, info->text);
}

static void count(struct el_add_summary *summary, const struct el_file_text *file) {
    summary->read++;
    if (file->outcome != EL_FILE_READ) return;
    summary->kinds[file->kind]++;
    summary->unpacked += file->is_unpacked;
    summary->converted += file->is_converted;
    summary->text_bytes += file->text.length;
}

static int take_file(struct adding *adding, size_t which, struct el_file_text *file) {
    const char *path = adding->walk.files[which].path;
    struct el_stamp stamp = {.file = file->stamp, .rules = adding->rules, .outcome = file->outcome};
    const bool is_text = file->outcome == EL_FILE_READ;
    count(&adding->summary, file);
    if (is_text) {
        const struct el_search_document document = document_of(adding->wish, path, file);
        stamp.hash = el_search_hash(adding->target.index, &document);
    }
    if (file->is_settled && el_file_outcomes[file->outcome].lasts)
        EL_TRY(el_stamps_put(adding->stamps, path, &stamp));
    if (is_text) return keep_or_drop(adding, path, file, &stamp.hash);
    leave_out(adding, which, file->outcome, file->why);
    return 0;
}

// ---- the files ----

// True when the file is too large, or its stamp says that nothing has changed since an earlier run: it is
// counted.
static int pass_unread(struct adding *adding, size_t which, bool *ret_passed) {
    const struct el_file *file = &adding->walk.files[which];
    const struct el_stamp *stamp = el_stamps_find(adding->stamps, file->path, &file->stamp, adding->rules);
    int same = 0, known;
    adding->kept[which] = true;
    if (file->stamp.size > adding->wish->max_file) {
        leave_out(adding, which, EL_FILE_TOO_LARGE, NULL);
        *ret_passed = true;
        return 0;
    }
    if (stamp && stamp->outcome == EL_FILE_READ) {
        same = is_in(adding, file->path, &stamp->hash, &known);
        if (same < 0) return same;
        adding->summary.unchanged += same;
    } else if (stamp && !el_file_outcomes[stamp->outcome].fails) {
        same = 1;
        leave_out(adding, which, stamp->outcome, NULL);
    }
    if (same) EL_TRY(el_stamps_put(adding->stamps, file->path, stamp));
    *ret_passed = same;
    return 0;
}

// What a file counts for in the progress: bytes that will be read.
static uint64_t weight(const struct adding *adding, size_t which) {
    const uint64_t size = adding->walk.files[which].stamp.size;
    return size <= adding->wish->max_file ? size : 0;
}

// The files that have to be read: which[ret_count], and their paths.
static int choose(struct adding *adding, size_t *which, const char **paths, size_t *ret_count) {
    size_t count = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < adding->walk.count; i++) {
        bool passed;
        EL_TRY(pass_unread(adding, i, &passed));
        if (passed) continue;
        paths[count] = adding->walk.files[i].path;
        which[count++] = i;
        bytes += weight(adding, i);
    }
    el_progress_start(&adding->summary.progress, adding->wish->name, NULL, bytes, 0);
    *ret_count = count;
    return 0;
}

static int take_files(struct adding *adding, struct el_ahead *ahead, const size_t *which) {
    for (size_t i = 0;; i++) {
        el_auto(el_file_text_done) struct el_file_text file = {0};
        int status = el_ahead_next(ahead, &file);
        if (status < 0) return status;
        if (status == 0) return flush(adding);
        EL_TRY(take_file(adding, which[i], &file));
        el_progress_add(&adding->summary.progress, weight(adding, which[i]));
    }
}

static int add_files(struct adding *adding) {
    size_t *which el_auto_free = NULL;
    const char **paths el_auto_free = NULL;
    struct el_ahead *ahead = NULL;
    size_t count;
    const int64_t wanted = adding->wish->workers;
    const int workers = wanted ? (int)wanted : EL_MIN(el_cpu_count(), DEFAULT_WORKERS);
    EL_TRY(el_alloc(adding->walk.count, sizeof *which, &which));
    EL_TRY(el_alloc(adding->walk.count, sizeof *paths, &paths));
    EL_TRY(el_zalloc(adding->walk.count, sizeof *adding->kept, &adding->kept));
    EL_TRY(choose(adding, which, paths, &count));
    if (!count) return 0;
    EL_TRY(el_ahead_open(paths, count, adding->wish->max_file, workers, &ahead));
    int status = take_files(adding, ahead, which);
    el_ahead_close(ahead);
    return status;
}

// ---- the whole ----

static void tell_folder(void *context, const char *path, const char *why) {
    struct el_add_summary *summary = context;
    summary->outcomes[EL_FILE_UNREADABLE]++;
    el_add_failed(summary, path, el_file_outcomes[EL_FILE_UNREADABLE].key, why);
}

static int open_stamps(struct adding *adding) {
    char *folder el_auto_free = NULL, *path el_auto_free = NULL;
    const struct el_index_wish *wish = adding->wish;
    const uint64_t rules[] = {READER,
                              wish->max_file,
                              wish->chunk_auto,
                              wish->chunk_by,
                              (uint64_t)wish->chunk_tokens,
                              (uint64_t)wish->chunk_overlap};
    adding->rules = el_index_hash(adding->target.index, rules, sizeof rules).word[0];
    EL_TRY(el_path_join(adding->wish->root, adding->wish->name, &folder));
    EL_TRY(el_path_join(folder, "files.stamps", &path));
    return el_stamps_open(path, &adding->stamps);
}

// Stamps of files elsewhere stay; those here were put again or are gone.
static bool is_elsewhere(void *context, const char *path) {
    return !el_walk_covers(context, path);
}

// Files of other shares are none of this process.
static void leave_to_others(const struct el_shard *shard, struct el_walk *walk) {
    size_t kept = 0;
    for (size_t i = 0; i < walk->count; i++) {
        if (el_shard_has(shard, walk->files[i].path))
            walk->files[kept++] = walk->files[i];
        else
            el_free(walk->files[i].path);
    }
    walk->count = kept;
}

static int add_all(struct adding *adding) {
    const struct el_index_wish *wish = adding->wish;
    const struct el_walk_rules rules = {.include = wish->include.data,
                                        .exclude = wish->exclude.data,
                                        .hidden = wish->hidden,
                                        .no_ignore = wish->no_ignore,
                                        .tell = tell_folder,
                                        .context = &adding->summary};
    EL_TRY(el_index_target_open(wish, &adding->target));
    if (adding->target.whole && wish->update)
        return el_fail(EL_EINVAL,
                       "--update looks for what is gone from the whole index: run it once more alone, "
                       "behind `index merge`");
    if (!el_index_facts(adding->target.index)->model[0])
        return el_fail(EL_EINVAL, "index %s has no model to embed files: it takes --vectors", wish->name);
    EL_TRY(open_stamps(adding));
    EL_TRY(el_walk_open(wish->operands, wish->operand_count, &rules, &adding->walk));
    leave_to_others(&adding->target.shard, &adding->walk);
    EL_TRY(add_files(adding));
    if (wish->update)
        EL_TRY(el_add_remove_gone(adding->target.index, &adding->walk, adding->kept, &adding->summary));
    const bool alone = !wish->dry_run && adding->target.shard.size == 1;
    return !alone ? 0 : el_stamps_save(adding->stamps, is_elsewhere, &adding->walk);
}

int el_index_add_files(const struct el_config *config, const struct el_index_wish *wish, bool *ret_failed) {
    struct adding *adding el_auto_free = NULL;
    EL_TRY(el_zalloc(1, sizeof *adding, &adding));
    adding->config = config;
    adding->wish = wish;
    adding->summary.wish = wish;
    adding->summary.start_ns = el_now_ns();
    el_progress_open(&adding->summary.progress, stderr);
    int status = add_all(adding);
    el_progress_finish(&adding->summary.progress);
    if (status == 0) {
        el_add_print(&adding->summary, &adding->walk);
        *ret_failed = adding->summary.failed > 0;
    }
    el_cmd_model_close(&adding->model);
    el_index_target_close(&adding->target);
    el_stamps_close(adding->stamps);
    el_walk_close(&adding->walk);
    clear(&adding->batch);
    el_str_done(&adding->summary.failures);
    el_free(adding->kept);
    return status;
}
