// SPDX-License-Identifier: Apache-2.0
// Import: find the model in a folder or an archive, copy its files into a stage, check them, install them.
//
// An archive is read twice: the first time only its entries' names, so that a hostile one is refused before a
// byte of it is on the disk; the second time the model's files.
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/archive.h"
#include "store/install.h"
#include "store/listing.h"
#include "store/names.h"
#include "store/sink.h"
#include "store/stage.h"

enum { BLOCK_SIZE = 65536 }; // bytes copied at once

// One import under way.
struct import {
    const char *path; // as the user gave it
    const struct el_install_options *options;
    bool is_folder;
    uint64_t max_bytes;
    struct el_listing listing;
    char *folder; // of the model within `path`: "" or "some/folder/"
    struct el_stage stage;
};

static void import_done(struct import *import) {
    el_stage_discard(&import->stage); // closed already when it was committed
    el_listing_done(&import->listing);
    el_free(import->folder);
}

static void close_archive_p(struct el_archive **archive) {
    el_archive_close(*archive);
}

// Regular files below a folder. Links to files count (hub caches are made of them), links to folders don't.
static int scan_folder(struct import *import) {
    size_t skip = strlen(import->path) + !el_ends_with(import->path, "/");
    char *const roots[] = {(char *)(uintptr_t)import->path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL);
    if (!tree) return el_fail(EL_EIO, "cannot read folder %s: %s", import->path, strerror(errno));
    int status = 0;
    for (const FTSENT *entry; status == 0 && (entry = fts_read(tree));) {
        struct stat info;
        bool is_file = entry->fts_info == FTS_F || entry->fts_info == FTS_SL;
        if (!is_file || stat(entry->fts_path, &info) < 0 || !S_ISREG(info.st_mode)) continue;
        if (import->listing.count >= EL_IMPORT_MAX_ENTRIES)
            status =
                el_fail(EL_ETOOBIG, "%s holds more than %d files, the limit; name the model's own folder",
                        import->path, EL_IMPORT_MAX_ENTRIES);
        else
            status = el_listing_add(&import->listing, entry->fts_path + skip, (uint64_t)info.st_size);
    }
    fts_close(tree);
    return status;
}

static int scan_archive(struct import *import) {
    el_auto(close_archive_p) struct el_archive *archive = NULL;
    const char *path;
    uint64_t size;
    int status = el_archive_open(import->path, import->max_bytes, &archive);
    while (status >= 0 && (status = el_archive_next(archive, &path, &size)) > 0)
        status = el_listing_add(&import->listing, path, size);
    return status;
}

// Where the bytes of one file come from.
typedef int read_fn(void *context, void *bytes, size_t capacity, size_t *ret_length);

static int read_archive(void *context, void *bytes, size_t capacity, size_t *ret_length) {
    return el_archive_read(context, bytes, capacity, ret_length);
}

static int read_descriptor(void *context, void *bytes, size_t capacity, size_t *ret_length) {
    ssize_t got;
    do
        got = read(*(int *)context, bytes, capacity);
    while (got < 0 && errno == EINTR);
    if (got < 0) return el_fail(EL_EIO, "cannot read: %s", strerror(errno));
    *ret_length = (size_t)got;
    return 0;
}

static int copy_file(struct import *import, const char *relative, read_fn *read_some, void *context) {
    el_auto_free char *path = NULL;
    el_auto(el_sink_close) struct el_sink sink = {.fd = -1};
    char sha256[EL_SHA256_TEXT];
    uint8_t bytes[BLOCK_SIZE];
    size_t length = 1;
    int status = el_stage_file(&import->stage, relative, &path);
    if (status == 0) status = el_sink_open(path, &sink);
    while (status == 0 && length) {
        status = read_some(context, bytes, sizeof bytes, &length);
        if (status == 0) status = el_sink_write(&sink, bytes, length);
        if (status == 0) el_progress_add(import->options->progress, length);
    }
    if (status == 0) status = el_sink_finish(&sink, sha256);
    return status < 0 ? status : el_record_add(&import->stage.record, relative, sink.size, sha256);
}

static int copy_archive(struct import *import) {
    el_auto(close_archive_p) struct el_archive *archive = NULL;
    const char *path;
    uint64_t size;
    int status = el_archive_open(import->path, import->max_bytes, &archive);
    while (status >= 0 && (status = el_archive_next(archive, &path, &size)) > 0) {
        const char *relative = el_listing_needed(import->folder, path);
        if (relative) status = copy_file(import, relative, read_archive, archive);
    }
    return status;
}

static int copy_from_folder(struct import *import, const char *path, const char *relative) {
    el_auto_free char *full = NULL;
    int status = el_path_join(import->path, path, &full);
    if (status < 0) return status;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return el_fail(EL_EIO, "cannot open %s: %s", full, strerror(errno));
    status = copy_file(import, relative, read_descriptor, &fd);
    close(fd);
    return status < 0 ? el_fail_in(status, "%s", full) : 0;
}

static int copy_folder(struct import *import) {
    int status = 0;
    for (size_t i = 0; i < import->listing.count && status == 0; i++) {
        const char *path = import->listing.files[i].path;
        const char *relative = el_listing_needed(import->folder, path);
        if (relative) status = copy_from_folder(import, path, relative);
    }
    return status;
}

