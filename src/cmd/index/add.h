// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor index add NAME PATH...`, and what they count.
#ifndef EL_CMD_INDEX_ADD_H
#define EL_CMD_INDEX_ADD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/progress.h"
#include "base/str.h"
#include "cmd/index/index.h"
#include "files/read.h"
#include "files/walk.h"

struct el_add_summary {
    const struct el_index_wish *wish;
    struct el_progress progress;
    int64_t added, changed, unchanged, removed, chunks;
    size_t outcomes[EL_FILE_OUTCOMES]; // files; also of an earlier run that need not be read again
    size_t read;                       // files in this run
    size_t unpacked, converted, kinds[EL_KIND_COUNT]; // of those
    uint64_t text_bytes;
    struct el_str failures; // JSON objects with commas between
    size_t failed;
    uint64_t start_ns;
};

// Told at once, kept for the JSON of the end. `key` is that of an outcome.
void el_add_failed(struct el_add_summary *summary, const char *path, const char *key, const char *why);
// With --dry-run: what would become of a file.
void el_add_tell(const struct el_add_summary *summary, const char *what, const char *path, const char *why);
void el_add_print(const struct el_add_summary *summary, const struct el_walk *walk);

// With --update: removes what lay below the walk's paths and is not there any more, or was skipped.
// kept[walk->count]: the file is in the index, or nobody knows.
int el_add_remove_gone(struct el_index *index, const struct el_walk *walk, const bool *kept,
                       struct el_add_summary *summary);

#endif
