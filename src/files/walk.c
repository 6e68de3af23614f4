// SPDX-License-Identifier: Apache-2.0
// The walk: one folder after the other, each with the rules of its own .gitignore over those above it.
#include "files/walk.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "files/bytes.h"
#include "files/ignore.h"

enum { MOST_RULES = 1 << 20 }; // bytes of a .gitignore

// The rules of a folder that was entered, until it is left.
struct level {
    struct el_ignore *rules;
    const struct el_ignore *above; // what holds when it is left
    int depth;                     // of the folder, as fts counts
};

struct walker {
    struct el_walk *walk;
    const struct el_walk_rules *wish;
    struct el_ignore *include, *exclude; // for this root, or NULL
    const struct el_ignore *ignore;      // of this folder and those above
    struct level *levels;                // [level_count]: folders with a .gitignore that we are in
    size_t level_count, level_capacity;
};

// ---- rules ----

// Enters `folder`, when there is a .gitignore in it.
static int enter(struct walker *walker, const char *folder, int depth) {
    char *path el_auto_free = NULL;
    struct el_str text el_auto(el_str_done) = {0};
    if (walker->wish->no_ignore) return 0;
    EL_TRY(el_path_join(folder, ".gitignore", &path));
    if (!el_path_exists(path)) return 0;
    struct el_file_stamp unused;
    int status = el_file_bytes(path, MOST_RULES, &text, &unused);
    if (status == EL_ENOMEM) return status;
    if (status < 0) {
        walker->wish->tell(walker->wish->context, path, el_error_detail());
        return 0;
    }
    EL_TRY(el_grow(&walker->levels, sizeof *walker->levels, walker->level_count, &walker->level_capacity));
    struct level *level = &walker->levels[walker->level_count];
    *level = (struct level){.above = walker->ignore, .depth = depth};
    EL_TRY(el_ignore_parse(text.data, text.length, folder, walker->ignore, &level->rules));
    walker->ignore = level->rules;
    walker->level_count++;
    return 0;
}

// Leaves all folders of this depth and below.
static void leave(struct walker *walker, int depth) {
    while (walker->level_count && walker->levels[walker->level_count - 1].depth >= depth) {
        struct level *level = &walker->levels[--walker->level_count];
        walker->ignore = level->above;
        el_ignore_free(level->rules);
    }
}

static bool is_repository(const char *folder) {
    char *path el_auto_free = NULL;
    return el_path_join(folder, ".git", &path) == 0 && el_path_exists(path);
}

// Enters the folders above the root up to the repository's own, when there is one: their rules hold too.
static int enter_above(struct walker *walker, const char *root) {
    char *folder el_auto_free = NULL;
    EL_TRY(el_strdup(root, &folder));
    size_t top = 0;
    for (size_t end = strlen(folder); end > 1 && !top; end--) {
        if (folder[end] && folder[end] != '/') continue;
        folder[end] = '\0';
        if (is_repository(folder)) top = end;
    }
    for (size_t end = top; top && end < strlen(root); end++) {
        if (root[end] != '/') continue;
        memcpy(folder, root, end);
        folder[end] = '\0';
        EL_TRY(enter(walker, folder, -1));
    }
    return 0;
}

// Counts what is left out, and by what.
static bool is_left_out(struct walker *walker, const FTSENT *entry) {
    const bool is_folder = entry->fts_info == FTS_D;
    struct el_walk *walk = walker->walk;
    size_t *count = NULL;
    if (entry->fts_level == 0) return false;
    if (entry->fts_name[0] == '.' && !walker->wish->hidden)
        count = &walk->hidden;
    else if (el_streq(entry->fts_name, ".git") && !walker->wish->no_ignore)
        count = &walk->ignored;
    else if (!is_folder && entry->fts_info != FTS_F)
        count = &walk->links;
    else if (el_ignore_judge(walker->ignore, entry->fts_path, is_folder) == EL_IGNORE_YES)
        count = &walk->ignored;
    else if (el_ignore_judge(walker->exclude, entry->fts_path, is_folder) == EL_IGNORE_YES ||
             (walker->include && !is_folder &&
              el_ignore_judge(walker->include, entry->fts_path, false) != EL_IGNORE_YES))
        count = &walk->excluded;
    if (count) ++*count;
    return count != NULL;
}

