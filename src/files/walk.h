// SPDX-License-Identifier: Apache-2.0
// Finds the files below some paths, as ripgrep does: without hidden ones, links, and what .gitignore says.
#ifndef EL_FILES_WALK_H
#define EL_FILES_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files/bytes.h"

struct el_file {
    char *path; // absolute, without links
    struct el_file_stamp stamp;
};

struct el_walk_rules {
    const char *include, *exclude; // lines as in a .gitignore, or NULL; relative to each path that is walked
    bool hidden;                   // take names that begin with a dot too
    bool no_ignore;                // take no notice of .gitignore files
    // Hears of each folder that can't be read.
    void (*tell)(void *context, const char *path, const char *why);
    void *context;
};

struct el_walk {
    struct el_file *files; // by path, each once
    size_t count, capacity;
    char **roots; // [root_count], absolute
    size_t root_count;
    size_t hidden, ignored, excluded, links; // left out: names; a folder counts as one
};

// Finds the regular files below `paths`, or those that are given themselves, which no rule leaves out. Links
// are not followed unless they are given. EL_ENOENT: a path is not there. EL_EIO, EL_ENOMEM.
int el_walk_open(const char *const *paths, size_t count, const struct el_walk_rules *rules,
                 struct el_walk *ret_walk);
// The file of that path, or NULL.
const struct el_file *el_walk_find(const struct el_walk *walk, const char *path);
// True for the paths that were walked and all below them.
bool el_walk_covers(const struct el_walk *walk, const char *path);
void el_walk_close(struct el_walk *walk);

#endif
