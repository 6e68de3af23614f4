// SPDX-License-Identifier: Apache-2.0
// `eleanor index add --update`: documents whose files are gone.
#include <errno.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/index/add.h"

struct gone {
    const struct el_walk *walk;
    const bool *kept;
    char **ids;
    size_t count, capacity;
};

// A file below the root that the walk did not keep is gone when it was skipped, or is not there any more;
// else its folder could not be read or a rule leaves it out, and it stays.
static int look_for(void *context, const char *id) {
    struct gone *gone = context;
    struct stat info;
    if (!el_walk_covers(gone->walk, id)) return 0; // only the name's beginning is the same
    const struct el_file *file = el_walk_find(gone->walk, id);
    if (file && gone->kept[file - gone->walk->files]) return 0;
    if (!file && (lstat(id, &info) == 0 || (errno != ENOENT && errno != ENOTDIR))) return 0;
    EL_TRY(el_grow(&gone->ids, sizeof *gone->ids, gone->count, &gone->capacity));
    EL_TRY(el_strdup(id, &gone->ids[gone->count]));
    gone->count++;
    return 0;
}

static int remove_below(struct el_index *index, const char *root, struct gone *gone,
                        struct el_add_summary *summary) {
    int64_t removed = 0;
    int status = el_index_each(index, root, look_for, gone);
    if (status < 0 || !gone->count) return status;
    for (size_t i = 0; i < gone->count; i++)
        el_add_tell(summary, "remove", gone->ids[i], NULL);
    if (summary->wish->dry_run)
        removed = (int64_t)gone->count;
    else
        status = el_index_remove(index, (const char *const *)gone->ids, gone->count, &removed);
    summary->removed += removed;
    return status;
}

int el_add_remove_gone(struct el_index *index, const struct el_walk *walk, const bool *kept,
                       struct el_add_summary *summary) {
    int status = 0;
    for (size_t i = 0; status == 0 && i < walk->root_count; i++) {
        struct gone gone = {.walk = walk, .kept = kept};
        status = remove_below(index, walk->roots[i], &gone, summary);
        for (size_t j = 0; j < gone.count; j++)
            el_free(gone.ids[j]);
        el_free(gone.ids);
    }
    return status;
}
