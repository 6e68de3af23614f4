// SPDX-License-Identifier: Apache-2.0
// Writing and hashing a file at once.
#include "store/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"

static int fail_write(const struct el_sink *sink, int error) {
    const char *advice = "";
    if (error == ENOSPC || error == EDQUOT)
        advice = "; free some space, or set ELEANOR_HOME to a folder on a larger disk";
    else if (error == EFBIG)
        advice = "; the limit on file sizes (ulimit -f) is too low";
    return el_fail(EL_EIO, "cannot write %s: %s%s", sink->path, strerror(error), advice);
}

static int open_file(const char *path, int flags, struct el_sink *ret_sink) {
    struct el_sink sink = {.path = path};
    sink.fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (sink.fd < 0 && errno == EEXIST) return el_fail(EL_EINVAL, "%s comes twice", path);
    if (sink.fd < 0) return fail_write(&sink, errno);
    el_sha256_init(&sink.sha);
    *ret_sink = sink;
    return 0;
}

int el_sink_open(const char *path, struct el_sink *ret_sink) {
    return open_file(path, O_WRONLY | O_EXCL, ret_sink);
}

int el_sink_resume(const char *path, struct el_sink *ret_sink) {
    struct el_sink sink = {.fd = -1};
    int status = open_file(path, O_RDWR, &sink);
    if (status < 0) return status;
    uint8_t bytes[65536];
    ssize_t got;
    while ((got = read(sink.fd, bytes, sizeof bytes)) > 0) {
        el_sha256_update(&sink.sha, bytes, (size_t)got);
        sink.size += (uint64_t)got;
    }
    if (got < 0) {
        status = el_fail(EL_EIO, "cannot read %s: %s", path, strerror(errno));
        el_sink_close(&sink);
        return status;
    }
    *ret_sink = sink;
    return 0;
}

int el_sink_restart(struct el_sink *sink) {
    if (ftruncate(sink->fd, 0) < 0 || lseek(sink->fd, 0, SEEK_SET) < 0) return fail_write(sink, errno);
    el_sha256_init(&sink->sha);
    sink->size = 0;
    return 0;
}

int el_sink_write(struct el_sink *sink, const void *bytes, size_t length) {
    const uint8_t *next = bytes;
    while (length) {
        ssize_t written = write(sink->fd, next, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_write(sink, errno);
        el_sha256_update(&sink->sha, next, (size_t)written);
        sink->size += (uint64_t)written;
        next += written;
        length -= (size_t)written;
    }
    return 0;
}

int el_sink_finish(struct el_sink *sink, char ret_sha256[EL_SHA256_TEXT]) {
    int fd = sink->fd;
    int error = fsync(fd) < 0 ? errno : 0;
    sink->fd = -1;
    if (close(fd) < 0 && !error) error = errno;
    if (error) return fail_write(sink, error);
    el_sha256_text(&sink->sha, ret_sha256);
    return 0;
}

void el_sink_close(struct el_sink *sink) {
    if (sink->fd >= 0) close(sink->fd);
    sink->fd = -1;
}

int el_disk_check(const char *folder, uint64_t bytes) {
    struct statvfs info;
    if (statvfs(folder, &info) < 0) return 0; // the write will tell
    uint64_t available = (uint64_t)info.f_bavail * info.f_frsize;
    if (bytes <= available) return 0;
    return el_fail(EL_ETOOBIG,
                   "the disk of %s is too full: %.1f MB are needed, %.1f MB are free; free some space, or "
                   "set ELEANOR_HOME to a folder on a larger disk",
                   folder, (double)bytes / 1e6, (double)available / 1e6);
}
