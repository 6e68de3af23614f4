// SPDX-License-Identifier: Apache-2.0
// Pull: decide which files of a repository to fetch, fetch each into a stage, check them, install them.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/hub.h"
#include "store/install.h"
#include "store/listing.h"
#include "store/names.h"
#include "store/sink.h"
#include "store/stage.h"

// A file that is to be fetched.
struct planned {
    char *remote;       // path in the repository
    char *path;         // path in the model's folder
    uint64_t size;      // bytes as stated, for the progress
    uint64_t limit;     // more are refused
    const char *sha256; // by the hub; "": none. The catalog's rows come first
    bool required;
};

// One pull under way.
struct pull {
    const struct el_install_options *options;
    char *name;                           // canonical
    const struct el_catalog_model *model; // NULL: not in the catalog
    const char *repo;
    const char *revision;
    struct el_hub *hub;
    struct el_hub_repo listed; // empty when the catalog has the sums
    struct planned *plan;
    size_t count;
    struct el_stage stage;
};

static void pull_done(struct pull *pull) {
    for (size_t i = 0; i < pull->count; i++) {
        el_free(pull->plan[i].remote);
        el_free(pull->plan[i].path);
    }
    el_free(pull->plan);
    el_hub_repo_done(&pull->listed);
    el_hub_close(pull->hub);
    el_stage_close(&pull->stage);
    el_free(pull->name);
}

static int add_to_plan(struct pull *pull, const char *remote, const char *path, struct planned planned) {
    int status = el_realloc(&pull->plan, pull->count + 1, sizeof *pull->plan);
    if (status == 0) status = el_strdup(remote, &planned.remote);
    if (status < 0) return status;
    pull->plan[pull->count++] = planned;
    return el_strdup(path, &pull->plan[pull->count - 1].path);
}

// The catalog's files; the rows of one path stand beside each other, the hub's own first.
static int plan_by_catalog(struct pull *pull) {
    const struct el_catalog_file *row;
    int status = 0;
    for (size_t i = 0; status == 0 && (row = el_catalog_file(pull->model, i)); i++) {
        struct planned *last = pull->count ? &pull->plan[pull->count - 1] : NULL;
        if (last && el_streq(last->path, row->path)) {
            last->limit = EL_MAX(last->limit, row->size);
            continue;
        }
        struct planned planned = {
            .size = row->size, .limit = row->size, .sha256 = "", .required = row->required};
        status = add_to_plan(pull, row->path, row->path, planned);
    }
    return status;
}

// What the hub lists, of which only the model's own files are wanted: many repositories carry the same
// weights in five formats.
static int plan_by_hub(struct pull *pull) {
    el_auto(el_listing_done) struct el_listing listing = {0};
    el_auto_free char *folder = NULL;
    int status = el_hub_list(pull->hub, pull->repo, pull->revision, &pull->listed);
    for (size_t i = 0; status == 0 && i < pull->listed.count; i++)
        status = el_listing_add(&listing, pull->listed.files[i].path, pull->listed.files[i].size);
    el_listing_sort(&listing);
    if (status == 0) status = el_listing_find_model(&listing, pull->repo, &folder);
    for (size_t i = 0; status == 0 && i < pull->listed.count; i++) {
        const struct el_hub_file *file = &pull->listed.files[i];
        const char *path = el_listing_needed(folder, file->path);
        struct planned planned = {
            .size = file->size, .limit = file->size, .sha256 = file->sha256, .required = true};
        if (path) status = add_to_plan(pull, file->path, path, planned);
    }
    pull->revision = status == 0 ? pull->listed.commit : pull->revision; // the same tree to the end
    return status;
}

