// SPDX-License-Identifier: Apache-2.0
// UTF-8 validation by the table of well-formed byte sequences (Unicode standard, table 3-7), and repair.
#include "format/utf8.h"

#include <string.h>

#include "base/error.h"

// What follows a first byte: how many bytes, and the range of the first of them.
struct lead {
    uint8_t following, low, high;
};

static struct lead lead_of(uint8_t a) {
    if (a >= 0xC2 && a <= 0xDF) return (struct lead){1, 0x80, 0xBF};
    if (a == 0xE0) return (struct lead){2, 0xA0, 0xBF}; // no overlong forms
    if (a == 0xED) return (struct lead){2, 0x80, 0x9F}; // no surrogates
    if (a >= 0xE1 && a <= 0xEF) return (struct lead){2, 0x80, 0xBF};
    if (a == 0xF0) return (struct lead){3, 0x90, 0xBF};
    if (a >= 0xF1 && a <= 0xF3) return (struct lead){3, 0x80, 0xBF};
    if (a == 0xF4) return (struct lead){3, 0x80, 0x8F}; // up to U+10FFFF
    return (struct lead){0, 1, 0};
}

// The bytes of the code point that `bytes` begin with, or of the maximal part that is none.
static size_t part_length(const uint8_t *bytes, size_t size, bool *ret_valid) {
    struct lead lead = lead_of(bytes[0]);
    size_t length = 1;
    for (; length <= lead.following && length < size; length++) {
        if (bytes[length] < lead.low || bytes[length] > lead.high) break;
        lead.low = 0x80;
        lead.high = 0xBF;
    }
    *ret_valid = bytes[0] < 0x80 || (lead.following && length > lead.following);
    return length;
}

size_t el_utf8_valid(const void *bytes, size_t size) {
    const uint8_t *text = bytes;
    size_t at = 0;
    while (at < size) {
        uint64_t eight;
        bool valid;
        while (size - at >= sizeof eight) { // plain ASCII, eight bytes a step
            memcpy(&eight, text + at, sizeof eight);
            if (eight & 0x8080808080808080u) break;
            at += sizeof eight;
        }
        if (at == size) break;
        size_t length = part_length(text + at, size - at, &valid);
        if (!valid) return at;
        at += length;
    }
    return size;
}

int el_utf8_repair(const void *bytes, size_t size, struct el_str *str) {
    const uint8_t *text = bytes;
    while (size) {
        bool valid;
        size_t good = el_utf8_valid(text, size);
        EL_TRY(el_str_append(str, text, good));
        text += good;
        size -= good;
        if (!size) break;
        size_t bad = part_length(text, size, &valid);
        EL_TRY(el_str_append(str, "\xEF\xBF\xBD", 3));
        text += bad;
        size -= bad;
    }
    return 0;
}
