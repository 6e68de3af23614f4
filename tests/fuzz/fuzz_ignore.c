// SPDX-License-Identifier: Apache-2.0
// Fuzzes the rules of .gitignore files: the bytes up to a NUL are rules, those behind it a path. Whatever
// they are, a pattern without anything special in it matches itself, and a verdict is one of three.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "files/glob.h"
#include "files/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = NULL, *path = NULL;
    struct el_ignore *rules = NULL;
    if (size > 4096 || el_strndup((const char *)data, size, &text) < 0) return 0;
    const size_t length = strlen(text);
    const char *rest = length < size ? (const char *)data + length + 1 : "";
    if (el_strndup(rest, length < size ? strnlen(rest, size - length - 1) : 0, &path) < 0) abort();
    if (!strpbrk(path, "*?[\\") && !el_glob_match(path, path)) abort();
    el_glob_match(text, path);
    if (el_ignore_parse(text, length, "/a", NULL, &rules) < 0) abort();
    for (int is_folder = 0; is_folder < 2; is_folder++)
        if (el_ignore_judge(rules, path, is_folder) > EL_IGNORE_NO) abort();
    el_ignore_free(rules);
    el_free(text);
    el_free(path);
    return 0;
}
