// SPDX-License-Identifier: Apache-2.0
// A growing byte string (NUL-terminated, may hold NULs) and the few string helpers that C lacks.
#ifndef EL_BASE_STR_H
#define EL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_str {
    char *data;    // NUL-terminated when not NULL
    size_t length; // bytes, without the NUL
    size_t capacity;
};

void el_str_done(struct el_str *str);
void el_str_clear(struct el_str *str); // keeps the memory
int el_str_reserve(struct el_str *str, size_t more);
int el_str_append(struct el_str *str, const void *bytes, size_t length);
int el_str_puts(struct el_str *str, const char *text);
int el_str_putc(struct el_str *str, char c);
int el_str_printf(struct el_str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
int el_str_vprintf(struct el_str *str, const char *format, __builtin_va_list args);
// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
int el_str_put_json(struct el_str *str, const char *text, size_t length);
// The shortest decimal that reads back as the same float; NaN and infinities become null.
int el_str_put_float(struct el_str *str, float value);

bool el_streq(const char *a, const char *b); // NULL equals only NULL
bool el_starts_with(const char *text, const char *prefix);
bool el_ends_with(const char *text, const char *suffix);

// Whole-string parses: EL_EINVAL (with what was read and the range) on anything else than a number.
int el_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret_value);
int el_parse_f64(const char *text, double min, double max, double *ret_value);
// "64", "64k", "10MB", "2GiB", "1.5GB" (k, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024; B optional).
int el_parse_bytes(const char *text, uint64_t *ret_bytes);
// "true|yes|on|1", "false|no|off|0".
int el_parse_bool(const char *text, bool *ret_value);

// The candidate that is nearest to `name` by edit distance, or NULL when none is near (for "did you mean").
const char *el_nearest(const char *name, const char *const *candidates, size_t count);

// Secrets: compares in a time that depends on the lengths only.
bool el_equal_constant_time(const void *a, size_t a_length, const void *b, size_t b_length);

#endif
