// SPDX-License-Identifier: Apache-2.0
// Guessing an encoding, surest signs first, and converting by iconv.
#include "files/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <uchardet/uchardet.h>

#include "base/error.h"
#include "base/mem.h"
#include "format/utf8.h"

struct bytes {
    const uint8_t *data;
    size_t size;
};

// ---- signs ----

static const struct {
    const char *mark, *encoding;
    size_t length;
} marks[] = {
    {"\xEF\xBB\xBF", "UTF-8", 3},
    {"\xFF\xFE\0\0", "UTF-32LE", 4}, // before UTF-16LE, whose mark it begins
                                     // with
    {"\0\0\xFE\xFF", "UTF-32BE", 4},
    {"\xFF\xFE", "UTF-16LE", 2},
    {"\xFE\xFF", "UTF-16BE", 2},
};

// Takes the mark off.
static const char *find_mark(struct bytes *bytes) {
    for (size_t i = 0; i < EL_COUNT(marks); i++) {
        if (bytes->size < marks[i].length || memcmp(bytes->data, marks[i].mark, marks[i].length) != 0)
            continue;
        bytes->data += marks[i].length;
        bytes->size -= marks[i].length;
        return marks[i].encoding;
    }
    return NULL;
}

// Most letters of most alphabets' punctuation, blanks and digits are below 256: in UTF-16 every other byte of
// a good part of the text is zero, and always the same one of two.
static const char *find_wide(const struct bytes *bytes) {
    size_t zeros[2] = {0, 0};
    if (bytes->size % 2) return NULL;
    for (size_t i = 0; i < bytes->size; i++)
        zeros[i % 2] += bytes->data[i] == 0;
    const size_t few = bytes->size / 16;
    if (zeros[1] > few && !zeros[0]) return "UTF-16LE";
    if (zeros[0] > few && !zeros[1]) return "UTF-16BE";
    return NULL;
}

// Zeros, or more than one in a hundred of the bytes that no text has.
static bool is_binary(const struct bytes *bytes) {
    size_t controls = 0;
    for (size_t i = 0; i < bytes->size; i++) {
        const uint8_t c = bytes->data[i];
        if (c == 0) return true;
        controls += c < ' ' && !memchr("\a\b\t\n\v\f\r\x1b", c, 8); // terminals' and printers' are fine
    }
    return controls > bytes->size / 100;
}

// True when there is far more UTF-8 beyond ASCII than bytes that are none.
static bool is_damaged_utf8(const struct bytes *bytes) {
    size_t good = 0, bad = 0;
    for (size_t at = 0; at < bytes->size;) {
        const size_t valid = el_utf8_valid(bytes->data + at, bytes->size - at);
        for (size_t i = at; i < at + valid; i++)
            good += bytes->data[i] >= 0xC0;
        at += valid + 1;
        bad += at <= bytes->size;
    }
    return good > 8 * bad;
}

// ---- conversion ----

static void close_converter(iconv_t *converter) {
    if (*converter != (iconv_t)-1) iconv_close(*converter);
}

// glibc's iconv lets codes beyond Unicode through, which are no UTF-8 to anybody else.
static int repair_from(size_t before, struct el_str *text) {
    struct el_str made el_auto(el_str_done) = {0};
    const size_t size = text->length - before;
    if (!size || el_utf8_valid(text->data + before, size) == size) return 0;
    EL_TRY(el_utf8_repair(text->data + before, size, &made));
    text->length = before;
    return el_str_append(text, made.data, made.length);
}

