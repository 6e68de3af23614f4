// SPDX-License-Identifier: Apache-2.0
// Reading whole files that nobody vouches for.
#include "files/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { FIRST = 4096 }; // bytes of room for a file that says it has none, as those of /proc

struct el_file_stamp el_file_stamp(const struct stat *info) {
    const int64_t second = 1000000000;
    return (struct el_file_stamp){
        .size = (uint64_t)info->st_size,
        .mtime_ns = info->st_mtim.tv_sec * second + info->st_mtim.tv_nsec,
        .ctime_ns = info->st_ctim.tv_sec * second + info->st_ctim.tv_nsec,
    };
}

bool el_file_stamp_equal(const struct el_file_stamp *a, const struct el_file_stamp *b) {
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

// Reads to the end, room for what the file said it has and one byte more being there from the beginning.
static int read_all(int fd, const char *path, size_t limit, size_t expected, struct el_str *bytes) {
    const size_t before = bytes->length;
    EL_TRY(el_str_reserve(bytes, expected ? EL_MIN(expected, limit) + 1 : FIRST));
    for (;;) {
        if (bytes->capacity - bytes->length < 2) EL_TRY(el_str_reserve(bytes, bytes->length - before));
        const ssize_t got = read(fd, bytes->data + bytes->length, bytes->capacity - bytes->length - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return el_fail(EL_EIO, "cannot read %s: %s", path, strerror(errno));
        bytes->length += (size_t)got;
        if (bytes->length - before > limit) return el_fail(EL_ETOOBIG, "%s is over %zu bytes", path, limit);
        bytes->data[bytes->length] = '\0';
        if (got == 0) return 0;
    }
}

int el_file_bytes(const char *path, size_t limit, struct el_str *bytes, struct el_file_stamp *ret_stamp) {
    struct stat info;
    const size_t before = bytes->length;
    // A pipe that nobody writes to, or a log of the kernel that has nothing new, would be waited for.
    el_auto(el_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0) {
        const int status = errno == ENOENT || errno == ENOTDIR ? EL_ENOENT : EL_EIO;
        return el_fail(status, "cannot open %s: %s", path, strerror(errno));
    }
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        return el_fail(EL_EIO, "%s is not a regular file", path);
    if ((uint64_t)info.st_size > limit) return el_fail(EL_ETOOBIG, "%s is over %zu bytes", path, limit);
    int status = read_all(fd, path, limit, (size_t)info.st_size, bytes);
    if (status == 0)
        *ret_stamp = el_file_stamp(&info);
    else
        bytes->length = before;
    return status;
}
