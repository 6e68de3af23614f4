// SPDX-License-Identifier: Apache-2.0
// The installed models: where they are, what they are called, and their removal.
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"
#include "store/catalog.h"
#include "store/install.h"
#include "store/names.h"
#include "store/record.h"
#include "store/stage.h"

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int find_home(char **ret_home) {
    const char *home;
    if ((home = variable("ELEANOR_HOME"))) return el_strdup(home, ret_home);
    if ((home = variable("XDG_DATA_HOME"))) return el_path_join(home, "eleanor", ret_home);
    if ((home = variable("HOME"))) return el_path_join(home, ".local/share/eleanor", ret_home);
    return el_fail(EL_ENOENT, "no place for models: set ELEANOR_HOME to a folder");
}

int el_store_beside(const char *name, char **ret_path) {
    char *home el_auto_free = NULL;
    EL_TRY(find_home(&home));
    return el_path_join(home, name, ret_path);
}

int el_store_root(char **ret_root) {
    return el_store_beside("models", ret_root);
}

void el_store_entry_done(struct el_model_entry *entry) {
    el_free(entry->name);
    el_free(entry->path);
    el_free(entry->source);
    el_free(entry->license);
    *entry = (struct el_model_entry){0};
}

void el_store_list_done(struct el_model_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++)
        el_store_entry_done(&entries[i]);
    el_free(entries);
}

// A folder that someone put into the store by hand: there is no record to say more than its name.
static int entry_without_record(const char *folder, struct el_model_entry *entry) {
    const char *base = strrchr(folder, '/') + 1;
    int status = el_strdup(base, &entry->name);
    if (status == 0) status = el_strdup("unknown", &entry->source);
    if (status == 0) status = el_strdup("", &entry->license);
    if (status == 0) status = el_tree_size(folder, &entry->bytes);
    return status;
}

int el_store_entry(const char *folder, struct el_model_entry *ret_entry) {
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    el_auto(el_record_done) struct el_record record = {0};
    int status = el_record_read(folder, &record);
    if (status < 0 && status != EL_ENOENT) return status;
    if (status == EL_ENOENT) {
        status = entry_without_record(folder, &entry);
    } else {
        entry.name = el_steal(record.name);
        entry.source = el_steal(record.source);
        entry.license = el_steal(record.license);
        entry.bytes = el_record_bytes(&record);
        entry.verified = record.verified;
    }
    if (status == 0) status = el_strdup(folder, &entry.path);
    if (status < 0) return status;
    *ret_entry = entry;
    entry = (struct el_model_entry){0};
    return 0;
}

static bool is_model_folder(const char *folder) {
    el_auto_free char *config = NULL;
    return el_path_join(folder, "config.json", &config) == 0 && el_path_exists(config);
}

struct listing {
    struct el_model_entry *entries;
    size_t count;
};

static void listing_done(struct listing *listing) {
    el_store_list_done(listing->entries, listing->count);
}

// Adds root/name when it is a model; hidden folders (the staging one) are not.
static int list_folder(const char *root, const char *name, struct listing *listing) {
    el_auto_free char *path = NULL;
    int status = el_path_join(root, name, &path);
    if (status < 0 || *name == '.' || !is_model_folder(path)) return status;
    status = el_realloc(&listing->entries, listing->count + 1, sizeof *listing->entries);
    if (status == 0) status = el_store_entry(path, &listing->entries[listing->count]);
    if (status == 0) listing->count++;
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcasecmp(((const struct el_model_entry *)a)->name, ((const struct el_model_entry *)b)->name);
}

int el_store_list(struct el_model_entry **ret_entries, size_t *ret_count) {
    el_auto_free char *root = NULL;
    el_auto(listing_done) struct listing listing = {0};
    int status = el_store_root(&root);
    if (status < 0) return status;
    DIR *folder = opendir(root);
    if (!folder && errno != ENOENT)
        return el_fail(EL_EIO, "cannot read the store %s: %s", root, strerror(errno));
    for (const struct dirent *entry; status == 0 && folder && (entry = readdir(folder));)
        status = list_folder(root, entry->d_name, &listing);
    if (folder) closedir(folder);
    if (status < 0) return status;
    if (listing.count) qsort(listing.entries, listing.count, sizeof *listing.entries, by_name);
    *ret_entries = el_steal(listing.entries);
    *ret_count = listing.count;
    listing.count = 0;
    return 0;
}

int el_store_canonical(const char *name, char **ret_name) {
    const struct el_catalog_model *model = el_catalog_find(name);
    return el_strdup(model ? model->name : name, ret_name);
}

