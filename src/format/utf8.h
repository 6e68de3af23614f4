// SPDX-License-Identifier: Apache-2.0
// UTF-8: reading and writing code points of text that is known to be valid, and making any bytes so.
#ifndef EL_FORMAT_UTF8_H
#define EL_FORMAT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// The code point at `text`, which must begin one in valid UTF-8; *ret_length is its bytes, 1 to 4.
static inline uint32_t el_utf8_decode(const uint8_t *text, size_t *ret_length) {
    uint32_t a = text[0];
    if (a < 0x80) {
        *ret_length = 1;
        return a;
    }
    if (a < 0xE0) {
        *ret_length = 2;
        return (a & 0x1F) << 6 | (text[1] & 0x3Fu);
    }
    if (a < 0xF0) {
        *ret_length = 3;
        return (a & 0x0F) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
    }
    *ret_length = 4;
    return (a & 0x07) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
}

// The start of the code point that ends before text[end], end > 0.
static inline size_t el_utf8_before(const uint8_t *text, size_t end) {
    do
        end--;
    while ((text[end] & 0xC0) == 0x80);
    return end;
}

// Writes a code point (no surrogate, at most 0x10FFFF) to `to`, which has room for 4 bytes; its length.
static inline size_t el_utf8_encode(uint32_t c, uint8_t *to) {
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xC0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xE0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

// The length of the valid UTF-8 that `bytes` begin with; `size` when all is valid.
size_t el_utf8_valid(const void *bytes, size_t size);

// Appends `bytes`, each maximal part that is not UTF-8 as one U+FFFD (as Python's errors="replace", and the
// Unicode standard, chapter 3.9). EL_ENOMEM.
int el_utf8_repair(const void *bytes, size_t size, struct el_str *str);

#endif
