// SPDX-License-Identifier: Apache-2.0
// A file that is being written and hashed at once: what pull and import put bytes into.
#ifndef EL_STORE_SINK_H
#define EL_STORE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "store/sha256.h"

struct el_sink {
    const char *path; // borrowed
    int fd;           // -1: closed
    uint64_t size;    // bytes so far
    struct el_sha256 sha;
};

// A new file (EL_EINVAL when it is there already). EL_EIO. A full disk is named as such, here and below.
int el_sink_open(const char *path, struct el_sink *ret_sink);
// Goes on after the bytes that are there, which are hashed; a file that is not there is made.
int el_sink_resume(const char *path, struct el_sink *ret_sink);
// Begins the file anew.
int el_sink_restart(struct el_sink *sink);
int el_sink_write(struct el_sink *sink, const void *bytes, size_t length);
// Brings the bytes to the disk, closes the file and tells the sum.
int el_sink_finish(struct el_sink *sink, char ret_sha256[EL_SHA256_TEXT]);
void el_sink_close(struct el_sink *sink); // keeps what is written

// EL_ETOOBIG when the file system of `folder` has less than `bytes` bytes left.
int el_disk_check(const char *folder, uint64_t bytes);

#endif
