// SPDX-License-Identifier: Apache-2.0
// Files: maps, whole reads, atomic writes, paths.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

static int fail_errno(const char *doing, const char *path) {
    int status = errno == ENOENT || errno == ENOTDIR ? EL_ENOENT : errno == ENOMEM ? EL_ENOMEM : EL_EIO;
    return el_fail(status, "cannot %s %s: %s", doing, path, strerror(errno));
}

void el_fd_close(int *fd) {
    if (*fd >= 0) close(*fd);
}

// Opens a regular file and tells its size.
static int open_regular(const char *path, int *ret_fd, size_t *ret_size) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open", path);
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return el_fail(EL_EIO, "%s is not a regular file", path);
    }
    *ret_fd = fd;
    *ret_size = (size_t)info.st_size;
    return 0;
}

int el_map_open(const char *path, struct el_map *ret_map) {
    el_auto(el_fd_close) int fd = -1;
    size_t size = 0;
    int status = open_regular(path, &fd, &size);
    if (status < 0) return status;
    void *data = NULL;
    if (size) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) return fail_errno("map", path);
    }
    *ret_map = (struct el_map){.data = data, .size = size};
    return 0;
}

void el_map_close(struct el_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct el_map){0};
}

int el_read_file(const char *path, size_t limit, struct el_str *str) {
    el_auto(el_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC); // a pipe is fine too
    if (fd < 0) return fail_errno("open", path);
    size_t before = str->length;
    for (;;) {
        int status = el_str_reserve(str, 65536);
        if (status < 0) return status;
        ssize_t got = read(fd, str->data + str->length, 65536);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("read", path);
        str->length += (size_t)got;
        str->data[str->length] = '\0';
        if (str->length - before > limit) return el_fail(EL_ETOOBIG, "%s is over %zu bytes", path, limit);
        if (got == 0) return 0;
    }
}

static int write_all(int fd, const char *path, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno("write", path);
        data += written;
        size -= (size_t)written;
    }
    return fsync(fd) < 0 ? fail_errno("sync", path) : 0;
}

int el_write_file(const char *path, const void *data, size_t size) {
    el_auto(el_str_done) struct el_str temporary = {0};
    int status = el_str_printf(&temporary, "%s.XXXXXX", path);
    if (status < 0) return status;
    el_auto(el_fd_close) int fd = mkostemp(temporary.data, O_CLOEXEC);
    if (fd < 0) return fail_errno("create a file beside", path);
    status = write_all(fd, path, data, size);
    if (status == 0 && fchmod(fd, 0644) < 0) status = fail_errno("set the mode of", path);
    if (status == 0 && rename(temporary.data, path) < 0) status = fail_errno("rename a new file to", path);
    if (status < 0) unlink(temporary.data);
    return status;
}

int el_read_at(int fd, const char *path, void *data, size_t size, uint64_t offset) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("read", path);
        if (got == 0) return el_fail(EL_EIO, "%s ends at byte %" PRIu64, path, offset + done);
        done += (size_t)got;
    }
    return 0;
}

int el_write_at(int fd, const char *path, const void *data, size_t size, uint64_t offset) {
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_errno("write", path);
        done += (size_t)put;
    }
    return 0;
}

int el_sync(int fd, const char *path) {
    return fdatasync(fd) < 0 ? fail_errno("sync", path) : 0;
}

int el_sync_folder(const char *path) {
    el_auto(el_fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? fail_errno("sync folder", path) : 0;
}

bool el_path_exists(const char *path) {
    return access(path, F_OK) == 0;
}

int el_path_join(const char *dir, const char *name, char **ret_path) {
    el_auto(el_str_done) struct el_str path = {0};
    int status = el_str_printf(&path, "%s%s%s", dir, el_ends_with(dir, "/") || !*dir ? "" : "/", name);
    if (status < 0) return status;
    *ret_path = el_steal(path.data);
    return 0;
}

const char *el_path_below(const char *path, const char *folder) {
    const size_t length = strlen(folder) - el_ends_with(folder, "/"); // that of the root
    if (strncmp(path, folder, length) != 0 || (path[length] && path[length] != '/')) return NULL;
    return path + length + (path[length] == '/');
}

int el_mkdirs(const char *path) {
    el_auto_free char *copy = NULL;
    int status = el_strdup(path, &copy);
    if (status < 0) return status;
    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/') continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST) return fail_errno("create folder", copy);
        *p = kept;
        if (!kept) return 0;
    }
}
