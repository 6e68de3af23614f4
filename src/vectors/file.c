// SPDX-License-Identifier: Apache-2.0
// The vector file: a page of facts, then the rows, so that each row lies as aligned as its length allows.
#include "vectors/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/str.h"
#include "vectors/journal.h"

enum { VERSION = 1, HEAD_SIZE = 4096, MAP_SIZE = 1 << 20 };

// As it lies in the file, little-endian.
struct head {
    char magic[8];
    uint32_t version, dim, metric, kind;
    uint64_t id; // the journal has it too
    char model[EL_VECTOR_MODEL_SIZE];
    float recall;
    uint8_t unused[HEAD_SIZE - 36 - EL_VECTOR_MODEL_SIZE - 16];
    struct el_hash128 sum; // of what stands before it
};
_Static_assert(sizeof(struct head) == HEAD_SIZE, "laid out as in the file");

static const char magic[8] = "ELVECTOR";

struct el_vector_file {
    char *path;
    int fd;
    struct el_vector_facts facts;
    uint64_t id;
    struct el_journal journal;
    int64_t count;         // rows that are committed
    struct el_commit last; // append; of count 0 when the last record was a rollback
    void *map;             // of the head and the rows, or NULL
    size_t map_size;
};

static uint64_t row_size(const struct el_vector_file *file) {
    return (uint64_t)file->facts.dim * sizeof(float);
}

static uint64_t offset_of(const struct el_vector_file *file, int64_t row) {
    return HEAD_SIZE + (uint64_t)row * row_size(file);
}

void el_vector_file_close(struct el_vector_file *file) {
    if (!file) return;
    if (file->map) munmap(file->map, file->map_size);
    if (file->fd >= 0) close(file->fd);
    el_journal_close(&file->journal);
    el_free(file->path);
    el_free(file);
}

static void close_p(struct el_vector_file **file) {
    el_vector_file_close(*file);
}

// The handle with its file open, and nothing read.
static int open_file(const char *path, int flags, struct el_vector_file **ret_file) {
    el_auto(close_p) struct el_vector_file *file = NULL;
    EL_TRY(el_zalloc(1, sizeof *file, &file));
    file->fd = file->journal.fd = -1;
    EL_TRY(el_strdup(path, &file->path));
    file->fd = open(path, flags | O_CLOEXEC, 0644);
    if (file->fd < 0)
        return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "cannot open %s: %s", path, strerror(errno));
    *ret_file = el_steal(file);
    return 0;
}

static int journal_path(const char *path, struct el_str *ret_path) {
    return el_str_printf(ret_path, "%s.log", path);
}

static int check_facts(const struct el_vector_facts *facts) {
    if (facts->dim < 1 || facts->dim > EL_VECTOR_MAX_DIM)
        return el_fail(EL_EINVAL, "vectors of %d dimensions: from 1 to %d can be", facts->dim,
                       EL_VECTOR_MAX_DIM);
    if ((unsigned)facts->metric > EL_METRIC_L2)
        return el_fail(EL_EINVAL, "%d is no metric", (int)facts->metric);
    if ((unsigned)facts->kind > EL_INDEX_IVF)
        return el_fail(EL_EINVAL, "%d is no kind of index", (int)facts->kind);
    if (!(facts->recall >= 0 && facts->recall <= 1))
        return el_fail(EL_EINVAL, "a recall of %g: from 0 to 1 can be", (double)facts->recall);
    if (!memchr(facts->model, '\0', sizeof facts->model))
        return el_fail(EL_EINVAL, "a model's name of %zu bytes or more", sizeof facts->model);
    return 0;
}

static int write_head(struct el_vector_file *file, uint64_t id) {
    struct head head = {.version = VERSION,
                        .dim = (uint32_t)file->facts.dim,
                        .metric = (uint32_t)file->facts.metric,
                        .kind = (uint32_t)file->facts.kind,
                        .id = id,
                        .recall = file->facts.recall};
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.model, file->facts.model, strlen(file->facts.model));
    head.sum = el_siphash_of(NULL, &head, offsetof(struct head, sum));
    EL_TRY(el_write_at(file->fd, file->path, &head, sizeof head, 0));
    return el_sync(file->fd, file->path);
}

int el_vector_file_create(const char *path, const struct el_vector_facts *facts,
                          struct el_vector_file **ret_file) {
    el_auto(close_p) struct el_vector_file *file = NULL;
    el_auto(el_str_done) struct el_str log = {0};
    struct el_siphash_key id;
    EL_TRY(check_facts(facts));
    EL_TRY(el_siphash_draw_key(&id));
    EL_TRY(journal_path(path, &log));
    EL_TRY(open_file(path, O_RDWR | O_CREAT | O_TRUNC, &file));
    file->facts = *facts;
    file->id = id.word[0];
    EL_TRY(write_head(file, id.word[0]));
    EL_TRY(el_journal_create(log.data, id.word[0], &file->journal));
    *ret_file = el_steal(file);
    return 0;
}

