// SPDX-License-Identifier: Apache-2.0
// Stages: open, check, commit.
#include "store/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"
#include "format/safetensors.h"
#include "store/names.h"
#include "store/store.h"

#define STAGING ".staging"
#define ORIGIN_FILE ".origin"
#define FRESH_PREFIX "import-"

enum { README_LIMIT = 1 << 20 }; // bytes

// Takes a stage out of a variable that closes what it holds.
static struct el_stage take(struct el_stage *stage) {
    struct el_stage taken = *stage;
    *stage = (struct el_stage){.lock = -1};
    return taken;
}

static int lock_folder(const char *path, int how, int *ret_fd) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, how) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int error = errno;
    if (fd >= 0) close(fd);
    if (error == EWOULDBLOCK)
        return el_fail(EL_EBUSY, "another eleanor is writing %s; wait for it to end", path);
    return el_fail(EL_EIO, "cannot lock folder %s: %s", path, strerror(error));
}

// Stages come and go only under the lock of the folder that holds them.
static int lock_staging(char **ret_root, char **ret_staging, int *ret_lock) {
    el_auto_free char *root = NULL, *staging = NULL;
    int status = el_store_root(&root);
    if (status == 0) status = el_path_join(root, STAGING, &staging);
    if (status == 0) status = el_mkdirs(staging);
    if (status == 0) status = lock_folder(staging, LOCK_EX, ret_lock);
    if (status < 0) return status;
    *ret_root = el_steal(root);
    *ret_staging = el_steal(staging);
    return 0;
}

static bool keep_nothing(const void *context, const char *relative) {
    (void)context;
    (void)relative;
    return false;
}

// Empties the stage unless its note says the same origin.
static int settle_origin(const struct el_stage *stage, const char *origin) {
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str found = {0};
    int status = el_path_join(stage->path, ORIGIN_FILE, &path);
    if (status < 0) return status;
    if (el_path_exists(path) && el_read_file(path, 4096, &found) == 0 && el_streq(found.data, origin))
        return 0;
    status = el_tree_prune(stage->path, keep_nothing, NULL);
    return status < 0 ? status : el_write_file(path, origin, strlen(origin));
}

int el_stage_resume(const char *key, const char *origin, struct el_stage *ret_stage) {
    el_auto(el_stage_close) struct el_stage stage = {.lock = -1};
    el_auto_free char *staging = NULL;
    el_auto(el_fd_close) int staging_lock = -1;
    int status = lock_staging(&stage.root, &staging, &staging_lock);
    if (status == 0) status = el_path_join(staging, key, &stage.path);
    if (status == 0) status = el_mkdirs(stage.path);
    if (status == 0) status = lock_folder(stage.path, LOCK_EX | LOCK_NB, &stage.lock);
    if (status == 0) status = settle_origin(&stage, origin);
    if (status < 0) return status;
    *ret_stage = take(&stage);
    return 0;
}

// Removes fresh stages that nobody holds.
static void sweep(const char *staging) {
    DIR *folder = opendir(staging);
    if (!folder) return;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        el_auto_free char *path = NULL;
        el_auto(el_fd_close) int lock = -1;
        if (!el_starts_with(entry->d_name, FRESH_PREFIX)) continue;
        if (el_path_join(staging, entry->d_name, &path) < 0) break;
        if (lock_folder(path, LOCK_EX | LOCK_NB, &lock) < 0) continue;
        if (el_tree_remove(path) < 0) el_debug("left-over %s stays: %s", path, el_error_detail());
    }
    closedir(folder);
}

