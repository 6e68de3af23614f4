// SPDX-License-Identifier: Apache-2.0
// Finds the files that `eleanor index add` is to look at.
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/index.h"

static int add_file(struct el_walk *walk, const FTSENT *entry) {
    EL_TRY(el_grow(&walk->files, sizeof *walk->files, walk->count, &walk->capacity));
    struct el_file *file = &walk->files[walk->count];
    EL_TRY(el_strdup(entry->fts_path, &file->path));
    file->size = (uint64_t)entry->fts_statp->st_size;
    walk->bytes += file->size;
    walk->count++;
    return 0;
}

struct listener {
    void (*tell)(void *context, const char *path, const char *why);
    void *context;
};

static int visit(struct el_walk *walk, FTS *tree, FTSENT *entry, const struct listener *listener) {
    const bool is_hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
    switch (entry->fts_info) {
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        listener->tell(listener->context, entry->fts_path, strerror(entry->fts_errno));
        return 0;
    default:
        break;
    }
    if (is_hidden) {
        walk->hidden++;
        fts_set(tree, entry, FTS_SKIP);
        return 0;
    }
    if (entry->fts_info == FTS_F) return add_file(walk, entry);
    walk->links += entry->fts_info != FTS_D;
    return 0;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk_root(struct el_walk *walk, char *root, const struct listener *listener) {
    FTS *tree = fts_open((char *const[]){root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree) return el_fail(EL_EIO, "cannot read %s: %s", root, strerror(errno));
    int status = 0;
    for (FTSENT *entry; status == 0 && (entry = fts_read(tree));)
        status = visit(walk, tree, entry, listener);
    fts_close(tree);
    return status;
}

static int find_roots(struct el_walk *walk, const char *const *paths, size_t count) {
    EL_TRY(el_zalloc(count, sizeof *walk->roots, &walk->roots));
    for (size_t i = 0; i < count; i++) {
        char real[PATH_MAX];
        if (!realpath(paths[i], real))
            return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "%s: %s", paths[i], strerror(errno));
        EL_TRY(el_strdup(real, &walk->roots[walk->root_count]));
        walk->root_count++;
    }
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct el_file *)a)->path, ((const struct el_file *)b)->path);
}

// Roots may lie within each other: each file once.
static void sort_files(struct el_walk *walk) {
    size_t kept = 0;
    if (walk->count) qsort(walk->files, walk->count, sizeof *walk->files, by_path);
    for (size_t i = 0; i < walk->count; i++) {
        if (kept && el_streq(walk->files[kept - 1].path, walk->files[i].path)) {
            walk->bytes -= walk->files[i].size;
            el_free(walk->files[i].path);
        } else {
            walk->files[kept++] = walk->files[i];
        }
    }
    walk->count = kept;
}

const struct el_file *el_walk_find(const struct el_walk *walk, const char *path) {
    const struct el_file wanted = {.path = (char *)(uintptr_t)path};
    if (!walk->count) return NULL;
    return bsearch(&wanted, walk->files, walk->count, sizeof wanted, by_path);
}

int el_walk_open(const char *const *paths, size_t count,
                 void (*tell)(void *context, const char *path, const char *why), void *context,
                 struct el_walk *ret_walk) {
    el_auto(el_walk_close) struct el_walk walk = {0};
    const struct listener listener = {tell, context};
    EL_TRY(find_roots(&walk, paths, count));
    for (size_t i = 0; i < walk.root_count; i++)
        EL_TRY(walk_root(&walk, walk.roots[i], &listener));
    sort_files(&walk);
    *ret_walk = walk;
    walk = (struct el_walk){0};
    return 0;
}

void el_walk_close(struct el_walk *walk) {
    for (size_t i = 0; i < walk->count; i++)
        el_free(walk->files[i].path);
    for (size_t i = 0; i < walk->root_count; i++)
        el_free(walk->roots[i]);
    el_free(walk->files);
    el_free(walk->roots);
    *walk = (struct el_walk){0};
}
