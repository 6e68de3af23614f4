// SPDX-License-Identifier: Apache-2.0
// Archives by libarchive, with every entry checked.
#include "store/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/install.h"
#include "store/names.h"

enum { BLOCK_SIZE = 65536 }; // bytes of one read of the archive

// Below this many bytes the ratio is not judged: small files of zeros pack very well.
static const uint64_t ratio_floor = (uint64_t)64 << 20;

struct el_archive {
    struct archive *reader; // libarchive's
    char *path;
    uint64_t packed;                   // bytes of the archive file
    uint64_t max_bytes;                // it may unpack to
    uint64_t stated;                   // bytes that the entries so far say they have
    uint64_t unpacked;                 // bytes that were read from them
    uint64_t entry_stated, entry_read; // of the present entry
    char *entry_path;
    uint64_t entries;
};

static int fail_reader(const struct el_archive *archive) {
    const char *reason = archive_error_string(archive->reader);
    if (archive_errno(archive->reader) == ENOMEM)
        return el_fail(EL_ENOMEM, "no memory to read %s", archive->path);
    return el_fail(EL_EFORMAT, "%s is damaged or truncated, or no archive that eleanor reads (%s)",
                   archive->path, reason ? reason : "no reason given");
}

static int open_reader(struct el_archive *archive) {
    archive->reader = archive_read_new();
    if (!archive->reader) return el_fail(EL_ENOMEM, "no memory to read %s", archive->path);
    archive_read_support_filter_gzip(archive->reader);
    archive_read_support_format_tar(archive->reader);
    archive_read_support_format_zip_seekable(archive->reader);
    int code = archive_read_open_filename(archive->reader, archive->path, BLOCK_SIZE);
    return code == ARCHIVE_OK ? 0 : fail_reader(archive);
}

static void close_p(struct el_archive **archive) {
    el_archive_close(*archive);
}

int el_archive_open(const char *path, uint64_t max_bytes, struct el_archive **ret_archive) {
    struct stat info;
    if (stat(path, &info) < 0)
        return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "cannot open %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return el_fail(EL_EINVAL, "%s is neither a file nor a folder", path);
    el_auto(close_p) struct el_archive *archive = NULL;
    int status = el_zalloc(1, sizeof *archive, &archive);
    if (status < 0) return status;
    archive->packed = (uint64_t)info.st_size;
    archive->max_bytes = max_bytes;
    status = el_strdup(path, &archive->path);
    if (status == 0) status = open_reader(archive);
    if (status < 0) return status;
    *ret_archive = el_steal(archive);
    return 0;
}

void el_archive_close(struct el_archive *archive) {
    if (!archive) return;
    archive_read_free(archive->reader);
    el_free(archive->entry_path);
    el_free(archive->path);
    el_free(archive);
}

// Holds the bytes that an archive unpacks to, stated or read, against the limits.
static int check_bytes(const struct el_archive *archive, uint64_t bytes) {
    if (bytes > archive->max_bytes)
        return el_fail(EL_ETOOBIG,
                       "%s unpacks to more than %" PRIu64 " bytes, the limit (--max-size sets another)",
                       archive->path, archive->max_bytes);
    if (bytes > ratio_floor && bytes / EL_IMPORT_MAX_RATIO > archive->packed)
        return el_fail(EL_ETOOBIG,
                       "%s unpacks to more than %d times its %" PRIu64
                       " bytes, the limit: it looks like a zip bomb",
                       archive->path, EL_IMPORT_MAX_RATIO, archive->packed);
    return 0;
}

static int check_kind(const struct el_archive *archive, struct archive_entry *entry) {
    const char *kind = NULL;
    mode_t type = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry))
        kind = "a hard link";
    else if (archive_entry_symlink(entry) || type == AE_IFLNK)
        kind = "a symbolic link";
    else if (archive_entry_is_encrypted(entry))
        kind = "encrypted";
    else if (type != AE_IFREG && type != AE_IFDIR)
        kind = "neither a file nor a folder";
    if (!kind) return 0;
    return el_fail(EL_EINVAL, "%s is refused: its entry \"%.200s\" is %s", archive->path, archive->entry_path,
                   kind);
}

// The entry's path without "./" before and "/" after it.
static int take_path(struct el_archive *archive, struct archive_entry *entry) {
    const char *path = archive_entry_pathname(entry);
    if (!path) path = archive_entry_pathname_utf8(entry);
    if (!path) return el_fail(EL_EFORMAT, "%s has an entry whose name can't be read", archive->path);
    while (el_starts_with(path, "./"))
        path += 2;
    el_free(el_steal(archive->entry_path));
    int status = el_strdup(path, &archive->entry_path);
    if (status < 0) return status;
    size_t length = strlen(archive->entry_path);
    if (length > 1 && archive->entry_path[length - 1] == '/') archive->entry_path[length - 1] = '\0';
    return 0;
}

static int check_entry(struct el_archive *archive, struct archive_entry *entry) {
    int status = take_path(archive, entry);
    if (status == 0) status = check_kind(archive, entry);
    if (status < 0) return status;
    bool is_root = !*archive->entry_path || el_streq(archive->entry_path, "."); // tar's "./"
    if (!is_root && el_path_check(archive->entry_path) < 0)
        return el_fail_in(EL_EINVAL, "%s is refused", archive->path);
    if (++archive->entries > EL_IMPORT_MAX_ENTRIES)
        return el_fail(EL_ETOOBIG, "%s has more than %d entries, the limit", archive->path,
                       EL_IMPORT_MAX_ENTRIES);
    int64_t size = archive_entry_size(entry);
    archive->entry_stated = size > 0 ? (uint64_t)size : 0;
    archive->entry_read = 0;
    if (__builtin_add_overflow(archive->stated, archive->entry_stated, &archive->stated))
        archive->stated = UINT64_MAX;
    return check_bytes(archive, archive->stated);
}

int el_archive_next(struct el_archive *archive, const char **ret_path, uint64_t *ret_size) {
    for (;;) {
        struct archive_entry *entry;
        int code = archive_read_next_header(archive->reader, &entry);
        if (code == ARCHIVE_EOF) return 0;
        if (code < ARCHIVE_WARN) return fail_reader(archive); // a warning is about names and times
        int status = check_entry(archive, entry);
        if (status < 0) return status;
        if (archive_entry_filetype(entry) != AE_IFREG) continue;
        *ret_path = archive->entry_path;
        *ret_size = archive->entry_stated;
        return 1;
    }
}

int el_archive_read(struct el_archive *archive, void *bytes, size_t capacity, size_t *ret_length) {
    ssize_t got = archive_read_data(archive->reader, bytes, capacity);
    if (got < 0) {
        int status = fail_reader(archive);
        return el_fail_in(status, "%s", archive->entry_path);
    }
    archive->entry_read += (uint64_t)got;
    archive->unpacked += (uint64_t)got;
    if (got == 0 && archive->entry_read < archive->entry_stated)
        return el_fail(EL_EFORMAT,
                       "%s is damaged or truncated: %s ends after %" PRIu64 " of %" PRIu64 " bytes",
                       archive->path, archive->entry_path, archive->entry_read, archive->entry_stated);
    int status = check_bytes(archive, archive->unpacked);
    if (status < 0) return status;
    *ret_length = (size_t)got;
    return 0;
}
