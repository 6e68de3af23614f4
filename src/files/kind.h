// SPDX-License-Identifier: Apache-2.0
// What a file is: how it is read, and how its text is cut.
#ifndef EL_FILES_KIND_H
#define EL_FILES_KIND_H

#include <stddef.h>

enum el_file_kind {
#define X(kind, name, ends) EL_KIND_##kind,
#include "files/kind.def"
#undef X
    EL_KIND_COUNT
};

const char *el_file_kind_name(enum el_file_kind kind); // "markdown"

// By the first bytes (PDF, HTML, "#!" of a script), else by the end of the name without ".gz" and the like.
enum el_file_kind el_file_kind(const char *name, const char *bytes, size_t size);

#endif
