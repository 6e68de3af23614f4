// SPDX-License-Identifier: Apache-2.0
// A disk that forgets at a power cut what was not synced. It stands between a program that links it (SQLite
// within included) and the kernel: writes go through, but first what they replace is noted in memory that
// outlives the process. After the process was killed, forget() takes back some of what no fsync had covered,
// in any order: the whole of it, pages, or sectors of 512 bytes within a page; sizes, files that were made,
// files that were removed.
#ifndef EL_TEST_FORGETFUL_H
#define EL_TEST_FORGETFUL_H

#include <stdbool.h>
#include <stddef.h>

// Begins to note, in a process that is forked afterwards: `folder` is what is on the disk, `stash`, a folder
// on the same disk, is where removed files wait.
void forgetful_start(const char *folder, const char *stash);
// In the child: its writes count from here on.
void forgetful_watch(void);
// In the parent, when the child is dead: loses what chance wants, and ends noting. How many sectors, sizes
// and names were taken back.
size_t forgetful_cut(unsigned seed);

#endif
