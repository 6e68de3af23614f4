// SPDX-License-Identifier: Apache-2.0
// {"tuned": [{"model": "/models/x", "device": "...", "driver": "...", "precision": "fp16",
//             "batch_tokens": 32768, "texts_per_second": 12345.6}, ...]}
#include "service/tuned.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

enum { FILE_LIMIT = 1 << 20, MOST_TOKENS = 1 << 20 };

static int find_rows(const char *what, json_t *root, json_t **ret_rows) {
    json_t *rows = json_object_get(root, "tuned");
    if (!json_is_array(rows)) return el_fail(EL_EFORMAT, "%s: \"tuned\" must be a list", what);
    *ret_rows = rows;
    return 0;
}

// True when the row's four names are the key's.
static int is_of(const char *what, const json_t *row, const struct el_tuned_key *key, bool *ret_is) {
    const struct {
        const char *name, *value;
    } names[] = {{"model", key->model},
                 {"device", key->device},
                 {"driver", key->driver},
                 {"precision", key->precision}};
    bool is = true;
    if (!json_is_object(row)) return el_fail(EL_EFORMAT, "%s: \"tuned\" holds what is no object", what);
    for (size_t i = 0; i < EL_COUNT(names); i++) {
        const char *text;
        EL_TRY(el_json_get_str_or(what, row, names[i].name, "", &text));
        is &= el_streq(text, names[i].value);
    }
    *ret_is = is;
    return 0;
}

static int find_tokens(const char *what, json_t *root, const struct el_tuned_key *key, int64_t *ret_tokens) {
    json_t *rows, *row;
    size_t i;
    EL_TRY(find_rows(what, root, &rows));
    json_array_foreach(rows, i, row) {
        bool is;
        EL_TRY(is_of(what, row, key, &is));
        if (is) return el_json_get_i64(what, row, "batch_tokens", 1, MOST_TOKENS, ret_tokens);
    }
    return el_fail(EL_ENOENT, "%s: nothing is known of %s on %s in %s", what, key->model, key->device,
                   key->precision);
}

int el_tuned_parse(const char *what, const char *text, size_t length, const struct el_tuned_key *key,
                   int64_t *ret_tokens) {
    json_t *root el_auto_json = NULL;
    EL_TRY(el_json_parse(what, text, length, &root));
    return find_tokens(what, root, key, ret_tokens);
}

int el_tuned_read(const char *path, const struct el_tuned_key *key, int64_t *ret_tokens) {
    el_auto(el_str_done) struct el_str text = {0};
    EL_TRY(el_read_file(path, FILE_LIMIT, &text));
    return el_tuned_parse(path, text.data, text.length, key, ret_tokens);
}

// Takes the key's row out, if there is one.
static int remove_row(const char *what, json_t *rows, const struct el_tuned_key *key) {
    for (size_t i = json_array_size(rows); i-- > 0;) {
        bool is;
        EL_TRY(is_of(what, json_array_get(rows, i), key, &is));
        if (is) json_array_remove(rows, i);
    }
    return 0;
}

// The rows of others in the file; none where it is missing or damaged.
static int read_others(const char *path, const struct el_tuned_key *key, json_t **ret_root) {
    json_t *root el_auto_json = NULL, *rows = NULL;
    int status = el_json_parse_file(path, FILE_LIMIT, &root);
    if (status == 0) status = find_rows(path, root, &rows);
    if (status == 0) status = remove_row(path, rows, key);
    if (status == EL_ENOMEM || status == EL_EIO) return status;
    *ret_root = status == 0 ? el_steal(root) : json_pack("{s:[]}", "tuned");
    return 0;
}

int el_tuned_write(const char *path, const struct el_tuned_key *key, int64_t tokens,
                   double texts_per_second) {
    json_t *root el_auto_json = NULL;
    EL_TRY(read_others(path, key, &root));
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:f}", "model", key->model, "device", key->device,
                            "driver", key->driver, "precision", key->precision, "batch_tokens",
                            (json_int_t)tokens, "texts_per_second", texts_per_second);
    const bool added = row && json_array_append_new(json_object_get(root, "tuned"), row) == 0;
    char *text el_auto_free = added ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8)) : NULL;
    if (!text) return el_fail(EL_ENOMEM, "%s: no memory to write it", path);
    return el_write_file(path, text, strlen(text));
}
