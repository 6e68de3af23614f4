// SPDX-License-Identifier: Apache-2.0
// The journal of a vector file: a head of 64 bytes, then records of 48.
#include "vectors/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct head {
    char magic[8];
    uint32_t version, reserved;
    uint64_t id;
    uint8_t unused[32];
    uint64_t check; // of what stands before it
};
_Static_assert(sizeof(struct head) == 64 && sizeof(struct el_commit) == 48, "laid out as in the file");

static const char magic[8] = "ELCOMMIT";
enum { VERSION = 1 };

// The sum's key is where the chain stands: it guards against damage, not against malice.
static uint64_t check_of(const void *bytes, size_t size, uint64_t before) {
    return el_siphash_of(&(struct el_siphash_key){{before, 0}}, bytes, size).word[0];
}

static int open_file(const char *path, int flags, struct el_journal *journal) {
    *journal = (struct el_journal){.fd = -1};
    EL_TRY(el_strdup(path, &journal->path));
    journal->fd = open(path, flags | O_CLOEXEC, 0644);
    if (journal->fd >= 0) return 0;
    return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "cannot open %s: %s", path, strerror(errno));
}

void el_journal_close(struct el_journal *journal) {
    if (journal->path && journal->fd >= 0) close(journal->fd);
    el_free(journal->path);
    *journal = (struct el_journal){.fd = -1};
}

int el_journal_create(const char *path, uint64_t id, struct el_journal *ret_journal) {
    el_auto(el_journal_close) struct el_journal journal = {.fd = -1};
    struct head head = {.version = VERSION, .id = id};
    memcpy(head.magic, magic, sizeof magic);
    head.check = check_of(&head, offsetof(struct head, check), 0);
    EL_TRY(open_file(path, O_RDWR | O_CREAT | O_TRUNC, &journal));
    EL_TRY(el_write_at(journal.fd, path, &head, sizeof head, 0));
    EL_TRY(el_sync(journal.fd, path));
    journal.end = sizeof head;
    journal.check = head.check;
    *ret_journal = journal;
    journal = (struct el_journal){.fd = -1};
    return 0;
}

static int read_head(struct el_journal *journal, uint64_t id) {
    struct head head;
    EL_TRY(el_read_at(journal->fd, journal->path, &head, sizeof head, 0));
    if (memcmp(head.magic, magic, sizeof magic) != 0)
        return el_fail(EL_EFORMAT, "%s is no journal of a vector file", journal->path);
    if (head.check != check_of(&head, offsetof(struct head, check), 0))
        return el_fail(EL_ECHECKSUM, "%s is damaged in its first %zu bytes", journal->path, sizeof head);
    if (head.version != VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s has version %" PRIu32 ", this program reads %d", journal->path,
                       head.version, VERSION);
    if (head.id != id) return el_fail(EL_EFORMAT, "%s belongs to another vector file", journal->path);
    journal->end = sizeof head;
    journal->check = head.check;
    return 0;
}

int el_journal_open(const char *path, uint64_t id, bool writable, struct el_journal *ret_journal) {
    el_auto(el_journal_close) struct el_journal journal = {.fd = -1};
    EL_TRY(open_file(path, writable ? O_RDWR : O_RDONLY, &journal));
    EL_TRY(read_head(&journal, id));
    *ret_journal = journal;
    journal = (struct el_journal){.fd = -1};
    return 0;
}

int el_journal_next(struct el_journal *journal, struct el_commit *ret_commit) {
    struct el_commit commit;
    struct stat info;
    if (fstat(journal->fd, &info) < 0)
        return el_fail(EL_EIO, "cannot read %s: %s", journal->path, strerror(errno));
    const uint64_t behind = journal->end + sizeof commit, size = (uint64_t)info.st_size;
    if (behind > size) return 0; // none, or half of one
    EL_TRY(el_read_at(journal->fd, journal->path, &commit, sizeof commit, journal->end));
    if (commit.check != check_of(&commit, offsetof(struct el_commit, check), journal->check)) {
        if (behind == size) return 0; // torn
        return el_fail(EL_ECHECKSUM, "%s is damaged at byte %" PRIu64, journal->path, journal->end);
    }
    journal->end = behind;
    journal->check = commit.check;
    *ret_commit = commit;
    return 1;
}

static int write_record(const struct el_journal *journal, const struct el_commit *commit) {
    EL_TRY(el_write_at(journal->fd, journal->path, commit, sizeof *commit, journal->end));
    return el_sync(journal->fd, journal->path);
}

// Removes what stands behind the last record: were it to stay, it could look like a damaged one.
static int cut(const struct el_journal *journal) {
    if (ftruncate(journal->fd, (off_t)journal->end) == 0) return 0;
    return el_fail(EL_EIO, "cannot cut %s: %s", journal->path, strerror(errno));
}

int el_journal_append(struct el_journal *journal, struct el_commit *commit) {
    commit->check = check_of(commit, offsetof(struct el_commit, check), journal->check);
    EL_TRY(cut(journal));
    int status = write_record(journal, commit);
    if (status < 0) {
        if (ftruncate(journal->fd, (off_t)journal->end) < 0)
            return el_fail_in(status, "%s may hold a record too many", journal->path);
        return status;
    }
    journal->end += sizeof *commit;
    journal->check = commit->check;
    return 0;
}