// EL_EINVAL: iconv does not know the encoding. What is no code of it becomes U+FFFD.
static int convert(const struct bytes *bytes, const char *encoding, struct el_str *text) {
    el_auto(close_converter) iconv_t converter = iconv_open("UTF-8", encoding);
    if (converter == (iconv_t)-1)
        return errno == EINVAL ? EL_EINVAL : el_fail(EL_ENOMEM, "no memory to convert from %s", encoding);
    char *in = (char *)(uintptr_t)bytes->data;
    const size_t before = text->length;
    EL_TRY(el_str_reserve(text, bytes->size));
    for (size_t left = bytes->size; left;) {
        EL_TRY(el_str_reserve(text, left + 16));
        char *out = text->data + text->length;
        size_t room = text->capacity - text->length - 1;
        const size_t done = iconv(converter, &in, &left, &out, &room);
        const int why = errno;
        text->length = (size_t)(out - text->data);
        if (done != (size_t)-1 || why == E2BIG) continue;
        EL_TRY(el_str_puts(text, "\xEF\xBF\xBD"));
        if (why == EINVAL) break; // cut within a code
        in++;
        left--;
    }
    // Vietnamese and Hebrew code pages hold a letter back until it is sure that no accent follows.
    EL_TRY(el_str_reserve(text, 16));
    char *out = text->data + text->length;
    size_t room = text->capacity - text->length - 1;
    iconv(converter, NULL, NULL, &out, &room);
    text->length = (size_t)(out - text->data);
    text->data[text->length] = '\0';
    return repair_from(before, text);
}

static void free_detector(uchardet_t *detector) {
    if (*detector) uchardet_delete(*detector);
}

// It is C++: its `new` ends the process when there is no memory, and it copies each piece that it is given.
static int convert_detected(const struct bytes *bytes, struct el_str *text) {
    enum {
        ENOUGH = 1 << 18,
        PIECE = 1 << 14,
        MEMORY = 1 << 16
    }; // bytes that it looks at; uses: 10 KB, a piece
    EL_TRY(el_mem_check(MEMORY));
    el_auto(free_detector) uchardet_t detector = uchardet_new();
    if (!detector) return el_fail(EL_ENOMEM, "no memory to guess an encoding");
    const size_t end = EL_MIN(bytes->size, (size_t)ENOUGH);
    for (size_t at = 0; at < end; at += PIECE)
        uchardet_handle_data(detector, (const char *)bytes->data + at, EL_MIN(end - at, (size_t)PIECE));
    uchardet_data_end(detector);
    const char *found = uchardet_get_charset(detector);
    int status = *found ? convert(bytes, found, text) : EL_EINVAL;
    return status == EL_EINVAL ? convert(bytes, "WINDOWS-1252", text) : status;
}

static int decode(const struct bytes *bytes, const char *named, struct el_str *text) {
    int status = named ? convert(bytes, named, text) : EL_EINVAL;
    if (status != EL_EINVAL) return status;
    if (is_damaged_utf8(bytes)) return el_utf8_repair(bytes->data, bytes->size, text);
    return convert_detected(bytes, text);
}

int el_text_decode(const void *data, size_t size, const char *named, struct el_str *text,
                   bool *ret_converted) {
    struct bytes bytes = {data, size};
    const size_t before = text->length;
    const char *mark = find_mark(&bytes);
    const char *encoding = mark ? mark : find_wide(&bytes);
    bool converted = true;
    int status;
    if (encoding && !el_streq(encoding, "UTF-8"))
        status = convert(&bytes, encoding, text);
    else if (is_binary(&bytes))
        status = el_fail(EL_EFORMAT, "binary");
    else if (el_utf8_valid(bytes.data, bytes.size) == bytes.size) {
        converted = mark != NULL;
        status = el_str_append(text, bytes.data, bytes.size);
    } else
        status = decode(&bytes, named, text);
    // Wide encodings may hide zeros; and iconv knows names that stand for no text at all.
    if (status == 0 && converted && text->length > before) {
        const struct bytes made = {(const uint8_t *)text->data + before, text->length - before};
        if (is_binary(&made)) status = el_fail(EL_EFORMAT, "binary");
    }
    if (status == 0)
        *ret_converted = converted;
    else
        text->length = before;
    return status;
}
