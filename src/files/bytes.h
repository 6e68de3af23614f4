// SPDX-License-Identifier: Apache-2.0
// The bytes of a file that may be anything: a pipe, a file of /proc without end, one that changes meanwhile.
#ifndef EL_FILES_BYTES_H
#define EL_FILES_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// What a file's bytes hang on: its size, the clock of their last change, and that of the last change of
// anything about the file, which nobody can set back.
struct el_file_stamp {
    uint64_t size;              // bytes
    int64_t mtime_ns, ctime_ns; // since 1970
};
struct stat;
struct el_file_stamp el_file_stamp(const struct stat *info);
bool el_file_stamp_equal(const struct el_file_stamp *a, const struct el_file_stamp *b);

// Appends a regular file's bytes, without ever waiting for more and without following a link at the path's
// end. The stamp is of the moment before. On failure *bytes is as before: EL_ENOENT, EL_ETOOBIG (over `limit`
// bytes), EL_EIO, EL_ENOMEM.
int el_file_bytes(const char *path, size_t limit, struct el_str *bytes, struct el_file_stamp *ret_stamp);

#endif
