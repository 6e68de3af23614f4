// SPDX-License-Identifier: Apache-2.0
// The "vocab" object of tokenizer.json as a stream: straight from the text into the trie. For the 30,522 rows
// of BERT's, jansson takes 11 ms to read and free them, a good part of the 150 ms that a program has from
// exec to its first vector; this way the whole tokenizer opens in 5 ms. All the rest of the file is
// jansson's.
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "format/tokenizer_parts.h"
#include "format/utf8.h"

struct reader {
    const char *what; // names the file in errors
    const char *text;
    size_t length, at;
    struct el_str token; // the last string, unescaped
};

static int broken(const struct reader *r, const char *wanted) {
    return el_fail(EL_EFORMAT, "%s: byte %zu: invalid JSON: %s expected", r->what, r->at, wanted);
}

// The next character that is no space, or 0 at the end; stays before it.
static char peek(struct reader *r) {
    while (r->at < r->length && (r->text[r->at] == ' ' || r->text[r->at] == '\t' || r->text[r->at] == '\n' ||
                                 r->text[r->at] == '\r'))
        r->at++;
    return r->at < r->length ? r->text[r->at] : '\0';
}

static int expect(struct reader *r, char c, const char *name) {
    if (peek(r) != c) return broken(r, name);
    r->at++;
    return 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Four hex digits.
static int read_unit(struct reader *r, uint32_t *ret_unit) {
    uint32_t unit = 0;
    if (r->length - r->at < 4) return broken(r, "four hex digits");
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(r->text[r->at + (size_t)i]);
        if (digit < 0) return broken(r, "four hex digits");
        unit = unit << 4 | (uint32_t)digit;
    }
    r->at += 4;
    *ret_unit = unit;
    return 0;
}

// What follows "\u": one unit, or a pair of surrogates.
static int read_code_point(struct reader *r) {
    uint32_t c = 0, low = 0;
    uint8_t utf8[4];
    EL_TRY(read_unit(r, &c));
    if (c >= 0xD800 && c <= 0xDFFF) {
        bool pair = c <= 0xDBFF && r->length - r->at >= 6 && memcmp(r->text + r->at, "\\u", 2) == 0;
        if (!pair) return broken(r, "a pair of surrogates");
        r->at += 2;
        EL_TRY(read_unit(r, &low));
        if (low < 0xDC00 || low > 0xDFFF) return broken(r, "a pair of surrogates");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return el_str_append(&r->token, utf8, el_utf8_encode(c, utf8));
}

// What follows a backslash.
static int read_escape(struct reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->length ? r->text[r->at] : '\0';
    const char *found = c ? strchr(from, c) : NULL;
    if (!found && c != 'u') return broken(r, "an escape");
    r->at++;
    return found ? el_str_putc(&r->token, to[found - from]) : read_code_point(r);
}

// A string, into r->token.
static int read_string(struct reader *r) {
    el_str_clear(&r->token);
    EL_TRY(expect(r, '"', "a string"));
    for (;;) {
        size_t plain = r->at;
        while (plain < r->length && r->text[plain] != '"' && r->text[plain] != '\\' &&
               (unsigned char)r->text[plain] >= 0x20)
            plain++;
        if (plain == r->length || (unsigned char)r->text[plain] < 0x20)
            return broken(r, "the end of the string");
        EL_TRY(el_str_append(&r->token, r->text + r->at, plain - r->at));
        r->at = plain + 1;
        if (r->text[plain] == '"') break;
        EL_TRY(read_escape(r));
    }
    if (el_utf8_valid(r->token.data, r->token.length) != r->token.length) return broken(r, "UTF-8");
    return 0;
}

static int read_id(struct reader *r, int32_t *ret_id) {
    int64_t id = 0;
    char c = peek(r);
    if (c < '0' || c > '9') return broken(r, "a token id");
    for (; r->at < r->length && r->text[r->at] >= '0' && r->text[r->at] <= '9'; r->at++) {
        id = id * 10 + (r->text[r->at] - '0');
        if (id > EL_TOKENIZER_MAX_ID)
            return el_fail(EL_EFORMAT, "%s: byte %zu: a token id is over %d", r->what, r->at,
                           EL_TOKENIZER_MAX_ID);
    }
    *ret_id = (int32_t)id;
    return 0;
}

static int read_row(struct reader *r, struct el_wordpiece *words) {
    int32_t id = 0;
    EL_TRY(read_string(r));
    EL_TRY(expect(r, ':', "a colon"));
    EL_TRY(read_id(r, &id));
    return el_wordpiece_add(words, r->token.data, r->token.length, id);
}

static int read_rows(struct reader *r, struct el_wordpiece *words) {
    EL_TRY(expect(r, '{', "an object"));
    if (peek(r) == '}') {
        r->at++;
        return 0;
    }
    for (;;) {
        EL_TRY(read_row(r, words));
        if (peek(r) != ',') return expect(r, '}', "a comma or a brace");
        r->at++;
    }
}

int el_vocab_read(struct el_wordpiece *words, const char *what, const char *text, size_t length,
                  size_t *ret_length) {
    struct reader r = {.what = what, .text = text, .length = length};
    int status = read_rows(&r, words);
    if (status == 0) *ret_length = r.at;
    el_str_done(&r.token);
    return status;
}

// Passes over one value of any kind without checking more than its extent: jansson sees all that is skipped.
static int skip_value(struct reader *r) {
    size_t depth = 0;
    do {
        char c = peek(r);
        if (c == '"') {
            EL_TRY(read_string(r));
        } else if (c == '{' || c == '[') {
            depth++;
            r->at++;
        } else if (c == '}' || c == ']') {
            if (!depth) return broken(r, "a value");
            depth--;
            r->at++;
        } else if (c == '\0') {
            return broken(r, "a value");
        } else {
            size_t start = r->at;
            while (r->at < r->length && !strchr("{}[]\" \t\n\r", r->text[r->at]) &&
                   (depth || r->text[r->at] != ','))
                r->at++;
            if (r->at == start) return broken(r, "a value");
        }
    } while (depth);
    return 0;
}

// Enters the object that comes next, and stops before the value of `key`.
static int enter(struct reader *r, const char *key) {
    EL_TRY(expect(r, '{', "an object"));
    for (;;) {
        EL_TRY(read_string(r));
        EL_TRY(expect(r, ':', "a colon"));
        if (r->token.length == strlen(key) && memcmp(r->token.data, key, r->token.length) == 0) return 0;
        EL_TRY(skip_value(r));
        if (peek(r) == ',') r->at++;
    }
}

int el_vocab_seek(const char *text, size_t length, size_t *ret_begin) {
    struct reader r = {.what = "", .text = text, .length = length};
    int status = enter(&r, "model");
    if (status == 0) status = enter(&r, "vocab");
    bool found = status == 0 && peek(&r) == '{';
    el_str_done(&r.token);
    if (status == EL_ENOMEM) return status;
    *ret_begin = found ? r.at : length;
    return 0;
}