static uint64_t file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static int check_sum(const struct pull *pull, const struct planned *planned, uint64_t size,
                     const char *sha256, const char *linked) {
    if (pull->model && el_catalog_file(pull->model, 0))
        return el_catalog_check(pull->model, planned->path, size, sha256);
    const char *expected = *planned->sha256 ? planned->sha256 : linked;
    if (size != planned->size)
        return el_fail(EL_ECHECKSUM, "%s of %s has the wrong size: expected %ju bytes, got %ju",
                       planned->path, pull->repo, (uintmax_t)planned->size, (uintmax_t)size);
    if (!*expected || el_streq(expected, sha256)) return 0;
    return el_fail(EL_ECHECKSUM, "%s of %s has the wrong checksum: expected sha256 %s, got %s", planned->path,
                   pull->repo, expected, sha256);
}

// A file that an earlier try completed is used again when its sum still holds.
static bool is_there(struct pull *pull, const struct planned *planned, const char *path) {
    uint64_t size;
    char sha256[EL_SHA256_TEXT];
    if (!el_path_exists(path)) return false;
    if (el_sha256_file(path, &size, sha256) == 0 && check_sum(pull, planned, size, sha256, "") == 0)
        return el_record_add(&pull->stage.record, planned->path, size, sha256) == 0;
    unlink(path);
    return false;
}

// Fetches into `part`, from where an earlier try stopped, and checks the sum. *ret_resumed tells whether
// bytes of an earlier try are in it.
static int fetch_part(struct pull *pull, const struct planned *planned, const char *part, bool *ret_resumed) {
    el_auto(el_sink_close) struct el_sink sink = {.fd = -1};
    char sha256[EL_SHA256_TEXT], linked[EL_SHA256_TEXT];
    int status = el_sink_resume(part, &sink);
    if (status == 0 && sink.size > planned->limit) status = el_sink_restart(&sink);
    if (status < 0) return status;
    *ret_resumed = sink.size > 0;
    status =
        el_hub_fetch(pull->hub, pull->repo, pull->revision, planned->remote, planned->limit, &sink, linked);
    if (status == 0) status = el_sink_finish(&sink, sha256);
    if (status == 0) status = check_sum(pull, planned, sink.size, sha256, linked);
    return status < 0 ? status : el_record_add(&pull->stage.record, planned->path, sink.size, sha256);
}

static int fetch_file(struct pull *pull, const struct planned *planned) {
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str part = {0};
    bool resumed = false;
    int status = el_stage_file(&pull->stage, planned->path, &path);
    if (status == 0) status = el_str_printf(&part, "%s.part", path);
    if (status < 0 || is_there(pull, planned, path)) return status;
    status = fetch_part(pull, planned, part.data, &resumed);
    if (resumed && (status == EL_ECHECKSUM || status == EL_ETOOBIG)) {
        el_progress_note(pull->options->progress, "%s; fetching it again from its start.", el_error_detail());
        unlink(part.data);
        status = fetch_part(pull, planned, part.data, &resumed);
    }
    if (status == EL_ECHECKSUM || status == EL_ETOOBIG || status == EL_ENOENT) unlink(part.data);
    if (status == EL_ENOENT && !planned->required) return 0;
    if (status < 0) return status;
    if (rename(part.data, path) == 0) return 0;
    return el_fail(EL_EIO, "cannot rename %s: %s", part.data, strerror(errno));
}

// Bytes that an earlier try left of a file, complete or not.
static int staged_bytes(const struct pull *pull, const struct planned *planned, uint64_t *ret_bytes) {
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str part = {0};
    int status = el_stage_file(&pull->stage, planned->path, &path);
    if (status == 0) status = el_str_printf(&part, "%s.part", path);
    if (status < 0) return status;
    *ret_bytes = file_size(path) + file_size(part.data);
    return 0;
}

// Bytes of the whole plan, and how many of them earlier tries left.
static int measure(const struct pull *pull, uint64_t *ret_total, uint64_t *ret_there) {
    uint64_t total = 0, there = 0, bytes = 0;
    for (size_t i = 0; i < pull->count; i++) {
        int status = staged_bytes(pull, &pull->plan[i], &bytes);
        if (status < 0) return status;
        there += EL_MIN(bytes, pull->plan[i].size);
        total += pull->plan[i].size;
    }
    *ret_total = total;
    *ret_there = there;
    return 0;
}

