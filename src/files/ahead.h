// SPDX-License-Identifier: Apache-2.0
// Files read by some threads before they are asked for, and given in their order:
//
//     el_ahead_open(paths, count, limit, 2, &ahead);
//     while ((status = el_ahead_next(ahead, &text)) > 0) { ...; el_file_text_done(&text); }
//     el_ahead_close(ahead);
#ifndef EL_FILES_AHEAD_H
#define EL_FILES_AHEAD_H

#include <stddef.h>

#include "files/read.h"

struct el_ahead;

// Begins to read. The paths are borrowed until el_ahead_close. What waits to be asked for is at most some
// hundred files, and not much over 64 MiB of text. EL_ENOMEM, EL_EIO (no thread).
int el_ahead_open(const char *const *paths, size_t count, size_t limit, int workers,
                  struct el_ahead **ret_ahead);
// Waits for the next file's text, which is the caller's from then on: 1, or 0 when there is none left, or
// EL_ENOMEM. One thread.
int el_ahead_next(struct el_ahead *ahead, struct el_file_text *ret_text);
// Waits for the files that are being read, too.
void el_ahead_close(struct el_ahead *ahead);

#endif
