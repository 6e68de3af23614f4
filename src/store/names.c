// SPDX-License-Identifier: Apache-2.0
// Checks of names that come from outside, before any of them becomes a path.
#include "store/names.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

enum { NAME_MAX_LENGTH = 200 }; // bytes; hubs allow 96 to either side of the slash

static bool is_word(const char *text, size_t length) {
    if (length == 0 || !isalnum((unsigned char)text[0])) return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i])) return false;
    return true;
}

int el_model_name_check(const char *name) {
    size_t owner = strcspn(name, "/"), length = strlen(name);
    bool is_plain = owner == length && is_word(name, length);
    bool is_owned = owner < length && is_word(name, owner) && is_word(name + owner + 1, length - owner - 1);
    if (length > NAME_MAX_LENGTH || !(is_plain || is_owned) || strstr(name, "--") || strstr(name, ".."))
        return el_fail(EL_EINVAL,
                       "\"%.250s\" is no model name: a name is NAME or OWNER/NAME, of letters, digits, "
                       "'.', '_' and '-'",
                       name);
    return 0;
}

int el_model_folder_name(const char *name, char **ret_folder) {
    el_auto(el_str_done) struct el_str folder = {0};
    int status = el_str_reserve(&folder, strlen(name) + 1);
    for (; status == 0 && *name; name++)
        status = *name == '/' ? el_str_puts(&folder, "--") : el_str_putc(&folder, *name);
    if (status < 0) return status;
    *ret_folder = el_steal(folder.data);
    return 0;
}

static bool has_parent_step(const char *path) {
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (el_starts_with(part, "..") && (part[2] == '/' || !part[2])) return true;
    }
    return false;
}

int el_path_check(const char *path) {
    const char *wrong = NULL;
    if (!*path)
        wrong = "is empty";
    else if (*path == '/')
        wrong = "is absolute";
    else if (has_parent_step(path))
        wrong = "climbs out by \"..\"";
    else if (strchr(path, '\\'))
        wrong = "holds a backslash";
    for (const char *p = path; !wrong && *p; p++)
        if ((unsigned char)*p < ' ') wrong = "holds a control character";
    return wrong ? el_fail(EL_EINVAL, "the path \"%.200s\" %s", path, wrong) : 0;
}

// "1_Pooling/config.json": a step of sentence-transformers' pipeline beside the encoder.
static bool is_pipeline_file(const char *path) {
    size_t digits = strspn(path, "0123456789");
    if (digits == 0 || path[digits] != '_') return false;
    const char *file = strchr(path, '/');
    if (!file || !is_word(path, (size_t)(file - path))) return false;
    return el_streq(file, "/config.json") || el_streq(file, "/model.safetensors");
}

bool el_model_file_is_needed(const char *path) {
    static const char *const names[] = {
        "config.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "README.md", // its front matter names the licence
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
    };
    for (size_t i = 0; i < EL_COUNT(names); i++)
        if (el_streq(path, names[i])) return true;
    return is_pipeline_file(path);
}