// The last part of a path without its slashes and archive suffix: "/a/b/model-x.tar.gz" gives "model-x".
static int base_name(const char *path, char **ret_name) {
    static const char *const suffixes[] = {".zip", ".whl", ".tar.gz", ".tgz", ".tar"};
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    el_auto_free char *name = NULL;
    int status = el_strndup(path + start, end - start, &name);
    for (size_t i = 0; status == 0 && i < EL_COUNT(suffixes); i++)
        if (el_ends_with(name, suffixes[i])) name[strlen(name) - strlen(suffixes[i])] = '\0';
    if (status < 0) return status;
    *ret_name = el_steal(name);
    return 0;
}

// What a model that the catalog does not know is called: its folder, else the archive. A folder that is just
// called "model", or "." from where the user stands, says nothing.
static int derive_name(const struct import *import, char **ret_name) {
    el_auto_free char *name = NULL, *full = realpath(import->path, NULL);
    int status = base_name(*import->folder ? import->folder : full ? full : import->path, &name);
    if (status == 0 && el_streq(name, "model")) {
        el_free(el_steal(name));
        status = base_name(full ? full : import->path, &name);
    }
    if (status < 0) return status;
    if (el_model_name_check(name) < 0) return el_fail_in(EL_EINVAL, "give it a name with --name");
    *ret_name = el_steal(name);
    return 0;
}

static const char *weights_sum(const struct el_record *record) {
    for (size_t i = 0; i < record->count; i++)
        if (el_streq(record->files[i].path, "model.safetensors")) return record->files[i].sha256;
    return "";
}

// Names and checks what was copied: by the name asked for, else by the weights, else by the folder's name.
static int identify(struct import *import) {
    struct el_record *record = &import->stage.record;
    const struct el_catalog_model *by_weights = el_catalog_find_weights(weights_sum(record));
    const char *wanted = import->options->name;
    int status;
    if (wanted)
        status = el_store_canonical(wanted, &record->name);
    else if (by_weights)
        status = el_strdup(by_weights->name, &record->name);
    else
        status = derive_name(import, &record->name);
    if (status < 0) return status;
    const struct el_catalog_model *by_name = el_catalog_find(record->name);
    if (by_name) {
        status = el_stage_check(&import->stage, by_name);
        if (status == EL_ECHECKSUM && !wanted)
            el_fail(status, "%s; if it is another model, name it with --name", el_error_detail());
        return status;
    }
    // Known weights under a name of the user's own: verified where all holds, else a variant of theirs.
    status = el_stage_check(&import->stage, by_weights);
    return status == EL_ECHECKSUM ? el_stage_check(&import->stage, NULL) : status;
}

static int describe(struct import *import) {
    struct el_record *record = &import->stage.record;
    const struct el_catalog_model *model = el_catalog_find(record->name);
    el_auto_free char *full = realpath(import->path, NULL);
    el_auto(el_str_done) struct el_str source = {0};
    int status = el_str_printf(&source, "import:%s", full ? full : import->path);
    if (status < 0) return status;
    record->source = el_steal(source.data);
    return model ? el_strdup(model->license, &record->license)
                 : el_stage_read_license(&import->stage, &record->license);
}

static int gather(struct import *import) {
    int status = import->is_folder ? scan_folder(import) : scan_archive(import);
    if (status < 0) return status;
    el_listing_sort(&import->listing);
    status = el_listing_find_model(&import->listing, import->path, &import->folder);
    if (status == 0) status = el_stage_open(&import->stage);
    if (status < 0) return status;
    uint64_t bytes = el_listing_needed_bytes(&import->listing, import->folder);
    status = el_disk_check(import->stage.path, bytes);
    if (status < 0) return status;
    el_progress_start(import->options->progress, "import", NULL, bytes, 0);
    status = import->is_folder ? copy_folder(import) : copy_archive(import);
    el_progress_finish(import->options->progress);
    return status;
}

int el_store_import(const char *path, const struct el_install_options *options,
                    struct el_model_entry *ret_entry) {
    static const struct el_install_options defaults = {0};
    struct stat info;
    if (!options) options = &defaults;
    if (stat(path, &info) < 0)
        return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "cannot open %s: %s", path, strerror(errno));
    el_auto(import_done) struct import import = {.path = path,
                                                 .options = options,
                                                 .is_folder = S_ISDIR(info.st_mode),
                                                 .max_bytes = options->max_bytes ? options->max_bytes
                                                                                 : EL_IMPORT_MAX_BYTES,
                                                 .stage = {.lock = -1}};
    int status = options->name ? el_model_name_check(options->name) : 0;
    if (status == 0) status = gather(&import);
    if (status == 0) status = identify(&import);
    if (status == 0) status = describe(&import);
    el_auto_free char *target = NULL;
    if (status == 0) status = el_stage_target(import.stage.root, import.stage.record.name, &target);
    if (status == 0) status = el_stage_commit(&import.stage, options->replace);
    return status < 0 ? status : el_store_entry(target, ret_entry);
}
