// SPDX-License-Identifier: Apache-2.0
// A small table of open indexes; when it is full, the one that was opened first is closed.
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
};

int el_open_indexes_init(struct el_open_indexes *indexes, int threads) {
    *indexes = (struct el_open_indexes){.threads = threads > 0 ? threads : el_cpu_count()};
    EL_TRY(el_alloc(MOST_OPEN, sizeof *indexes->open, &indexes->open));
    int status = el_store_beside("indexes", &indexes->root);
    return status == EL_ENOENT ? 0 : status; // a server of models needs no home
}

static void close_at(struct el_open_indexes *indexes, size_t i) {
    struct el_open_index *open = &indexes->open[i];
    el_index_close(open->index);
    el_free(open->name);
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

static int add(struct el_open_indexes *indexes, const char *name, const struct stat *folder,
               struct el_index **ret_index) {
    struct el_open_index open = {.device = folder->st_dev, .inode = folder->st_ino};
    EL_TRY(el_search_open(indexes->root, name, false, &open.index));
    int status = el_strdup(name, &open.name);
    if (status < 0) {
        el_index_close(open.index);
        return status;
    }
    if (indexes->count == MOST_OPEN) close_at(indexes, 0);
    indexes->open[indexes->count++] = open;
    *ret_index = open.index;
    return 0;
}

int el_open_indexes_find(struct el_open_indexes *indexes, const char *name, struct el_index **ret_index) {
    char *path el_auto_free = NULL;
    struct stat folder = {0};
    EL_TRY(el_search_name_check(name));
    EL_TRY(el_path_join(indexes->root, name, &path));
    const bool is_there = stat(path, &folder) == 0;
    for (size_t i = 0; i < indexes->count; i++) {
        struct el_open_index *open = &indexes->open[i];
        if (!el_streq(open->name, name)) continue;
        if (is_there && open->device == folder.st_dev && open->inode == folder.st_ino) {
            *ret_index = open->index;
            return 0;
        }
        close_at(indexes, i);
        break;
    }
    return add(indexes, name, &folder, ret_index);
}

int el_open_indexes_team(struct el_open_indexes *indexes, struct el_team **ret_team) {
    if (!indexes->team) EL_TRY(el_team_open(indexes->threads, false, &indexes->team));
    *ret_team = indexes->team;
    return 0;
}
