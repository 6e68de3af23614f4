// SPDX-License-Identifier: Apache-2.0
// Byte strings, whole-string number parsing, edit distance and constant-time comparison.
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"

void el_str_done(struct el_str *str) {
    el_free(str->data);
    memset(str, 0, sizeof *str);
}

void el_str_clear(struct el_str *str) {
    str->length = 0;
    if (str->data) str->data[0] = '\0';
}

int el_str_reserve(struct el_str *str, size_t more) {
    size_t needed;
    if (!el_add_size(str->length, more, &needed) || !el_add_size(needed, 1, &needed))
        return el_fail(EL_ENOMEM, "a string of %zu more bytes does not fit", more);
    if (needed <= str->capacity) return 0;
    size_t capacity = str->capacity ? str->capacity : 64;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    int status = el_realloc(&str->data, capacity, 1);
    if (status < 0) return status;
    str->capacity = capacity;
    str->data[str->length] = '\0';
    return 0;
}

int el_str_append(struct el_str *str, const void *bytes, size_t length) {
    int status = el_str_reserve(str, length);
    if (status < 0) return status;
    if (length) memcpy(str->data + str->length, bytes, length);
    str->length += length;
    str->data[str->length] = '\0';
    return 0;
}

int el_str_puts(struct el_str *str, const char *text) {
    return el_str_append(str, text, strlen(text));
}

int el_str_putc(struct el_str *str, char c) {
    return el_str_append(str, &c, 1);
}

int el_str_vprintf(struct el_str *str, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    int status =
        length < 0 ? el_fail(EL_EINVAL, "bad format \"%s\"", format) : el_str_reserve(str, (size_t)length);
    if (status == 0) {
        vsnprintf(str->data + str->length, (size_t)length + 1, format, again);
        str->length += (size_t)length;
    }
    va_end(again);
    return status;
}

int el_str_printf(struct el_str *str, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = el_str_vprintf(str, format, args);
    va_end(args);
    return status;
}

// Length of the well-formed UTF-8 sequence at `s` (1 to 4 bytes), or 0 (Unicode 15, table 3-7).
static size_t utf8_sequence(const uint8_t *s, size_t left) {
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xC2 && s[0] <= 0xDF   ? 2
                    : (s[0] & 0xF0) == 0xE0        ? 3
                    : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4
                                                   : 0;
    if (length == 0 || length > left) return 0;
    uint8_t low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return length;
}

// The two-character escape of a byte, or 0 when it has none.
static char json_short_escape(uint8_t c) {
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

int el_str_put_json(struct el_str *str, const char *text, size_t length) {
    const uint8_t *s = (const uint8_t *)text;
    int status = el_str_putc(str, '"');
    for (size_t i = 0; i < length && status == 0;) {
        size_t n = utf8_sequence(s + i, length - i);
        char escape = json_short_escape(s[i]);
        if (n == 0)
            status = el_str_puts(str, "\\ufffd"), n = 1;
        else if (escape)
            status = el_str_append(str, (char[]){'\\', escape}, 2);
        else if (s[i] < 0x20)
            status = el_str_printf(str, "\\u%04x", s[i]);
        else
            status = el_str_append(str, s + i, n);
        i += n;
    }
    return status < 0 ? status : el_str_putc(str, '"');
}

int el_str_put_float(struct el_str *str, float value) {
    if (!isfinite(value)) return el_str_puts(str, "null");
    char text[32];
    for (int digits = 6; digits <= 9; digits++) { // 9 significant digits always read back the same
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return el_str_puts(str, text);
}

bool el_streq(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool el_starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool el_ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

int el_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max)
        return el_fail(EL_EINVAL, "\"%s\" is not a whole number from %" PRId64 " to %" PRId64, text, min,
                       max);
    *ret_value = value;
    return 0;
}

int el_parse_f64(const char *text, double min, double max, double *ret_value) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= min && value <= max))
        return el_fail(EL_EINVAL, "\"%s\" is not a number from %g to %g", text, min, max);
    *ret_value = value;
    return 0;
}

int el_parse_bytes(const char *text, uint64_t *ret_bytes) {
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1},           {"k", 1e3},           {"m", 1e6},
                 {"g", 1e9},        {"t", 1e12},          {"ki", 1024.0},
                 {"mi", 1048576.0}, {"gi", 1073741824.0}, {"ti", 1099511627776.0}};
    char *end;
    double value = strtod(text, &end);
    size_t tail = strlen(end);
    if (tail && (end[tail - 1] == 'B' || end[tail - 1] == 'b')) tail--;
    for (size_t i = 0; i < EL_COUNT(units) && end != text; i++) {
        double bytes = value * units[i].factor;
        if (tail == strlen(units[i].suffix) && strncasecmp(end, units[i].suffix, tail) == 0 && bytes >= 0 &&
            bytes <= 0x1p62) {
            *ret_bytes = (uint64_t)bytes;
            return 0;
        }
    }
    return el_fail(EL_EINVAL, "\"%s\" is not a size like 64, 64kB, 10MB or 2GiB", text);
}

int el_parse_bool(const char *text, bool *ret_value) {
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < EL_COUNT(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret_value = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return el_fail(EL_EINVAL, "\"%s\" is neither true nor false", text);
}

// Levenshtein distance, over strings of at most 63 bytes; longer ones are far from everything.
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 63 };
    size_t row[LONGEST + 1], length = strlen(b);
    if (strlen(a) > LONGEST || length > LONGEST) return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = EL_MIN(replaced, EL_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[length];
}

const char *el_nearest(const char *name, const char *const *candidates, size_t count) {
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2; // farther than this is no likely slip
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, candidates[i]);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

bool el_equal_constant_time(const void *a, size_t a_length, const void *b, size_t b_length) {
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = a_length != b_length;
    for (size_t i = 0; i < EL_MIN(a_length, b_length); i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}
