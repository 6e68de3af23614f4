// SPDX-License-Identifier: Apache-2.0
// Files: read-only maps, whole reads with a limit, writes that appear whole or not at all, and writes in
// place.
#ifndef EL_BASE_FILE_H
#define EL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct el_map {
    const uint8_t *data; // NULL for an empty file
    size_t size;         // bytes
};

// EL_ENOENT, EL_EIO. Each detail names the path.
int el_map_open(const char *path, struct el_map *ret_map);
void el_map_close(struct el_map *map);

// Appends the file to *str. EL_ETOOBIG when it holds more than `limit` bytes, EL_ENOENT, EL_EIO, EL_ENOMEM.
int el_read_file(const char *path, size_t limit, struct el_str *str);

// Writes beside `path`, fsyncs and renames over it: a reader sees the old bytes or the new, never half.
int el_write_file(const char *path, const void *data, size_t size);

// For an open file, which `path` names in errors: `size` bytes at `offset`, all or EL_EIO.
int el_read_at(int fd, const char *path, void *data, size_t size, uint64_t offset);
int el_write_at(int fd, const char *path, const void *data, size_t size, uint64_t offset);
// What was written is on the disk when it returns; of a folder, the names in it. EL_EIO.
int el_sync(int fd, const char *path);
int el_sync_folder(const char *path);

// For el_auto: closes a descriptor that is not negative.
void el_fd_close(int *fd);

bool el_path_exists(const char *path);
// "dir/name" (no doubled slash) as a new string.
int el_path_join(const char *dir, const char *name, char **ret_path);
// The rest of the path behind the folder and a slash, "" for the folder itself; NULL when it is not below.
const char *el_path_below(const char *path, const char *folder);
// mkdir -p, mode 0755.
int el_mkdirs(const char *path);

#endif
