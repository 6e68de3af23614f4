// SPDX-License-Identifier: Apache-2.0
// Patterns for paths, as .gitignore has them.
#ifndef EL_FILES_GLOB_H
#define EL_FILES_GLOB_H

#include <stdbool.h>

// '*' and '?' stand for bytes without a slash, "**" between slashes for any folders, "[a-z]", "[!a-z]" and
// "[[:alpha:]]" for one byte, '\' takes the next byte as it is. A pattern that is cut within '[' or behind
// '\' matches nothing. Time is at worst the product of the lengths and the number of folders.
bool el_glob_match(const char *pattern, const char *path);

#endif
