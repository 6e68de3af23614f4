// SPDX-License-Identifier: Apache-2.0
// Folders as a whole: remove, measure, bring to the disk.
#ifndef EL_BASE_TREE_H
#define EL_BASE_TREE_H

#include <stdbool.h>
#include <stdint.h>

// Removes `path` and what is below it; links are removed, not followed. What is not there counts as removed.
int el_tree_remove(const char *path);

// Calls `keep` with each file's path relative to `path` and removes those it refuses, and folders that this
// leaves empty.
int el_tree_prune(const char *path, bool (*keep)(const void *context, const char *relative),
                  const void *context);

// Bytes of all regular files below `path`. EL_EIO.
int el_tree_size(const char *path, uint64_t *ret_bytes);

// fsync of each folder from `path` down, so that names in them outlive a power cut.
int el_tree_sync(const char *path);

#endif
