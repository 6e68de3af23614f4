// SPDX-License-Identifier: Apache-2.0
// `eleanor index add NAME PATH...`: files into an index. What is there already with the same content is left
// alone; the rest goes in by batches, each of which is there for good when the next begins.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "cmd/index.h"
#include "cmd/model.h"
#include "format/utf8.h"

enum {
    BATCH_FILES = 256,
    BATCH_BYTES = 1 << 20, // or so much text, whichever comes first
};

// Files that wait to be embedded: their texts, one after the other.
struct batch {
    const char *path[BATCH_FILES];
    size_t start[BATCH_FILES + 1];
    size_t count;
    struct el_str text;
};

enum skip { BINARY, TOO_LARGE, SKIPS };
static const char *const skip_names[SKIPS] = {"binary", "too large"};

struct adding {
    const struct el_config *config;
    const struct el_index_wish *wish;
    struct el_index_target target;
    struct el_cmd_model model; // opened when there is something to embed
    struct el_walk walk;
    struct batch batch;
    struct el_progress progress;
    bool *kept; // [walk.count]: the file is in the index, or could not be read
    int64_t added, changed, unchanged, removed, chunks;
    size_t skipped[SKIPS];
    struct el_str failures; // JSON objects with commas between
    size_t failed;
};

// Told at once, kept for the JSON of the end.
static void fail_file(void *context, const char *path, const char *why) {
    struct adding *adding = context;
    struct el_str *list = &adding->failures;
    el_progress_note(&adding->progress, "%s: %s", path, why);
    bool whole = el_str_puts(list, adding->failed ? ",{\"path\":" : "{\"path\":") == 0 &&
                 el_str_put_json(list, path, strlen(path)) == 0 && el_str_puts(list, ",\"reason\":") == 0 &&
                 el_str_put_json(list, why, strlen(why)) == 0 && el_str_putc(list, '}') == 0;
    adding->failed++;
    (void)whole; // without memory for it the next thing fails
}

// ---- a batch ----

static int open_model(struct adding *adding) {
    const char *name = el_index_facts(adding->target.index)->model;
    if (adding->model.embedder) return 0;
    return el_cmd_model_open(adding->config, name, NULL, &adding->model);
}

static int flush(struct adding *adding) {
    struct batch *batch = &adding->batch;
    struct el_search_document documents[BATCH_FILES] = {{0}};
    int64_t chunks = 0;
    if (!batch->count) return 0;
    for (size_t i = 0; i < batch->count; i++) {
        documents[i].id = batch->path[i];
        documents[i].text.data = batch->text.data + batch->start[i];
        documents[i].text.length = batch->start[i + 1] - batch->start[i];
    }
    EL_TRY(open_model(adding));
    EL_TRY(el_search_add(adding->target.index, adding->model.embedder, documents, batch->count, &chunks));
    adding->chunks += chunks;
    batch->count = 0;
    el_str_clear(&batch->text);
    return 0;
}

// ---- a file ----

static bool is_text(const struct el_str *text, size_t start) {
    const char *bytes = text->data + start;
    const size_t length = text->length - start;
    return !memchr(bytes, '\0', length) && el_utf8_valid(bytes, length) == length;
}

// Keeps the file that was read to the end of the batch's text, if the index does not have it.
static int keep_or_drop(struct adding *adding, const char *path, size_t start) {
    struct batch *batch = &adding->batch;
    const struct el_hash128 hash =
        el_index_hash(adding->target.index, batch->text.data + start, batch->text.length - start);
    struct el_hash128 had;
    const int known = el_index_target_find(&adding->target, path, &had);
    if (known < 0) return known;
    if (known && el_hash_equal(&had, &hash)) {
        adding->unchanged++;
        batch->text.length = start;
        return 0;
    }
    adding->changed += known;
    adding->added += !known;
    batch->path[batch->count] = path;
    batch->start[batch->count] = start;
    batch->start[++batch->count] = batch->text.length;
    return batch->count == BATCH_FILES || batch->text.length >= BATCH_BYTES ? flush(adding) : 0;
}

static int add_file(struct adding *adding, size_t which) {
    const char *path = adding->walk.files[which].path;
    const size_t start = adding->batch.text.length;
    int status = el_read_file(path, adding->wish->max_file, &adding->batch.text);
    adding->kept[which] = status != EL_ETOOBIG;
    if (status == 0 && !is_text(&adding->batch.text, start)) {
        adding->kept[which] = false;
        adding->skipped[BINARY]++;
        adding->batch.text.length = start;
        return 0;
    }
    if (status == 0) return keep_or_drop(adding, path, start);
    adding->batch.text.length = start;
    if (status == EL_ENOMEM) return status;
    if (status == EL_ETOOBIG)
        adding->skipped[TOO_LARGE]++;
    else
        fail_file(adding, path, el_error_detail());
    return 0;
}

static int add_files(struct adding *adding) {
    EL_TRY(el_zalloc(adding->walk.count, sizeof *adding->kept, &adding->kept));
    el_progress_start(&adding->progress, adding->wish->name, NULL, adding->walk.bytes, 0);
    for (size_t i = 0; i < adding->walk.count; i++) {
        EL_TRY(add_file(adding, i));
        el_progress_add(&adding->progress, adding->walk.files[i].size);
    }
    return flush(adding);
}

