// SPDX-License-Identifier: Apache-2.0
// What files held when they were last read: for as long as a file's stamp is the same, so is the hash of its
// text. A cache in a file of its own, which may be lost: then files are read again.
//
// Of a file that was changed shortly before it was read nothing is kept, since a clock that ticks slowly may
// give a later change the same stamp. What is trusted: that the file system sets the time of the last change
// by a clock that is not set back, as Linux's own do.
#ifndef EL_FILES_STAMPS_H
#define EL_FILES_STAMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"
#include "files/read.h"

struct el_stamp {
    struct el_file_stamp file;
    uint64_t rules;         // how the file was read and cut: a hash of the settings
    struct el_hash128 hash; // of its text
    enum el_file_outcome outcome;
};

struct el_stamps;

// Reads a file of stamps; one that is not there, or is damaged, has none. EL_ENOMEM.
int el_stamps_open(const char *path, struct el_stamps **ret_stamps);
void el_stamps_close(struct el_stamps *stamps);

// What is known of a file, NULL when its stamp or the rules are others.
const struct el_stamp *el_stamps_find(const struct el_stamps *stamps, const char *path,
                                      const struct el_file_stamp *file, uint64_t rules);

// For the next el_stamps_save; the path is borrowed. EL_ENOMEM.
int el_stamps_put(struct el_stamps *stamps, const char *path, const struct el_stamp *stamp);
// Writes what was put, and of what was there before the paths for which `keeps` is true. EL_EIO, EL_ENOMEM.
int el_stamps_save(struct el_stamps *stamps, bool (*keeps)(void *context, const char *path), void *context);

#endif