int el_stage_open(struct el_stage *ret_stage) {
    el_auto(el_stage_close) struct el_stage stage = {.lock = -1};
    el_auto_free char *staging = NULL;
    el_auto(el_fd_close) int staging_lock = -1;
    int status = lock_staging(&stage.root, &staging, &staging_lock);
    if (status < 0) return status;
    sweep(staging);
    status = el_path_join(staging, FRESH_PREFIX "XXXXXX", &stage.path);
    if (status < 0) return status;
    if (!mkdtemp(stage.path))
        return el_fail(EL_EIO, "cannot create a folder in %s: %s", staging, strerror(errno));
    status = lock_folder(stage.path, LOCK_EX | LOCK_NB, &stage.lock);
    if (status < 0) return status;
    *ret_stage = take(&stage);
    return 0;
}

void el_stage_close(struct el_stage *stage) {
    el_fd_close(&stage->lock);
    el_record_done(&stage->record);
    el_free(stage->path);
    el_free(stage->root);
    *stage = (struct el_stage){.lock = -1};
}

void el_stage_discard(struct el_stage *stage) {
    // The caller is about to report why; a failure to tidy up must not take that place.
    if (stage->path) {
        char *detail = NULL;
        if (el_strdup(el_error_detail(), &detail) < 0) detail = NULL;
        if (el_tree_remove(stage->path) < 0) el_debug("left-over stage: %s", el_error_detail());
        if (detail) el_fail_copy(0, detail);
        el_free(detail);
    }
    el_stage_close(stage);
}

int el_stage_file(const struct el_stage *stage, const char *relative, char **ret_path) {
    el_auto_free char *path = NULL;
    int status = el_path_check(relative);
    if (status == 0) status = el_path_join(stage->path, relative, &path);
    if (status < 0) return status;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    status = el_mkdirs(path);
    *slash = '/';
    if (status < 0) return status;
    *ret_path = el_steal(path);
    return 0;
}

static int check_is_complete(const struct el_record *record) {
    static const char *const needed[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < EL_COUNT(needed); i++)
        if (!el_record_has(record, needed[i]))
            return el_fail(EL_EFORMAT, "the model has no %s, which eleanor needs", needed[i]);
    if (!el_record_has(record, "tokenizer.json") && !el_record_has(record, "vocab.txt"))
        return el_fail(EL_EFORMAT, "the model has neither tokenizer.json nor vocab.txt; eleanor needs one");
    return 0;
}

// A file that the catalog does not list could change what a verified model computes.
static void drop_unlisted(struct el_record *record, const struct el_catalog_model *model) {
    size_t kept = 0;
    for (size_t i = 0; i < record->count; i++) {
        if (el_catalog_lists(model, record->files[i].path))
            record->files[kept++] = record->files[i];
        else
            el_free(record->files[i].path);
    }
    record->count = kept;
}

// Weights that no sum is known of are at least whole: a copy that was cut off shows in the file's own table.
static int check_weights(const struct el_stage *stage) {
    int status = 0;
    for (size_t i = 0; status == 0 && i < stage->record.count; i++) {
        el_auto_free char *path = NULL;
        struct el_safetensors *weights = NULL;
        if (!el_ends_with(stage->record.files[i].path, ".safetensors")) continue;
        status = el_path_join(stage->path, stage->record.files[i].path, &path);
        if (status == 0) status = el_safetensors_open(path, &weights);
        el_safetensors_close(weights);
    }
    return status;
}

static int check_unknown(const struct el_stage *stage) {
    int status = check_is_complete(&stage->record);
    return status < 0 ? status : check_weights(stage);
}

int el_stage_check(struct el_stage *stage, const struct el_catalog_model *model) {
    struct el_record *record = &stage->record;
    const struct el_catalog_file *row;
    record->verified = false;
    if (!model || !el_catalog_file(model, 0)) return check_unknown(stage);
    for (size_t i = 0; i < record->count; i++) {
        const struct el_record_file *file = &record->files[i];
        if (!el_catalog_lists(model, file->path)) continue;
        int status = el_catalog_check(model, file->path, file->size, file->sha256);
        if (status < 0) return status;
    }
    for (size_t i = 0; (row = el_catalog_file(model, i)); i++)
        if (row->required && !el_record_has(record, row->path))
            return el_fail(EL_EFORMAT, "%s is not complete: %s is missing", model->name, row->path);
    drop_unlisted(record, model);
    record->verified = true;
    return 0;
}

