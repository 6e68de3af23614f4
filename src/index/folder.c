// SPDX-License-Identifier: Apache-2.0
// Making, locking and removing the folder of an index.
#include "index/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"

#define VECTORS "vectors."
#define LISTS "ivf."
#define URL "store.url"

static int numbered_path(const char *folder, const char *what, int64_t generation, char **ret_path) {
    char name[64];
    snprintf(name, sizeof name, "%s%" PRId64, what, generation);
    return el_path_join(folder, name, ret_path);
}

int el_index_vector_path(const char *folder, int64_t generation, char **ret_path) {
    return numbered_path(folder, VECTORS, generation, ret_path);
}

int el_index_ivf_path(const char *folder, int64_t generation, char **ret_path) {
    return numbered_path(folder, LISTS, generation, ret_path);
}

int el_index_check(const char *folder) {
    char *path el_auto_free = NULL;
    EL_TRY(el_path_join(folder, EL_INDEX_DOCUMENTS, &path));
    if (el_path_exists(path)) return 0;
    if (!el_path_exists(folder)) return el_fail(EL_ENOENT, "there is no index in %s", folder);
    return el_fail(EL_EFORMAT, "%s is no index: there is no %s in it", folder, EL_INDEX_DOCUMENTS);
}

static int fail_present(const char *folder) {
    return el_fail(EL_EINVAL, "%s is there already", folder);
}

int el_index_check_absent(const char *folder) {
    return el_path_exists(folder) ? fail_present(folder) : 0;
}

int el_index_write_url(const char *folder, const char *url) {
    char *path el_auto_free = NULL;
    EL_TRY(el_path_join(folder, URL, &path));
    return el_write_file(path, url, strlen(url));
}

int el_index_read_url(const char *folder, char **ret_url) {
    enum { LONGEST = 4096 };
    char *path el_auto_free = NULL;
    struct el_str url el_auto(el_str_done) = {0};
    EL_TRY(el_path_join(folder, URL, &path));
    if (!el_path_exists(path)) {
        *ret_url = NULL;
        return 0;
    }
    EL_TRY(el_read_file(path, LONGEST, &url));
    EL_TRY(el_strndup(url.data ? url.data : "", url.length, ret_url));
    return 0;
}

int el_index_lock(const char *folder, int *ret_lock) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return el_fail(EL_EIO, "cannot open %s: %s", folder, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        const bool taken = errno == EWOULDBLOCK;
        int status =
            taken ? el_fail(EL_EBUSY, "%s is being written by another; try again when it is done", folder)
                  : el_fail(EL_EIO, "cannot lock %s: %s", folder, strerror(errno));
        close(fd);
        return status;
    }
    *ret_lock = fd;
    return 0;
}

// Calls `visit` with the path of each thing in the folder.
static int each_file(const char *folder, int (*visit)(void *context, const char *path), void *context) {
    DIR *stream = opendir(folder);
    if (!stream) return el_fail(EL_EIO, "cannot read %s: %s", folder, strerror(errno));
    int status = 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(stream));) {
        char *path el_auto_free = NULL;
        if (el_streq(entry->d_name, ".") || el_streq(entry->d_name, "..")) continue;
        status = el_path_join(folder, entry->d_name, &path);
        if (status == 0) status = visit(context, path);
    }
    closedir(stream);
    return status;
}

static int add_bytes(void *context, const char *path) {
    struct stat info;
    if (stat(path, &info) == 0) *(uint64_t *)context += (uint64_t)info.st_size; // it may be gone by now
    return 0;
}

int el_index_folder_bytes(const char *folder, uint64_t *ret_bytes) {
    uint64_t bytes = 0;
    EL_TRY(each_file(folder, add_bytes, &bytes));
    *ret_bytes = bytes;
    return 0;
}

struct kept {
    char *vectors, *lists;
};

static int sweep_file(void *context, const char *path) {
    const struct kept *kept = context;
    const char *name = strrchr(path, '/') + 1;
    const size_t length = strlen(kept->vectors);
    const bool is_vectors =
        el_starts_with(path, kept->vectors) && (!path[length] || el_streq(path + length, ".log"));
    if (el_starts_with(name, VECTORS) && !is_vectors) unlink(path);
    if (el_starts_with(name, LISTS) && !el_streq(path, kept->lists)) unlink(path);
    return 0;
}

void el_index_sweep(const char *folder, int64_t generation) {
    struct kept kept = {0};
    if (el_index_vector_path(folder, generation, &kept.vectors) == 0 &&
        el_index_ivf_path(folder, generation, &kept.lists) == 0)
        each_file(folder, sweep_file, &kept);
    el_free(kept.vectors);
    el_free(kept.lists);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// The folder under a name beside it, so that it goes, or comes, at once.
static int name_beside(const char *folder, char **ret_path) {
    el_auto(el_str_done) struct el_str path = {0};
    const char *name = base_name(folder);
    EL_TRY(el_str_printf(&path, "%.*s.%s.%ld", (int)(name - folder), folder, name, (long)getpid()));
    *ret_path = el_steal(path.data);
    return 0;
}

// Brings a name that came or went to the disk.
static int sync_parent(const char *folder) {
    char *parent el_auto_free = NULL;
    const size_t length = (size_t)(base_name(folder) - folder);
    EL_TRY(el_strndup(length ? folder : "./", length ? length : 2, &parent));
    return el_sync_folder(parent);
}

int el_index_folder_remove(const char *folder) {
    char *gone el_auto_free = NULL;
    int lock;
    EL_TRY(name_beside(folder, &gone));
    EL_TRY(el_index_lock(folder, &lock));
    int status = rename(folder, gone) == 0 ? el_tree_remove(gone)
                                           : el_fail(EL_EIO, "cannot rename %s: %s", folder, strerror(errno));
    close(lock);
    return status;
}

static int appear(const char *made, const char *folder) {
    if (rename(made, folder) == 0) return sync_parent(folder);
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return fail_present(folder);
    return el_fail(EL_EIO, "cannot rename a new folder to %s: %s", folder, strerror(errno));
}

int el_index_folder_make(const char *folder, int (*fill)(const char *folder, const void *context),
                         const void *context) {
    char *made el_auto_free = NULL;
    EL_TRY(name_beside(folder, &made));
    EL_TRY(el_mkdirs(made));
    int status = fill(made, context);
    if (status == 0) status = el_sync_folder(made);
    if (status == 0) status = appear(made, folder);
    if (status < 0 && el_path_exists(made)) {
        char detail[512];
        snprintf(detail, sizeof detail, "%s", el_error_detail());
        el_tree_remove(made);
        return el_fail_copy(status, detail);
    }
    return status;
}