// ---- walking ----

static int add_file(struct el_walk *walk, const FTSENT *entry) {
    EL_TRY(el_grow(&walk->files, sizeof *walk->files, walk->count, &walk->capacity));
    struct el_file *file = &walk->files[walk->count];
    EL_TRY(el_strdup(entry->fts_path, &file->path));
    file->stamp = el_file_stamp(entry->fts_statp);
    walk->count++;
    return 0;
}

static int visit(struct walker *walker, FTS *tree, FTSENT *entry) {
    switch (entry->fts_info) {
    case FTS_DP:
        leave(walker, entry->fts_level);
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        walker->wish->tell(walker->wish->context, entry->fts_path, strerror(entry->fts_errno));
        return 0;
    default:
        break;
    }
    if (is_left_out(walker, entry)) {
        fts_set(tree, entry, FTS_SKIP);
        return 0;
    }
    if (entry->fts_info == FTS_D) return enter(walker, entry->fts_path, entry->fts_level);
    if (entry->fts_info == FTS_F) return add_file(walker->walk, entry);
    walker->walk->links++; // a device or pipe that was given itself
    return 0;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int parse_globs(const char *globs, const char *root, struct el_ignore **ret_rules) {
    return globs ? el_ignore_parse(globs, strlen(globs), root, NULL, ret_rules) : 0;
}

static int fail_errno(const char *root) {
    return el_fail(errno == ENOMEM ? EL_ENOMEM : EL_EIO, "cannot read %s: %s", root, strerror(errno));
}

static int walk_root(struct walker *walker, char *root) {
    EL_TRY(parse_globs(walker->wish->include, root, &walker->include));
    EL_TRY(parse_globs(walker->wish->exclude, root, &walker->exclude));
    EL_TRY(enter_above(walker, root));
    FTS *tree = fts_open((char *const[]){root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree) return fail_errno(root);
    int status = 0;
    for (FTSENT *entry; status == 0 && (errno = 0, entry = fts_read(tree));)
        status = visit(walker, tree, entry);
    if (status == 0 && errno) status = fail_errno(root); // the end leaves none
    fts_close(tree);
    return status;
}

static void done_root(struct walker *walker) {
    leave(walker, -1);
    el_ignore_free(walker->include);
    el_ignore_free(walker->exclude);
    el_free(walker->levels);
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
        if (kept && el_streq(walk->files[kept - 1].path, walk->files[i].path))
            el_free(walk->files[i].path);
        else
            walk->files[kept++] = walk->files[i];
    }
    walk->count = kept;
}

const struct el_file *el_walk_find(const struct el_walk *walk, const char *path) {
    const struct el_file wanted = {.path = (char *)(uintptr_t)path};
    if (!walk->count) return NULL;
    return bsearch(&wanted, walk->files, walk->count, sizeof wanted, by_path);
}

bool el_walk_covers(const struct el_walk *walk, const char *path) {
    for (size_t i = 0; i < walk->root_count; i++)
        if (el_path_below(path, walk->roots[i])) return true;
    return false;
}

int el_walk_open(const char *const *paths, size_t count, const struct el_walk_rules *rules,
                 struct el_walk *ret_walk) {
    el_auto(el_walk_close) struct el_walk walk = {0};
    EL_TRY(find_roots(&walk, paths, count));
    for (size_t i = 0; i < walk.root_count; i++) {
        el_auto(done_root) struct walker walker = {.walk = &walk, .wish = rules};
        EL_TRY(walk_root(&walker, walk.roots[i]));
    }
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