int el_stage_read_license(const struct el_stage *stage, char **ret_license) {
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str text = {0};
    int status = el_path_join(stage->path, "README.md", &path);
    if (status < 0) return status;
    if (!el_path_exists(path) || el_read_file(path, README_LIMIT, &text) < 0)
        return el_strdup("", ret_license);
    static const char key[] = "\nlicense: ";
    const char *end =
        text.length && el_starts_with(text.data, "---\n") ? strstr(text.data + 4, "\n---") : NULL;
    const char *found = end ? strstr(text.data, key) : NULL;
    if (!found || found > end) return el_strdup("", ret_license);
    found += strlen(key);
    return el_strndup(found, strcspn(found, "\r\n"), ret_license);
}

static bool is_recorded(const void *context, const char *relative) {
    return el_streq(relative, EL_RECORD_FILE) || el_record_has(context, relative);
}

// Puts the stage in the place of an installed model. Where the file system can't exchange two folders in one
// step, the old one steps aside first.
static int replace_folder(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) return 0; // the old is now `from`
    el_auto(el_str_done) struct el_str aside = {0};
    int status = el_str_printf(&aside, "%s.old", from);
    if (status < 0) return status;
    if (rename(to, aside.data) < 0 || rename(from, to) < 0)
        return el_fail(EL_EIO, "cannot put the new %s in place: %s", to, strerror(errno));
    return el_tree_remove(aside.data);
}

static int put_in_place(const struct el_stage *stage, const char *target, bool replace) {
    if (rename(stage->path, target) == 0) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return el_fail(EL_EIO, "cannot rename %s to %s: %s", stage->path, target, strerror(errno));
    if (!replace)
        return el_fail(EL_EINVAL, "%s is installed already, in %s; --replace replaces it", stage->record.name,
                       target);
    int status = replace_folder(stage->path, target);
    return status < 0 ? status : el_tree_remove(stage->path);
}

int el_stage_commit(struct el_stage *stage, bool replace) {
    el_auto_free char *target = NULL, *root = NULL, *staging = NULL;
    el_auto(el_fd_close) int staging_lock = -1;
    int status = el_tree_prune(stage->path, is_recorded, &stage->record);
    if (status == 0) status = el_record_write(&stage->record, stage->path);
    if (status == 0) status = el_tree_sync(stage->path);
    if (status == 0 && chmod(stage->path, 0755) < 0)
        status = el_fail(EL_EIO, "cannot set the mode of %s: %s", stage->path, strerror(errno));
    if (status == 0) status = el_stage_target(stage->root, stage->record.name, &target);
    if (status == 0) status = lock_staging(&root, &staging, &staging_lock);
    if (status == 0) status = put_in_place(stage, target, replace);
    if (status < 0) return status;
    int fd = open(stage->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) < 0) el_debug("cannot sync %s: %s", stage->root, strerror(errno));
    el_fd_close(&fd);
    el_stage_close(stage);
    return 0;
}

int el_stage_take(const char *folder, struct el_stage *ret_stage) {
    el_auto(el_stage_discard) struct el_stage stage = {.lock = -1};
    int status = el_stage_open(&stage);
    if (status < 0) return status;
    if (rename(folder, stage.path) < 0) // over the empty stage
        return el_fail(EL_EIO, "cannot move %s away: %s", folder, strerror(errno));
    *ret_stage = take(&stage);
    return 0;
}

int el_stage_target(const char *root, const char *name, char **ret_path) {
    el_auto_free char *folder = NULL;
    int status = el_model_name_check(name);
    if (status == 0) status = el_model_folder_name(name, &folder);
    return status < 0 ? status : el_path_join(root, folder, ret_path);
}