static int read_head(struct el_vector_file *file, uint64_t *ret_id) {
    struct head head;
    EL_TRY(el_read_at(file->fd, file->path, &head, sizeof head, 0));
    if (memcmp(head.magic, magic, sizeof magic) != 0)
        return el_fail(EL_EFORMAT, "%s is no vector file", file->path);
    const struct el_hash128 sum = el_siphash_of(NULL, &head, offsetof(struct head, sum));
    if (!el_hash_equal(&head.sum, &sum))
        return el_fail(EL_ECHECKSUM, "%s is damaged in its first %d bytes", file->path, HEAD_SIZE);
    if (head.version != VERSION)
        return el_fail(EL_EUNSUPPORTED, "%s has version %" PRIu32 ", this program reads %d", file->path,
                       head.version, VERSION);
    file->facts.dim = head.dim > EL_VECTOR_MAX_DIM ? 0 : (int)head.dim;
    file->facts.metric = (enum el_metric)head.metric;
    file->facts.kind = (enum el_index_kind)head.kind;
    file->facts.recall = head.recall;
    memcpy(file->facts.model, head.model, sizeof head.model);
    if (check_facts(&file->facts) < 0) return el_fail_in(EL_EFORMAT, "%s", file->path);
    *ret_id = file->id = head.id;
    return 0;
}

// Sees to it that the first `count` rows are mapped. The map reaches beyond the file's end, into which the
// file grows, so that it is seldom made again.
static int map_rows(struct el_vector_file *file, int64_t count) {
    const uint64_t needed = offset_of(file, count);
    struct stat info;
    if (fstat(file->fd, &info) < 0) return el_fail(EL_EIO, "cannot read %s: %s", file->path, strerror(errno));
    if ((uint64_t)info.st_size < needed)
        return el_fail(EL_ECHECKSUM,
                       "%s is damaged: it ends at byte %" PRIu64 ", its %" PRId64 " rows need %" PRIu64,
                       file->path, (uint64_t)info.st_size, count, needed);
    if (needed <= file->map_size) return 0;
    size_t size = MAP_SIZE;
    while (size < needed)
        size *= 2;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file->fd, 0);
    if (map == MAP_FAILED)
        return el_fail(errno == ENOMEM ? EL_ENOMEM : EL_EIO, "cannot map %s: %s", file->path,
                       strerror(errno));
    if (file->map) munmap(file->map, file->map_size);
    file->map = map;
    file->map_size = size;
    return 0;
}

static int bad_record(const struct el_journal *journal) {
    return el_fail(EL_ECHECKSUM, "%s is damaged: the record before byte %" PRIu64 " does not fit the others",
                   journal->path, journal->end);
}

// What a record makes of the number of rows.
static int follow(const struct el_vector_file *file, const struct el_journal *journal,
                  const struct el_commit *commit, int64_t *inout_count) {
    const uint64_t count = (uint64_t)*inout_count;
    const uint64_t most = (INT64_MAX - HEAD_SIZE) / row_size(file);
    if (commit->kind == EL_COMMIT_APPEND && commit->first == count && count <= most &&
        commit->count <= most - count)
        *inout_count += (int64_t)commit->count;
    else if (commit->kind == EL_COMMIT_ROLLBACK && commit->first <= count && commit->count == 0)
        *inout_count = (int64_t)commit->first;
    else
        return bad_record(journal);
    return 0;
}

static int check_segment(const struct el_vector_file *file, const struct el_commit *commit) {
    const uint8_t *bytes = (const uint8_t *)file->map + offset_of(file, (int64_t)commit->first);
    const struct el_hash128 sum = el_siphash_of(NULL, bytes, commit->count * row_size(file));
    if (el_hash_equal(&sum, &commit->sum)) return 0;
    return el_fail(EL_ECHECKSUM,
                   "%s is damaged between byte %" PRIu64 " and %" PRIu64 " (rows %" PRIu64 " to %" PRIu64 ")",
                   file->path, offset_of(file, (int64_t)commit->first),
                   offset_of(file, (int64_t)(commit->first + commit->count)), commit->first,
                   commit->first + commit->count - 1);
}

