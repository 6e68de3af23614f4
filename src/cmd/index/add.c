// SPDX-License-Identifier: Apache-2.0
// `eleanor index add NAME PATH...`: files into an index: which have to be read, and what becomes of them.
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cmd/index/add.h"
#include "cmd/index/batch.h"
#include "files/ahead.h"
#include "files/stamps.h"

enum {
    DEFAULT_WORKERS = 4, // at most; they wait for disks and converters, and the model wants the processors
    READER = 1,          // raised when files are read otherwise than before: they are read again
    LOOK_UP = 4096,      // files that are looked for in the index at once
};

struct adding {
    const struct el_index_wish *wish;
    struct el_index_target target;
    struct el_walk walk;
    struct el_stamps *stamps;
    uint64_t rules; // how files are read, for the stamps
    bool *kept;     // [walk.count]: el_add_remove_gone
    struct el_add_batch batch;
    struct el_add_summary summary;
};

// ---- a file ----

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
        const struct el_search_document document = el_add_document(adding->wish, path, file);
        stamp.hash = el_search_hash(adding->target.index, &document);
    }
    if (file->is_settled && el_file_outcomes[file->outcome].lasts)
        EL_TRY(el_stamps_put(adding->stamps, path, &stamp));
    if (is_text) return el_add_batch_put(&adding->batch, path, file, &stamp.hash);
    leave_out(adding, which, file->outcome, file->why);
    return 0;
}

// ---- the files ----

// The files from `first` on that are looked for at once, and what the index has of those that gave a text
// when they were last read, by their stamps.
struct block {
    size_t first, count;
    const struct el_stamp *stamp[LOOK_UP]; // or NULL
    struct el_index_document document[LOOK_UP];
    struct el_index_known known[LOOK_UP];
};

static int look_up(struct adding *adding, struct block *block) {
    size_t count = 0;
    for (size_t i = 0; i < block->count; i++) {
        const struct el_file *file = &adding->walk.files[block->first + i];
        const struct el_stamp *stamp =
            el_stamps_find(adding->stamps, file->path, &file->stamp, adding->rules);
        block->stamp[i] = stamp;
        if (stamp && stamp->outcome == EL_FILE_READ)
            block->document[count++] = (struct el_index_document){.id = file->path, .hash = stamp->hash};
    }
    memset(block->known, 0, count * sizeof *block->known);
    return el_index_target_find_all(&adding->target, block->document, count, block->known);
}

// True when the file is too large, or its stamp says that nothing has changed since an earlier run: it is
// counted. `is_in`: the index has what it held then.
static int pass_unread(struct adding *adding, size_t which, const struct el_stamp *stamp, bool is_in,
                       bool *ret_passed) {
    const struct el_file *file = &adding->walk.files[which];
    const bool is_too_large = file->stamp.size > adding->wish->max_file;
    const bool gave_none = stamp && stamp->outcome != EL_FILE_READ && !el_file_outcomes[stamp->outcome].fails;
    adding->kept[which] = true;
    *ret_passed = is_too_large || gave_none || is_in;
    if (is_too_large || gave_none)
        leave_out(adding, which, is_too_large ? EL_FILE_TOO_LARGE : stamp->outcome, NULL);
    else
        adding->summary.unchanged += is_in;
    return *ret_passed && !is_too_large ? el_stamps_put(adding->stamps, file->path, stamp) : 0;
}

// What a file counts for in the progress: bytes that will be read.
static uint64_t weight(const struct adding *adding, size_t which) {
    const uint64_t size = adding->walk.files[which].stamp.size;
    return size <= adding->wish->max_file ? size : 0;
}

// The files that have to be read.
struct chosen {
    size_t *which;      // [count]: of the walk
    const char **paths; // [count]
    size_t count;
    uint64_t bytes;
};

static int choose_of_block(struct adding *adding, struct block *block, struct chosen *chosen) {
    size_t asked = 0; // of block->known
    EL_TRY(look_up(adding, block));
    for (size_t i = 0; i < block->count; i++) {
        const struct el_stamp *stamp = block->stamp[i];
        const size_t which = block->first + i;
        bool is_in = false, passed;
        if (stamp && stamp->outcome == EL_FILE_READ) {
            const struct el_index_known *known = &block->known[asked++];
            is_in = known->is_there && el_hash_equal(&known->hash, &stamp->hash);
        }
        EL_TRY(pass_unread(adding, which, stamp, is_in, &passed));
        if (passed) continue;
        chosen->paths[chosen->count] = adding->walk.files[which].path;
        chosen->which[chosen->count++] = which;
        chosen->bytes += weight(adding, which);
    }
    return 0;
}

static int choose(struct adding *adding, struct chosen *chosen) {
    struct block *block el_auto_free = NULL;
    EL_TRY(el_alloc(1, sizeof *block, &block));
    for (block->first = 0; block->first < adding->walk.count; block->first += block->count) {
        block->count = EL_MIN(adding->walk.count - block->first, (size_t)LOOK_UP);
        EL_TRY(choose_of_block(adding, block, chosen));
    }
    el_progress_start(&adding->summary.progress, adding->wish->name, NULL, chosen->bytes, 0);
    return 0;
}

static int take_files(struct adding *adding, struct el_ahead *ahead, const size_t *which) {
    for (size_t i = 0;; i++) {
        el_auto(el_file_text_done) struct el_file_text file = {0};
        int status = el_ahead_next(ahead, &file);
        if (status < 0) return status;
        if (status == 0) return el_add_batch_flush(&adding->batch);
        EL_TRY(take_file(adding, which[i], &file));
        el_progress_add(&adding->summary.progress, weight(adding, which[i]));
    }
}

static void chosen_done(struct chosen *chosen) {
    el_free(chosen->which);
    el_free(chosen->paths);
}

static int add_files(struct adding *adding) {
    struct chosen chosen el_auto(chosen_done) = {0};
    struct el_ahead *ahead = NULL;
    const int64_t wanted = adding->wish->workers;
    const int workers = wanted ? (int)wanted : EL_MIN(el_cpu_count(), DEFAULT_WORKERS);
    EL_TRY(el_alloc(adding->walk.count, sizeof *chosen.which, &chosen.which));
    EL_TRY(el_alloc(adding->walk.count, sizeof *chosen.paths, &chosen.paths));
    EL_TRY(el_zalloc(adding->walk.count, sizeof *adding->kept, &adding->kept));
    EL_TRY(choose(adding, &chosen));
    if (!chosen.count) return 0;
    EL_TRY(el_ahead_open(chosen.paths, chosen.count, adding->wish->max_file, workers, &ahead));
    int status = take_files(adding, ahead, chosen.which);
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
    adding->wish = wish;
    adding->summary.wish = wish;
    adding->batch = (struct el_add_batch){
        .config = config, .wish = wish, .target = &adding->target, .summary = &adding->summary};
    adding->summary.start_ns = el_now_ns();
    el_progress_open(&adding->summary.progress, stderr);
    int status = add_all(adding);
    el_progress_finish(&adding->summary.progress);
    if (status == 0) {
        el_add_print(&adding->summary, &adding->walk);
        *ret_failed = adding->summary.failed > 0;
    }
    el_add_batch_done(&adding->batch);
    el_index_target_close(&adding->target);
    el_stamps_close(adding->stamps);
    el_walk_close(&adding->walk);
    el_str_done(&adding->summary.failures);
    el_free(adding->kept);
    return status;
}
