// SPDX-License-Identifier: Apache-2.0
// What was committed to a vector file, in order: a file of records that only grows. Each record's sum covers
// the one before, so that records can't be lost from the middle, doubled or swapped without notice. A record
// that a crash has torn is the last one, and counts as never written.
#ifndef EL_VECTORS_JOURNAL_H
#define EL_VECTORS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"

enum el_commit_kind {
    EL_COMMIT_APPEND = 1, // rows first .. first + count - 1 are there, with this sum
    EL_COMMIT_ROLLBACK,   // the rows from `first` on are given up
};

// As it lies in the file, little-endian.
struct el_commit {
    uint32_t kind, reserved;
    uint64_t first, count;
    struct el_hash128 sum; // of the rows' bytes
    uint64_t check;        // of this record and the one before
};

struct el_journal {
    char *path;
    int fd;
    uint64_t end;   // offset behind the last record that was read or written
    uint64_t check; // of that record
};

// `id` ties a journal to its vector file. EL_EIO, EL_ENOENT, EL_EFORMAT (another file's), EL_ENOMEM.
int el_journal_create(const char *path, uint64_t id, struct el_journal *ret_journal);
int el_journal_open(const char *path, uint64_t id, bool writable, struct el_journal *ret_journal);
void el_journal_close(struct el_journal *journal);

// The next record: 1, or 0 when there is none yet. EL_ECHECKSUM names the offset of a damaged one.
int el_journal_next(struct el_journal *journal, struct el_commit *ret_commit);

// Writes one behind the last that was read, over what a crash may have left there, and syncs; `check` is
// filled in. EL_EIO: the journal is as before.
int el_journal_append(struct el_journal *journal, struct el_commit *commit);

#endif