const char *const *el_store_aliases(const char *name) {
    static const char *const none[] = {NULL};
    const struct el_catalog_model *model = el_catalog_find(name);
    return model ? model->aliases : none;
}

int el_store_installed(const char *name, char **ret_path) {
    el_auto_free char *root = NULL, *path = NULL;
    struct el_model_entry *entries = NULL;
    size_t count = 0;
    if (el_model_name_check(name) < 0) return EL_ENOENT;
    int status = el_store_root(&root);
    if (status == 0) status = el_stage_target(root, name, &path);
    if (status < 0) return status;
    if (is_model_folder(path)) {
        *ret_path = el_steal(path);
        return 0;
    }
    status = el_store_list(&entries, &count);
    if (status < 0) return status;
    status = EL_ENOENT;
    for (size_t i = 0; i < count && status == EL_ENOENT; i++)
        if (!strcasecmp(entries[i].name, name)) status = el_strdup(entries[i].path, ret_path);
    el_store_list_done(entries, count);
    return status;
}

// The catalog's names are few; what is installed under other names is found by `eleanor models`.
const char *el_store_nearest(const char *name) {
    const char *names[128];
    size_t count = 0;
    for (size_t i = 0; i < el_catalog_count; i++) {
        if (count < EL_COUNT(names)) names[count++] = el_catalog[i].name;
        for (const char *const *alias = el_catalog[i].aliases; *alias && count < EL_COUNT(names); alias++)
            names[count++] = *alias;
    }
    return el_nearest(name, names, count);
}

static int fail_not_installed(const char *name) {
    const struct el_catalog_model *model = el_catalog_find(name);
    if (*name == '/' || *name == '.')
        return el_fail(EL_ENOENT, "no model in folder %s (there is no config.json)", name);
    if (model)
        return el_fail(EL_ENOENT, "model %s is not installed; `eleanor pull %s` gets it", model->name,
                       model->name);
    const char *near = el_store_nearest(name);
    if (near)
        return el_fail(EL_ENOENT, "no model is called \"%s\"; did you mean %s? `eleanor pull %s` gets it",
                       name, near, near);
    return el_fail(EL_ENOENT,
                   "model \"%s\" is not installed; `eleanor pull %s` gets it if the hub has it, "
                   "`eleanor models` lists what is here",
                   name, name);
}

int el_store_find(const char *name, char **ret_path) {
    el_auto_free char *canonical = NULL;
    int status = *name == '/' || *name == '.' ? EL_ENOENT : el_store_canonical(name, &canonical);
    if (status == 0) status = el_store_installed(canonical, ret_path);
    if (status != EL_ENOENT) return status;
    if (is_model_folder(name)) return el_strdup(name, ret_path);
    return fail_not_installed(name);
}

// Holds one file of an installed model against its record.
static int verify_file(const char *folder, const struct el_record_file *file) {
    el_auto_free char *path = NULL;
    uint64_t size;
    char sha256[EL_SHA256_TEXT];
    int status = el_path_join(folder, file->path, &path);
    if (status == 0) status = el_sha256_file(path, &size, sha256);
    if (status < 0 || el_streq(sha256, file->sha256)) return status;
    return el_fail(EL_ECHECKSUM, "%s has changed since it was installed: expected sha256 %s, got %s", path,
                   file->sha256, sha256);
}

int el_store_verify(const char *name, struct el_model_entry *ret_entry) {
    el_auto_free char *path = NULL;
    el_auto(el_record_done) struct el_record record = {0};
    int status = el_store_find(name, &path);
    if (status == 0) status = el_record_read(path, &record);
    if (status == EL_ENOENT && path)
        return el_fail(EL_EUNSUPPORTED, "%s was not installed by eleanor: there is no %s to hold it against",
                       path, EL_RECORD_FILE);
    for (size_t i = 0; status == 0 && i < record.count; i++)
        status = verify_file(path, &record.files[i]);
    return status < 0 ? status : el_store_entry(path, ret_entry);
}

int el_store_remove(const char *name, struct el_model_entry *ret_entry) {
    el_auto_free char *canonical = NULL, *path = NULL;
    el_auto(el_stage_discard) struct el_stage stage = {.lock = -1};
    el_auto(el_store_entry_done) struct el_model_entry entry = {0};
    int status = el_store_canonical(name, &canonical);
    if (status == 0) status = el_store_installed(canonical, &path);
    if (status == EL_ENOENT) return fail_not_installed(name);
    if (status == 0) status = el_store_entry(path, &entry);
    if (status == 0) status = el_stage_take(path, &stage);
    if (status < 0) return status;
    *ret_entry = entry;
    entry = (struct el_model_entry){0};
    return 0;
}
