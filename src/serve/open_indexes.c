// SPDX-License-Identifier: Apache-2.0
// A small table of open indexes, in the order of their last use; when it is full, the first is closed.
#include "serve/open_indexes.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "store/store.h"

enum { MOST_OPEN = 64 };

struct el_open_index {
    char *name;
    dev_t device; // of its folder: another folder of that name is another index
    ino_t inode;
    struct el_index *index;
    struct el_searcher *searcher;
};

int el_open_indexes_init(struct el_open_indexes *indexes, const struct el_searcher_options *kept,
                         int threads) {
    *indexes = (struct el_open_indexes){.kept = *kept, .threads = threads > 0 ? threads : el_cpu_count()};
    EL_TRY(el_alloc(MOST_OPEN, sizeof *indexes->open, &indexes->open));
    int status = el_store_beside("indexes", &indexes->root);
    return status == EL_ENOENT ? 0 : status; // a server of models needs no home
}

static void close_one(struct el_open_index *open) {
    el_searcher_close(open->searcher);
    el_index_close(open->index);
    el_free(open->name);
}

static void close_at(struct el_open_indexes *indexes, size_t i) {
    struct el_open_index *open = &indexes->open[i];
    close_one(open);
    indexes->count--;
    memmove(open, open + 1, (indexes->count - i) * sizeof *open);
}

void el_open_indexes_done(struct el_open_indexes *indexes) {
    while (indexes->count)
        close_at(indexes, indexes->count - 1);
    if (indexes->team) el_team_close(indexes->team);
    el_free(indexes->open);
    el_free(indexes->root);
    *indexes = (struct el_open_indexes){0};
}

static int add(struct el_open_indexes *indexes, const char *name, const struct stat *folder) {
    struct el_open_index open = {.device = folder->st_dev, .inode = folder->st_ino};
    int status = el_search_open(indexes->root, name, false, &open.index);
    if (status == 0) status = el_searcher_open(&indexes->kept, &open.searcher);
    if (status == 0) status = el_strdup(name, &open.name);
    if (status < 0) {
        close_one(&open);
        return status;
    }
    if (indexes->count == MOST_OPEN) close_at(indexes, 0);
    indexes->open[indexes->count++] = open;
    return 0;
}

static void move_to_end(struct el_open_indexes *indexes, size_t i) {
    struct el_open_index *open = &indexes->open[i];
    const struct el_open_index used = *open;
    memmove(open, open + 1, (indexes->count - 1 - i) * sizeof *open);
    indexes->open[indexes->count - 1] = used;
}

// Makes the index of that name the last, if it is still that folder; false: it is not open any more.
static bool find(struct el_open_indexes *indexes, const char *name, const struct stat *folder) {
    size_t i = 0;
    while (i < indexes->count && !el_streq(indexes->open[i].name, name))
        i++;
    if (i == indexes->count) return false;
    const struct el_open_index *open = &indexes->open[i];
    const bool is_it = folder->st_ino && open->device == folder->st_dev && open->inode == folder->st_ino;
    if (is_it)
        move_to_end(indexes, i);
    else
        close_at(indexes, i);
    return is_it;
}

int el_open_indexes_find(struct el_open_indexes *indexes, const char *name, struct el_index **ret_index,
                         struct el_searcher **ret_searcher) {
    char *path el_auto_free = NULL;
    struct stat folder = {0}; // no folder has inode 0
    EL_TRY(el_search_name_check(name));
    EL_TRY(el_path_join(indexes->root, name, &path));
    stat(path, &folder);
    if (!find(indexes, name, &folder)) EL_TRY(add(indexes, name, &folder));
    const struct el_open_index *open = &indexes->open[indexes->count - 1];
    *ret_index = open->index;
    if (ret_searcher) *ret_searcher = open->searcher;
    return 0;
}

int el_open_indexes_team(struct el_open_indexes *indexes, struct el_team **ret_team) {
    if (!indexes->team) EL_TRY(el_team_open(indexes->threads, false, &indexes->team));
    *ret_team = indexes->team;
    return 0;
}
