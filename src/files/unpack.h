// SPDX-License-Identifier: Apache-2.0
// Files that were packed alone: .gz, .xz, .bz2, .zst, known by their first bytes.
#ifndef EL_FILES_UNPACK_H
#define EL_FILES_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

bool el_is_packed(const void *bytes, size_t size);
// The length of a name without ".gz" and the like.
size_t el_unpacked_name(const char *name);

// Appends what the bytes unpack to. EL_ETOOBIG: more than `limit` bytes; EL_EFORMAT: damaged; EL_ENOMEM.
int el_unpack(const void *bytes, size_t size, size_t limit, struct el_str *text);

#endif
