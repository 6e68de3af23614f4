// SPDX-License-Identifier: Apache-2.0
// Finding a model among files.
#include "store/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/names.h"

static const char weights[] = "model.safetensors";

void el_listing_done(struct el_listing *listing) {
    for (size_t i = 0; i < listing->count; i++)
        el_free(listing->files[i].path);
    el_free(listing->files);
    *listing = (struct el_listing){0};
}

int el_listing_add(struct el_listing *listing, const char *path, uint64_t size) {
    EL_TRY(el_grow(&listing->files, sizeof *listing->files, listing->count, &listing->capacity));
    struct el_listed *file = &listing->files[listing->count];
    int status = el_strdup(path, &file->path);
    if (status < 0) return status;
    file->size = size;
    listing->count++;
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct el_listed *)a)->path, ((const struct el_listed *)b)->path);
}

void el_listing_sort(struct el_listing *listing) {
    if (listing->count) qsort(listing->files, listing->count, sizeof *listing->files, by_path);
}

static bool has(const struct el_listing *listing, const char *path) {
    const struct el_listed wanted = {.path = (char *)(uintptr_t)path};
    return listing->count &&
           bsearch(&wanted, listing->files, listing->count, sizeof *listing->files, by_path) != NULL;
}

// Length of the folder part of `path`, slash included, when its file is called `name`; else -1.
static ptrdiff_t folder_length(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    return el_streq(file, name) ? file - path : -1;
}

static int depth_of(const char *folder) {
    int depth = 0;
    for (; *folder; folder++)
        depth += *folder == '/';
    return depth;
}

// Says what a listing without a model has instead.
static int fail_no_model(const struct el_listing *listing, const char *what) {
    for (size_t i = 0; i < listing->count; i++) {
        const char *path = listing->files[i].path;
        if (folder_length(path, "pytorch_model.bin") >= 0)
            return el_fail(EL_EFORMAT,
                           "%s has %s but no %s; eleanor reads safetensors alone, since a .bin file is a "
                           "program that runs when it is loaded",
                           what, path, weights);
        if (folder_length(path, "model.safetensors.index.json") >= 0)
            return el_fail(EL_EFORMAT,
                           "%s has its weights in several files (%s), which eleanor does not read", what,
                           path);
    }
    return el_fail(EL_EFORMAT, "%s holds no model: no folder in it has both config.json and %s", what,
                   weights);
}

int el_listing_find_model(const struct el_listing *listing, const char *what, char **ret_folder) {
    el_auto_free char *found = NULL, *rival = NULL;
    for (size_t i = 0; i < listing->count; i++) {
        const char *path = listing->files[i].path;
        ptrdiff_t length = folder_length(path, weights);
        if (length < 0) continue;
        el_auto_free char *folder = NULL;
        el_auto(el_str_done) struct el_str config = {0};
        int status = el_strndup(path, (size_t)length, &folder);
        if (status == 0) status = el_str_printf(&config, "%sconfig.json", folder);
        if (status < 0) return status;
        if (!has(listing, config.data)) continue;
        int order = found ? depth_of(folder) - depth_of(found) : -1;
        if (order > 0) continue;
        el_free(el_steal(rival));
        if (order == 0)
            rival = el_steal(folder);
        else {
            el_free(el_steal(found));
            found = el_steal(folder);
        }
    }
    if (!found) return fail_no_model(listing, what);
    if (rival)
        return el_fail(EL_EINVAL, "%s holds several models (%s and %s); unpack it and import one folder",
                       what, found, rival);
    *ret_folder = el_steal(found);
    return 0;
}

const char *el_listing_needed(const char *folder, const char *path) {
    if (!el_starts_with(path, folder)) return NULL;
    const char *relative = path + strlen(folder);
    return el_model_file_is_needed(relative) ? relative : NULL;
}

uint64_t el_listing_needed_bytes(const struct el_listing *listing, const char *folder) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (el_listing_needed(folder, listing->files[i].path)) bytes += listing->files[i].size;
    return bytes;
}
