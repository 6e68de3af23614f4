// SPDX-License-Identifier: Apache-2.0
// Fuzzes what stands between a file's bytes and its text: unpacking, encodings and HTML. Whatever the bytes,
// what comes out is valid UTF-8 without zeros and within the limits.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "files/encoding.h"
#include "files/html.h"
#include "files/unpack.h"
#include "format/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct el_str *text) {
    if (!text->length) return;
    if (el_utf8_valid(text->data, text->length) != text->length || memchr(text->data, 0, text->length))
        abort();
}

static void read_page(const struct el_str *page) {
    struct el_str text el_auto(el_str_done) = {0}, title el_auto(el_str_done) = {0};
    if (el_html_text(page->data, page->length, &text, &title) < 0) return;
    check(&text);
    check(&title);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { LIMIT = 1 << 20, BLOCK = 1 << 16 };
    struct el_str unpacked el_auto(el_str_done) = {0}, text el_auto(el_str_done) = {0};
    char named[EL_HTML_ENCODING];
    bool converted;
    if (el_is_packed(data, size) && el_unpack(data, size, LIMIT, &unpacked) == 0 && unpacked.length > LIMIT)
        abort();
    if (unpacked.length > LIMIT + BLOCK) abort();
    const bool is_named = el_html_encoding((const char *)data, size, named);
    if (el_text_decode(data, size, is_named ? named : NULL, &text, &converted) < 0) return 0;
    check(&text);
    if (!converted && (text.length != size || (size && memcmp(text.data, data, size) != 0))) abort();
    if (text.length) read_page(&text);
    return 0;
}
