// SPDX-License-Identifier: Apache-2.0
// API keys, from a file and the configuration.
#include "serve/keys.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { LARGEST_FILE = 1 << 20 }; // bytes

static int add(struct el_keys *keys, const char *text, size_t length) {
    EL_TRY(el_realloc(&keys->key, keys->count + 1, sizeof *keys->key));
    EL_TRY(el_strndup(text, length, &keys->key[keys->count]));
    keys->count++;
    return 0;
}

static int add_line(struct el_keys *keys, const char *line, size_t length) {
    static const char blank[] = " \t\r";
    while (length && strchr(blank, line[length - 1]))
        length--;
    for (; length && strchr(blank, *line); length--)
        line++;
    return length == 0 || *line == '#' ? 0 : add(keys, line, length);
}

int el_keys_init(struct el_keys *keys, const char *file, const char *key) {
    el_auto(el_str_done) struct el_str text = {0};
    *keys = (struct el_keys){0};
    if (key && *key) EL_TRY(add(keys, key, strlen(key)));
    if (!file) return 0;
    size_t before = keys->count;
    EL_TRY(el_read_file(file, LARGEST_FILE, &text));
    for (size_t start = 0; start < text.length;) {
        const char *end = memchr(text.data + start, '\n', text.length - start);
        size_t length = end ? (size_t)(end - text.data) - start : text.length - start;
        EL_TRY(add_line(keys, text.data + start, length));
        start += length + 1;
    }
    if (keys->count == before)
        return el_fail(EL_EINVAL, "%s: holds no API key; write one per line, or leave out api_key_file",
                       file);
    return 0;
}

void el_keys_done(struct el_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        el_free(keys->key[i]);
    el_free(keys->key);
    *keys = (struct el_keys){0};
}

bool el_keys_allow(const struct el_keys *keys, const char *authorization) {
    static const char scheme[] = "Bearer ";
    const size_t prefix = sizeof scheme - 1;
    bool allowed = keys->count == 0;
    if (!authorization || strncasecmp(authorization, scheme, prefix) != 0) return allowed;
    const char *given = authorization + prefix + strspn(authorization + prefix, " ");
    for (size_t i = 0; i < keys->count; i++) // all of them, so that the time does not say which
        allowed |= el_equal_constant_time(given, strlen(given), keys->key[i], strlen(keys->key[i]));
    return allowed;
}
