// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor index`: each does one thing with an index and prints what came of it.
#ifndef EL_CMD_INDEX_H
#define EL_CMD_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "service/search.h"

struct el_index_wish {
    const char *action, *name; // name NULL: none was given
    const char **operands;     // behind the name; owned
    size_t operand_count;
    const char **ids; // --document; owned
    size_t id_count;
    const char *metric, *model, *vectors; // as given, or NULL
    int64_t dim, top;                     // 0: not given
    uint64_t max_file;                    // bytes
    bool update, json;
    char *root; // of all indexes; owned
};

// Files and folders into the index; *ret_failed: some file could not be read, which was told.
int el_index_add_files(const struct el_config *config, const struct el_index_wish *wish, bool *ret_failed);
// The rows of a NumPy file, as the documents FILE:ROW.
int el_index_add_vectors(const struct el_index_wish *wish);
int el_index_query(const struct el_config *config, const struct el_index_wish *wish);

// ---- walking: index_walk.c ----

struct el_file {
    char *path; // absolute, without links
    uint64_t size;
};
struct el_walk {
    struct el_file *files; // by path, each once
    size_t count, capacity;
    uint64_t bytes;
    char **roots; // [root_count], absolute
    size_t root_count;
    size_t hidden, links; // left out
};
// Finds the regular files below `paths`; names that begin with a dot are left out, links are not
// followed, unless they are given. `tell` hears of each folder that can't be read. EL_ENOENT: a path is not
// there.
int el_walk_open(const char *const *paths, size_t count,
                 void (*tell)(void *context, const char *path, const char *why), void *context,
                 struct el_walk *ret_walk);
// The file of that path, or NULL.
const struct el_file *el_walk_find(const struct el_walk *walk, const char *path);
void el_walk_close(struct el_walk *walk);

#endif
