// SPDX-License-Identifier: Apache-2.0
// Floats to decimals, quickly. A float needs 6 to 9 significant digits (fewer show as trailing zeros). With
// D digits before the exponent it is an integer of D digits over a power of ten; both are exact doubles here,
// so one division tells what a reader will get, and the first D that reads back right is the shortest.
#include "serve/vector_text.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "base64 vectors are little-endian floats");

enum {
    LONGEST_FLOAT = 24, // bytes of "-1.23456789e-38" and of "-0.000000123456789," with room
    MIN_DIGITS = 6,
    MAX_DIGITS = 9,
};
// Plain decimals stand for SMALLEST <= |x| < LARGEST, which leaves a digit after the point; others are rare.
#define SMALLEST 1e-7
#define LARGEST 1e5

static const double powers_of_ten[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

// Digits of x before the point, for SMALLEST <= x < LARGEST; -2 for 0.00123.
static int integer_digits(double x) {
    int digits = 5;
    if (x < 1) {
        for (digits = 0; x * powers_of_ten[1 - digits] < 1;)
            digits--;
        return digits;
    }
    while (x < powers_of_ten[digits - 1])
        digits--;
    return digits;
}

// True when the decimal `scaled` / `scale` reads back as x: as a float, and as a double that is then rounded.
static bool reads_back(double scaled, double scale, float x) {
    double quotient = scaled / scale; // both exact: this is the double that a reader gets
    uint64_t bits;
    memcpy(&bits, &quotient, sizeof bits);
    // Just between two floats the double hides on which side the decimal lies.
    bool between = (bits & 0x1FFFFFFF) == 0x10000000;
    return (float)quotient == x && !between;
}

// Writes the `count` low digits of `value` that end before `end`.
static void put_digits(char *end, uint32_t value, int count) {
    for (; count >= 2; count -= 2, value /= 100)
        memcpy(end -= 2, digit_pairs + value % 100 * 2, 2);
    if (count) *--end = (char)('0' + value % 10);
}

// `value` has `digits` digits, `whole` of them before the point (negative: zeros after it).
static char *put_decimal(char *p, uint32_t value, int digits, int whole) {
    while (digits > 1 && digits > whole + 1 && value % 10 == 0) {
        value /= 10;
        digits--;
    }
    if (whole <= 0) {
        memcpy(p, "0.00000000", 10);
        p += 2 - whole + digits;
        put_digits(p, value, digits);
        return p;
    }
    put_digits(p + digits + 1, value, digits);
    memmove(p, p + 1, (size_t)whole);
    p[whole] = '.';
    return p + digits + 1;
}

// Writes x at `p`, for SMALLEST <= |x| < LARGEST.
static char *put_plain(char *p, float x) {
    double magnitude = fabs((double)x);
    if (x < 0) *p++ = '-';
    int whole = integer_digits(magnitude);
    for (int digits = MIN_DIGITS;; digits++) {
        double scale = powers_of_ten[digits - whole];
        double scaled = (double)(uint32_t)(magnitude * scale + 0.5);
        if (digits < MAX_DIGITS && !reads_back(scaled, scale, (float)magnitude)) continue;
        if (scaled == powers_of_ten[digits]) { // 0.00999999978, the float that 0.01 becomes
            scaled /= 10;
            whole++;
        }
        return put_decimal(p, (uint32_t)scaled, digits, whole);
    }
}

int el_vector_put_json(struct el_str *str, const float *vector, size_t dim) {
    EL_TRY(el_str_putc(str, '['));
    for (size_t i = 0; i < dim; i++) {
        float magnitude = fabsf(vector[i]);
        EL_TRY(el_str_reserve(str, LONGEST_FLOAT));
        if (magnitude >= (float)SMALLEST && magnitude < (float)LARGEST)
            str->length = (size_t)(put_plain(str->data + str->length, vector[i]) - str->data);
        else
            EL_TRY(magnitude == 0 ? el_str_puts(str, signbit(vector[i]) ? "-0.0" : "0.0")
                                  : el_str_put_float(str, vector[i]));
        EL_TRY(el_str_putc(str, ','));
    }
    if (dim) str->length--;
    return el_str_putc(str, ']');
}

size_t el_vector_base64_bound(size_t dim) {
    return (dim * sizeof(float) + 2) / 3 * 4 + 2;
}

int el_vector_put_base64(struct el_str *str, const float *vector, size_t dim) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)vector;
    size_t left = dim * sizeof(float);
    EL_TRY(el_str_reserve(str, el_vector_base64_bound(dim)));
    char *p = str->data + str->length;
    *p++ = '"';
    for (; left >= 3; left -= 3, bytes += 3) {
        uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        *p++ = alphabet[group >> 18];
        *p++ = alphabet[group >> 12 & 63];
        *p++ = alphabet[group >> 6 & 63];
        *p++ = alphabet[group & 63];
    }
    if (left) {
        uint32_t group = (uint32_t)bytes[0] << 16 | (left == 2 ? (uint32_t)bytes[1] << 8 : 0);
        *p++ = alphabet[group >> 18];
        *p++ = alphabet[group >> 12 & 63];
        *p++ = left == 2 ? alphabet[group >> 6 & 63] : '=';
        *p++ = '=';
    }
    *p++ = '"';
    *p = '\0';
    str->length = (size_t)(p - str->data);
    return 0;
}