int el_vector_file_refresh(struct el_vector_file *file) {
    struct el_journal journal = file->journal; // taken over when all is well
    struct el_commit commit, last = file->last;
    int64_t count = file->count;
    int more;
    while ((more = el_journal_next(&journal, &commit)) > 0) {
        EL_TRY(follow(file, &journal, &commit, &count));
        last = commit.kind == EL_COMMIT_APPEND ? commit : (struct el_commit){0};
    }
    if (more < 0) return more;
    EL_TRY(map_rows(file, count));
    file->journal = journal;
    file->count = count;
    file->last = last;
    return 0;
}

int el_vector_file_open(const char *path, bool writable, struct el_vector_file **ret_file) {
    el_auto(close_p) struct el_vector_file *file = NULL;
    el_auto(el_str_done) struct el_str log = {0};
    uint64_t id;
    EL_TRY(journal_path(path, &log));
    EL_TRY(open_file(path, writable ? O_RDWR : O_RDONLY, &file));
    EL_TRY(read_head(file, &id));
    EL_TRY(el_journal_open(log.data, id, writable, &file->journal));
    EL_TRY(el_vector_file_refresh(file));
    if (file->last.count) EL_TRY(check_segment(file, &file->last)); // where a power cut would show
    *ret_file = el_steal(file);
    return 0;
}

const struct el_vector_facts *el_vector_file_facts(const struct el_vector_file *file) {
    return &file->facts;
}

uint64_t el_vector_file_id(const struct el_vector_file *file) {
    return file->id;
}

int64_t el_vector_file_count(const struct el_vector_file *file) {
    return file->count;
}

const float *el_vector_file_rows(const struct el_vector_file *file) {
    const void *rows = file->map ? (const uint8_t *)file->map + HEAD_SIZE : NULL;
    return rows;
}

// Commits `commit` and takes over what it makes of the file.
static int commit_rows(struct el_vector_file *file, struct el_commit *commit) {
    int64_t count = file->count;
    EL_TRY(follow(file, &file->journal, commit, &count));
    EL_TRY(map_rows(file, count));
    EL_TRY(el_journal_append(&file->journal, commit));
    file->count = count;
    file->last = *commit;
    return 0;
}

int el_vector_file_append(struct el_vector_file *file, const float *rows, int64_t count) {
    size_t size;
    if (count < 1 || !el_mul_size((size_t)count, row_size(file), &size))
        return el_fail(EL_EINVAL, "%" PRId64 " rows can't be added at once", count);
    EL_TRY(el_write_at(file->fd, file->path, rows, size, offset_of(file, file->count)));
    EL_TRY(el_sync(file->fd, file->path));
    struct el_commit commit = {.kind = EL_COMMIT_APPEND,
                               .first = (uint64_t)file->count,
                               .count = (uint64_t)count,
                               .sum = el_siphash_of(NULL, rows, size)};
    return commit_rows(file, &commit);
}

int el_vector_file_rollback(struct el_vector_file *file, int64_t count) {
    if (count < 0 || count > file->count)
        return el_fail(EL_EINVAL, "%s has %" PRId64 " rows and can't go back to %" PRId64, file->path,
                       file->count, count);
    struct el_commit commit = {.kind = EL_COMMIT_ROLLBACK, .first = (uint64_t)count};
    return commit_rows(file, &commit);
}

// The segments that stand, by the journal from its beginning; those that were rolled back are left out.
struct segments {
    struct el_commit *commits;
    size_t count, capacity;
};

static int add_segment(struct segments *segments, const struct el_commit *commit) {
    while (segments->count && segments->commits[segments->count - 1].first >= commit->first)
        segments->count--;
    if (commit->kind != EL_COMMIT_APPEND) return 0;
    EL_TRY(el_grow(&segments->commits, sizeof *segments->commits, segments->count, &segments->capacity));
    segments->commits[segments->count++] = *commit;
    return 0;
}

static int verify_all(const struct el_vector_file *file, struct el_journal *journal,
                      struct segments *segments) {
    struct el_commit commit;
    int more = 1;
    while (journal->end < file->journal.end && (more = el_journal_next(journal, &commit)) > 0)
        EL_TRY(add_segment(segments, &commit));
    for (size_t i = 0; more >= 0 && i < segments->count; i++)
        EL_TRY(check_segment(file, &segments->commits[i]));
    return more < 0 ? more : 0;
}

int el_vector_file_verify(const struct el_vector_file *file) {
    struct el_journal journal = {.fd = -1};
    struct segments segments = {0};
    struct head head;
    EL_TRY(el_read_at(file->fd, file->path, &head, sizeof head, 0));
    EL_TRY(el_journal_open(file->journal.path, head.id, false, &journal));
    int status = verify_all(file, &journal, &segments);
    el_free(segments.commits);
    el_journal_close(&journal);
    return status;
}
