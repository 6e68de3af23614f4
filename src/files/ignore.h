// SPDX-License-Identifier: Apache-2.0
// The rules of .gitignore files: https://git-scm.com/docs/gitignore. A folder's rules stand on those of the
// folders above; --include and --exclude are such rules too.
#ifndef EL_FILES_IGNORE_H
#define EL_FILES_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct el_ignore;

enum el_ignore_verdict { EL_IGNORE_SILENT, EL_IGNORE_YES, EL_IGNORE_NO };

// The rules in `text`, one a line, for paths below `folder` (absolute, "/" or without a slash at its end).
// `above` are asked when these are silent; it may be NULL, and must live longer. EL_ENOMEM.
int el_ignore_parse(const char *text, size_t length, const char *folder, const struct el_ignore *above,
                    struct el_ignore **ret_rules);
// Frees these rules, not those above.
void el_ignore_free(struct el_ignore *rules);

// What the last rule that fits says of an absolute path, the rules nearest to it first. Rules NULL are
// silent. Whether a folder that holds it is ignored is for the caller to ask before.
enum el_ignore_verdict el_ignore_judge(const struct el_ignore *rules, const char *path, bool is_folder);

#endif
