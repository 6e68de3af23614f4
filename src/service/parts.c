// SPDX-License-Identifier: Apache-2.0
// The folders of parts, and their way into the index.
#include "service/parts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"

// An index's name has no dot, so these are nobody's index. MERGED is what is left to be removed.
static const char PARTS[] = "parts", MERGING[] = "merging", MERGED[] = "merged";

static int folder_of(const char *root, const char *name, const char *what, char **ret_folder) {
    el_auto(el_str_done) struct el_str file = {0};
    EL_TRY(el_str_printf(&file, "%s.%s", name, what));
    return el_path_join(root, file.data, ret_folder);
}

static int rename_folder(const char *root, const char *name, const char *from, const char *to) {
    char *source el_auto_free = NULL, *target el_auto_free = NULL;
    EL_TRY(folder_of(root, name, from, &source));
    EL_TRY(folder_of(root, name, to, &target));
    if (rename(source, target) != 0)
        return el_fail(EL_EIO, "cannot rename %s to %s: %s", source, target, strerror(errno));
    return el_sync_folder(root);
}

static int remove_folder(const char *root, const char *name, const char *what) {
    char *folder el_auto_free = NULL;
    EL_TRY(folder_of(root, name, what, &folder));
    return el_tree_remove(folder);
}

int el_parts_delete(const char *root, const char *name) {
    EL_TRY(remove_folder(root, name, PARTS));
    EL_TRY(remove_folder(root, name, MERGING));
    return remove_folder(root, name, MERGED);
}

// ---- writing one ----

struct part_name {
    char text[64];
};

static struct part_name name_of(int64_t rank, int64_t size) {
    struct part_name name;
    snprintf(name.text, sizeof name.text, "%" PRId64 "-of-%" PRId64, rank, size);
    return name;
}

static int path_of(const char *folder, int64_t rank, int64_t size, char **ret_path) {
    return el_path_join(folder, name_of(rank, size).text, ret_path);
}

static int make_part(const char *root, const char *folder, const char *path, const struct el_index *whole) {
    EL_TRY(el_mkdirs(folder));
    EL_TRY(el_sync_folder(root));
    return el_index_create_part(path, whole);
}

int el_parts_open(const char *root, const char *name, const struct el_index *whole,
                  const struct el_shard *shard, struct el_index **ret_part) {
    char *merging el_auto_free = NULL, *folder el_auto_free = NULL, *path el_auto_free = NULL;
    struct el_index *part = NULL;
    EL_TRY(folder_of(root, name, MERGING, &merging));
    EL_TRY(folder_of(root, name, PARTS, &folder));
    EL_TRY(path_of(folder, shard->rank, shard->size, &path));
    if (el_path_exists(merging))
        return el_fail(EL_EBUSY, "the parts of index %s are being merged; `eleanor index merge %s` ends it",
                       name, name);
    if (!el_path_exists(path)) EL_TRY(make_part(root, folder, path, whole));
    EL_TRY(el_index_open(path, true, &part));
    int status = el_index_check_part(whole, part);
    if (status < 0)
        el_index_close(part);
    else
        *ret_part = part;
    return status;
}

// ---- merging all ----

struct parts {
    const char *folder;
    struct el_index **open; // [count]
    size_t count, capacity;
};

static void close_parts(struct parts *parts) {
    for (size_t i = 0; i < parts->count; i++)
        el_index_close(parts->open[i]);
    el_free(parts->open);
}

// A rank that was never started has no part. When each part is followed by that of the next rank, round and
// round, all are there.
static int check_next(const char *folder, int64_t rank, int64_t size) {
    char *path el_auto_free = NULL;
    const int64_t next = (rank + 1) % size;
    EL_TRY(path_of(folder, next, size, &path));
    if (el_path_exists(path)) return 0;
    return el_fail(EL_EINVAL,
                   "rank %" PRId64 " of %" PRId64 " has left no part in %s: start it (--shard %" PRId64
                   "/%" PRId64 "), then merge",
                   next, size, folder, next, size);
}

// Anything else in the folder is no part, as what a killed process has left of one that it was making.
static bool is_part(const char *file, int64_t *ret_rank, int64_t *ret_size) {
    int64_t rank, size;
    if (sscanf(file, "%" SCNd64 "-of-%" SCNd64, &rank, &size) != 2 || rank < 0 || rank >= size) return false;
    *ret_rank = rank;
    *ret_size = size;
    return el_streq(file, name_of(rank, size).text);
}

static int open_part(struct parts *parts, const char *file, bool complete) {
    char *path el_auto_free = NULL;
    int64_t rank, size;
    if (!is_part(file, &rank, &size)) return 0;
    if (complete) EL_TRY(check_next(parts->folder, rank, size));
    EL_TRY(path_of(parts->folder, rank, size, &path));
    EL_TRY(el_grow(&parts->open, sizeof(struct el_index *), parts->count, &parts->capacity));
    EL_TRY(el_index_open(path, true, &parts->open[parts->count]));
    parts->count++;
    return 0;
}

// Opens each for writing, so that nobody else writes there. `complete`: none may be missing.
static int open_parts(struct parts *parts, bool complete) {
    DIR *stream = opendir(parts->folder);
    if (!stream) return el_fail(EL_EIO, "cannot read %s: %s", parts->folder, strerror(errno));
    int status = 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(stream));)
        status = open_part(parts, entry->d_name, complete);
    closedir(stream);
    return status;
}

// Makes NAME.parts, when all is there and nobody writes, NAME.merging.
static int begin(const char *root, const char *name) {
    char *folder el_auto_free = NULL;
    EL_TRY(folder_of(root, name, PARTS, &folder));
    if (!el_path_exists(folder))
        return el_fail(EL_ENOENT, "index %s has no parts: there is no %s", name, folder);
    struct parts parts = {.folder = folder};
    int status = open_parts(&parts, true);
    if (status == 0 && !parts.count)
        status = el_fail(EL_ENOENT, "index %s has no parts: there is none in %s", name, folder);
    close_parts(&parts);
    return status < 0 ? status : rename_folder(root, name, PARTS, MERGING);
}

static int merge(const char *root, const char *name, const char *folder, struct el_index *whole,
                 void (*tell)(void *context, int64_t documents), void *context, int64_t *ret_added) {
    struct parts parts = {.folder = folder};
    int status = open_parts(&parts, false);
    if (status == 0) status = el_index_merge(whole, parts.open, parts.count, tell, context, ret_added);
    close_parts(&parts);
    EL_TRY(status);
    EL_TRY(rename_folder(root, name, MERGING, MERGED)); // at once: half a part would look damaged
    return remove_folder(root, name, MERGED);
}

int el_parts_merge(const char *root, const char *name, struct el_index *whole,
                   void (*tell)(void *context, int64_t documents), void *context, int64_t *ret_added) {
    char *merging el_auto_free = NULL;
    int64_t before = 0;
    EL_TRY(folder_of(root, name, MERGING, &merging));
    EL_TRY(remove_folder(root, name, MERGED));
    const bool was_interrupted = el_path_exists(merging);
    if (was_interrupted) {
        EL_TRY(merge(root, name, merging, whole, tell, context, &before));
        *ret_added = before;
    }
    const int status = begin(root, name);
    if (status == EL_ENOENT && was_interrupted) return 0; // nothing has come since
    EL_TRY(status);
    EL_TRY(merge(root, name, merging, whole, tell, context, ret_added));
    *ret_added += before;
    return 0;
}