// After a failure: where a disk is full, what is there of the model is the first to go; else it is kept for
// the next try when there is any.
static void settle_stage(struct pull *pull, int status) {
    uint64_t total, there = 0;
    bool is_empty = measure(pull, &total, &there) == 0 && there == 0;
    if (status == EL_EIO || is_empty) el_stage_discard(&pull->stage);
}

static int fetch_all(struct pull *pull) {
    uint64_t total, there;
    int status = measure(pull, &total, &there);
    if (status == 0) status = el_disk_check(pull->stage.path, total - there);
    if (status == 0) el_progress_start(pull->options->progress, pull->name, NULL, total, there);
    for (size_t i = 0; status == 0 && i < pull->count; i++)
        status = fetch_file(pull, &pull->plan[i]);
    el_progress_finish(pull->options->progress);
    if (status < 0) settle_stage(pull, status);
    return status;
}

static int describe(struct pull *pull) {
    struct el_record *record = &pull->stage.record;
    el_auto(el_str_done) struct el_str source = {0};
    int status = el_str_printf(&source, "hub:%s@%s", pull->repo, pull->revision);
    if (status == 0) status = el_strdup(pull->name, &record->name);
    if (status == 0)
        status = el_strdup(pull->model ? pull->model->license : pull->listed.license, &record->license);
    if (status < 0) return status;
    record->source = el_steal(source.data);
    return 0;
}

static int fetch_model(struct pull *pull) {
    el_auto_free char *key = NULL;
    el_auto(el_str_done) struct el_str origin = {0};
    int status = el_hub_open(pull->options->progress, &pull->hub);
    if (status < 0) return status;
    bool has_sums = pull->model && el_catalog_file(pull->model, 0);
    status = has_sums ? plan_by_catalog(pull) : plan_by_hub(pull);
    if (status == 0) status = el_model_folder_name(pull->name, &key);
    if (status == 0) status = el_str_printf(&origin, "%s@%s", pull->repo, pull->revision);
    if (status == 0) status = el_stage_resume(key, origin.data, &pull->stage);
    if (status == 0) status = fetch_all(pull);
    if (status == 0) status = el_stage_check(&pull->stage, pull->model);
    if (status == 0) status = describe(pull);
    return status < 0 ? status : el_stage_commit(&pull->stage, pull->options->replace);
}

static int fail_unknown(const char *name) {
    const char *near = el_store_nearest(name);
    return el_fail(
        EL_ENOENT,
        "the catalog has no model called \"%s\"%s%s%s; `eleanor models --all` lists it, and a model "
        "of the hub is named OWNER/NAME",
        name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

int el_store_pull(const char *name, const struct el_install_options *options,
                  struct el_model_entry *ret_entry, bool *ret_fetched) {
    static const struct el_install_options defaults = {0};
    el_auto(pull_done) struct pull pull = {.options = options ? options : &defaults, .stage = {.lock = -1}};
    el_auto_free char *folder = NULL;
    int status = el_model_name_check(name);
    if (status == 0) status = el_store_canonical(name, &pull.name);
    if (status < 0) return status;
    pull.model = el_catalog_find(name);
    if (!pull.model && !strchr(name, '/')) return fail_unknown(name);
    pull.repo = pull.model ? pull.model->hub : name;
    pull.revision = pull.options->revision ? pull.options->revision
                    : pull.model           ? pull.model->revision
                                           : "main";
    bool is_installed = el_store_installed(pull.name, &folder) == 0;
    bool wanted = !is_installed || pull.options->replace;
    if (wanted) status = fetch_model(&pull);
    if (wanted && status == 0 && !is_installed) status = el_store_installed(pull.name, &folder);
    if (status == 0) status = el_store_entry(folder, ret_entry);
    if (status == 0) *ret_fetched = wanted;
    return status;
}
