// SPDX-License-Identifier: Apache-2.0
// Reading and writing eleanor-model.json.
#include "store/record.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { RECORD_LIMIT = 1 << 20 }; // bytes of the file

void el_record_done(struct el_record *record) {
    for (size_t i = 0; i < record->count; i++)
        el_free(record->files[i].path);
    el_free(record->files);
    el_free(record->name);
    el_free(record->source);
    el_free(record->license);
    *record = (struct el_record){0};
}

int el_record_add(struct el_record *record, const char *path, uint64_t size, const char *sha256) {
    struct el_record_file file = {.size = size};
    int status = el_realloc(&record->files, record->count + 1, sizeof *record->files);
    if (status == 0) status = el_strdup(path, &file.path);
    if (status < 0) return status;
    el_sha256_copy(sha256, file.sha256);
    record->files[record->count++] = file;
    return 0;
}

bool el_record_has(const struct el_record *record, const char *path) {
    for (size_t i = 0; i < record->count; i++)
        if (el_streq(record->files[i].path, path)) return true;
    return false;
}

uint64_t el_record_bytes(const struct el_record *record) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < record->count; i++)
        bytes += record->files[i].size;
    return bytes;
}

static json_t *to_json(const struct el_record *record) {
    json_t *files = json_array();
    for (size_t i = 0; i < record->count; i++) {
        const struct el_record_file *file = &record->files[i];
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", file->path, "size",
                                               (json_int_t)file->size, "sha256", file->sha256));
    }
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", record->name, "source", record->source, "license",
                     record->license, "verified", record->verified, "files", files);
}

static int append_text(const char *bytes, size_t length, void *context) {
    return el_str_append(context, bytes, length);
}

int el_record_write(const struct el_record *record, const char *folder) {
    el_auto_json json_t *root = to_json(record);
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str text = {0};
    if (!root || json_dump_callback(root, append_text, &text, JSON_INDENT(2)) < 0)
        return el_fail(EL_ENOMEM, "no memory to write the record of %s", record->name);
    int status = el_path_join(folder, EL_RECORD_FILE, &path);
    return status < 0 ? status : el_write_file(path, text.data, text.length);
}

static int read_text(const char *path, const json_t *object, const char *key, char **ret_text) {
    const char *text = NULL;
    int status = el_json_get_str_or(path, object, key, "", &text);
    return status < 0 ? status : el_strdup(text, ret_text);
}

static int read_files(const char *path, const json_t *root, struct el_record *record) {
    size_t index;
    json_t *file;
    int status = 0;
    json_array_foreach(json_object_get(root, "files"), index, file) {
        const char *name = NULL, *sha256 = NULL;
        int64_t size = 0;
        status = el_json_get_str_or(path, file, "path", "", &name);
        if (status == 0) status = el_json_get_str_or(path, file, "sha256", "", &sha256);
        if (status == 0) status = el_json_get_i64(path, file, "size", 0, INT64_MAX, &size);
        if (status == 0) status = el_record_add(record, name, (uint64_t)size, sha256);
        if (status < 0) break;
    }
    return status;
}

int el_record_read(const char *folder, struct el_record *ret_record) {
    el_auto_free char *path = NULL;
    el_auto_json json_t *root = NULL;
    el_auto(el_record_done) struct el_record record = {0};
    int status = el_path_join(folder, EL_RECORD_FILE, &path);
    if (status == 0) status = el_json_parse_file(path, RECORD_LIMIT, &root);
    if (status == 0) status = read_text(path, root, "name", &record.name);
    if (status == 0) status = read_text(path, root, "source", &record.source);
    if (status == 0) status = read_text(path, root, "license", &record.license);
    if (status == 0) status = el_json_get_bool_or(path, root, "verified", false, &record.verified);
    if (status == 0) status = read_files(path, root, &record);
    if (status < 0) return status;
    *ret_record = record;
    record = (struct el_record){0};
    return 0;
}