// ---- what is gone ----

struct gone {
    struct adding *adding;
    const char *root;
    char **ids;
    size_t count, capacity;
};

// A file below the root that the walk did not keep is gone when it was skipped, or is not there any more;
// else its folder could not be read, and nobody knows.
static int look_for(void *context, const char *id) {
    struct gone *gone = context;
    const struct adding *adding = gone->adding;
    const char *rest = id + strlen(gone->root);
    struct stat info;
    if (*rest && *rest != '/') return 0; // only the name's beginning is the same
    const struct el_file *file = el_walk_find(&adding->walk, id);
    if (file && adding->kept[file - adding->walk.files]) return 0;
    if (!file && (lstat(id, &info) == 0 || (errno != ENOENT && errno != ENOTDIR))) return 0;
    EL_TRY(el_grow(&gone->ids, sizeof *gone->ids, gone->count, &gone->capacity));
    EL_TRY(el_strdup(id, &gone->ids[gone->count]));
    gone->count++;
    return 0;
}

static int remove_gone_below(struct adding *adding, const char *root) {
    struct gone gone = {.adding = adding, .root = root};
    int64_t removed = 0;
    int status = el_index_each(adding->target.index, root, look_for, &gone);
    if (status == 0 && gone.count)
        status = el_index_remove(adding->target.index, (const char *const *)gone.ids, gone.count, &removed);
    adding->removed += removed;
    for (size_t i = 0; i < gone.count; i++)
        el_free(gone.ids[i]);
    el_free(gone.ids);
    return status;
}

static int remove_gone(struct adding *adding) {
    for (size_t i = 0; i < adding->walk.root_count; i++)
        EL_TRY(remove_gone_below(adding, adding->walk.roots[i]));
    return 0;
}

// ---- the whole ----

static void print_json(const struct adding *adding) {
    printf("{\"index\":\"%s\",\"files\":%zu,\"added\":%" PRId64 ",\"changed\":%" PRId64
           ",\"unchanged\":%" PRId64 ",\"removed\":%" PRId64 ",\"chunks\":%" PRId64,
           adding->wish->name, adding->walk.count, adding->added, adding->changed, adding->unchanged,
           adding->removed, adding->chunks);
    printf(",\"skipped\":{\"binary\":%zu,\"too_large\":%zu,\"hidden\":%zu,\"links\":%zu},\"failed\":[%s]}\n",
           adding->skipped[BINARY], adding->skipped[TOO_LARGE], adding->walk.hidden, adding->walk.links,
           adding->failures.length ? adding->failures.data : "");
}

static void print_text(const struct adding *adding) {
    printf("%s: %" PRId64 " added, %" PRId64 " changed, %" PRId64 " unchanged, %" PRId64 " removed; %" PRId64
           " chunks embedded\n",
           adding->wish->name, adding->added, adding->changed, adding->unchanged, adding->removed,
           adding->chunks);
    for (int i = 0; i < SKIPS; i++)
        if (adding->skipped[i]) printf("  skipped, %s: %zu\n", skip_names[i], adding->skipped[i]);
    if (adding->walk.hidden) printf("  skipped, hidden: %zu\n", adding->walk.hidden);
    if (adding->walk.links) printf("  skipped, links and others: %zu\n", adding->walk.links);
    if (adding->failed) printf("  failed: %zu\n", adding->failed);
}

// Files of other shares are none of this process.
static void leave_to_others(const struct el_shard *shard, struct el_walk *walk) {
    size_t kept = 0;
    for (size_t i = 0; i < walk->count; i++) {
        if (el_shard_has(shard, walk->files[i].path)) {
            walk->files[kept++] = walk->files[i];
        } else {
            walk->bytes -= walk->files[i].size;
            el_free(walk->files[i].path);
        }
    }
    walk->count = kept;
}

static int add_all(struct adding *adding) {
    const struct el_index_wish *wish = adding->wish;
    EL_TRY(el_index_target_open(wish, &adding->target));
    if (adding->target.whole && wish->update)
        return el_fail(EL_EINVAL,
                       "--update looks for what is gone from the whole index: run it once more alone, "
                       "behind `index merge`");
    if (!el_index_facts(adding->target.index)->model[0])
        return el_fail(EL_EINVAL, "index %s has no model to embed files: it takes --vectors", wish->name);
    EL_TRY(el_walk_open(wish->operands, wish->operand_count, fail_file, adding, &adding->walk));
    leave_to_others(&adding->target.shard, &adding->walk);
    EL_TRY(add_files(adding));
    return wish->update ? remove_gone(adding) : 0;
}

int el_index_add_files(const struct el_config *config, const struct el_index_wish *wish, bool *ret_failed) {
    struct adding adding = {.config = config, .wish = wish};
    el_progress_open(&adding.progress, stderr);
    int status = add_all(&adding);
    el_progress_finish(&adding.progress);
    if (status == 0) {
        if (wish->json)
            print_json(&adding);
        else
            print_text(&adding);
        *ret_failed = adding.failed > 0;
    }
    el_cmd_model_close(&adding.model);
    el_index_target_close(&adding.target);
    el_walk_close(&adding.walk);
    el_str_done(&adding.batch.text);
    el_str_done(&adding.failures);
    el_free(adding.kept);
    return status;
}
