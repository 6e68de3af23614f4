// SPDX-License-Identifier: Apache-2.0
// Walks over folders, by fts.
#include "base/tree.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

typedef int visit_fn(void *context, const FTSENT *entry);

// Calls visit for each file, link and (after its content) folder.
static int walk(const char *path, visit_fn *visit, void *context) {
    FTS *tree = fts_open((char *const[]){(char *)(uintptr_t)path, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!tree) return el_fail(EL_EIO, "cannot read folder %s: %s", path, strerror(errno));
    int status = 0;
    for (const FTSENT *entry; status == 0 && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_D) continue;
        bool is_missing_root = entry->fts_level == 0 && entry->fts_errno == ENOENT;
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
            status = is_missing_root
                         ? 0
                         : el_fail(EL_EIO, "cannot read %s: %s", entry->fts_path, strerror(entry->fts_errno));
        else
            status = visit(context, entry);
    }
    fts_close(tree);
    return status;
}

static int remove_entry(void *context, const FTSENT *entry) {
    (void)context;
    if (remove(entry->fts_path) == 0 || errno == ENOENT) return 0;
    return el_fail(EL_EIO, "cannot remove %s: %s", entry->fts_path, strerror(errno));
}

int el_tree_remove(const char *path) {
    return walk(path, remove_entry, NULL);
}

struct pruning {
    size_t root_length;
    bool (*keep)(const void *context, const char *relative);
    const void *context;
};

static int prune_entry(void *context, const FTSENT *entry) {
    const struct pruning *pruning = context;
    if (entry->fts_level == 0) return 0;
    if (entry->fts_info == FTS_DP) {
        rmdir(entry->fts_path); // fails, as it should, where something was kept
        return 0;
    }
    if (pruning->keep(pruning->context, entry->fts_path + pruning->root_length + 1)) return 0;
    return remove_entry(NULL, entry);
}

int el_tree_prune(const char *path, bool (*keep)(const void *context, const char *relative),
                  const void *context) {
    struct pruning pruning = {.root_length = strlen(path), .keep = keep, .context = context};
    return walk(path, prune_entry, &pruning);
}

static int add_size(void *context, const FTSENT *entry) {
    if (entry->fts_info == FTS_F) *(uint64_t *)context += (uint64_t)entry->fts_statp->st_size;
    return 0;
}

int el_tree_size(const char *path, uint64_t *ret_bytes) {
    uint64_t bytes = 0;
    int status = walk(path, add_size, &bytes);
    if (status < 0) return status;
    *ret_bytes = bytes;
    return 0;
}

static int sync_folder(void *context, const FTSENT *entry) {
    (void)context;
    return entry->fts_info == FTS_DP ? el_sync_folder(entry->fts_path) : 0;
}

int el_tree_sync(const char *path) {
    return walk(path, sync_folder, NULL);
}
