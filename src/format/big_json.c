// SPDX-License-Identifier: Apache-2.0
// Rewrites long whole numbers as reals ("1000...0" becomes "1000...0e0") before jansson sees them.
#include "format/big_json.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MOST_DIGITS = 18 }; // that always fit in 64 bits

// The end of the string that begins at `at`, or the text's.
static size_t string_end(const char *text, size_t length, size_t at) {
    for (at++; at < length && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < length ? at + 1 : length;
}

static int rewrite(const char *text, size_t length, struct el_str *out) {
    for (size_t at = 0, end; at < length; at = end) {
        const size_t digits = strspn(text + at, "0123456789");
        const char after = at + digits < length ? text[at + digits] : '\0';
        if (text[at] == '"')
            end = string_end(text, length, at);
        else
            end = at + (digits ? digits : 1);
        EL_TRY(el_str_append(out, text + at, end - at));
        const bool fraction = after == '.' || after == 'e' || after == 'E' || (at && text[at - 1] == '.');
        if (text[at] != '"' && digits > MOST_DIGITS && !fraction) EL_TRY(el_str_puts(out, "e0"));
    }
    return 0;
}

int el_big_json_parse(const char *what, const char *text, size_t length, json_t **ret_root) {
    el_auto(el_str_done) struct el_str terminated = {0}; // strspn wants a NUL
    el_auto(el_str_done) struct el_str out = {0};
    EL_TRY(el_str_append(&terminated, text, length));
    EL_TRY(rewrite(terminated.data, length, &out));
    return el_json_parse(what, out.data, out.length, ret_root);
}

int el_big_json_parse_file(const char *path, size_t limit, json_t **ret_root) {
    el_auto(el_str_done) struct el_str text = {0};
    EL_TRY(el_read_file(path, limit, &text));
    return el_big_json_parse(path, text.data, text.length, ret_root);
}
