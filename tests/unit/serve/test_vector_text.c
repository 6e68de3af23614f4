// SPDX-License-Identifier: Apache-2.0
// Floats as JSON and base64: what is written reads back as the same bits, and is as short as can be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/vector_text.h"

static void expect_json(const float *vector, size_t dim, const char *text) {
    struct el_str str el_auto(el_str_done) = {0};
    assert_int_equal(el_vector_put_json(&str, vector, dim), 0);
    assert_string_equal(str.data, text);
}

static void known_floats(void **state) {
    (void)state;
    expect_json(NULL, 0, "[]");
    expect_json((float[]){0.0f, -0.0f, 1.0f, -1.0f, 0.5f}, 5, "[0.0,-0.0,1.0,-1.0,0.5]");
    expect_json((float[]){0.1f, 0.01f, 0.00001f, 100.0f, 99999.99f, 123456.0f}, 6,
                "[0.1,0.01,0.00001,100.0,99999.99,123456]");
    expect_json((float[]){0.03125f, 123.456f, -0.33333334f}, 3, "[0.03125,123.456,-0.33333334]");
    expect_json((float[]){NAN, INFINITY, -INFINITY}, 3, "[null,null,null]");
    expect_json((float[]){16777216.0f, 1e-6f, 1e-8f}, 3, "[16777216,0.000001,1e-08]");
}

// Digits of the shortest decimal, by trying.
static int fewest_digits(float value) {
    char text[32];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtof(text, NULL) == value) return digits;
    }
    return 9;
}

static int significant_digits(const char *text) {
    int digits = 0, zeros = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') continue;
        if (*text == '0') {
            zeros += digits > 0;
            continue;
        }
        digits += zeros + 1;
        zeros = 0;
    }
    return digits;
}

static void every_float_reads_back(void **state) {
    (void)state;
    struct el_str str el_auto(el_str_done) = {0};
    for (uint64_t i = 0; i < 2000000; i++) {
        uint32_t bits = (uint32_t)(i * 2654435761u); // spread over all of them
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value) || fabsf(value) < 1e-37f) continue;
        el_str_clear(&str);
        assert_int_equal(el_vector_put_json(&str, &value, 1), 0);
        str.data[str.length - 1] = '\0'; // the bracket
        const char *text = str.data + 1;
        if (strtof(text, NULL) != value || (float)strtod(text, NULL) != value)
            fail_msg("%.9g became %s", (double)value, text);
        if (i % 64 == 0 && fabsf(value) >= 1e-7f && fabsf(value) < 1e5f &&
            significant_digits(text) > fewest_digits(value))
            fail_msg("%.9g became %s, which could be shorter", (double)value, text);
    }
}

static void base64(void **state) {
    (void)state;
    static const struct {
        float vector[3];
        size_t dim;
        const char *text;
    } rows[] = {
        {{0}, 0, "\"\""},
        {{1.0f}, 1, "\"AACAPw==\""},
        {{1.0f, -2.5f}, 2, "\"AACAPwAAIMA=\""},
        {{1.0f, -2.5f, 0.1f}, 3, "\"AACAPwAAIMDNzMw9\""},
    };
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        struct el_str str el_auto(el_str_done) = {0};
        assert_int_equal(el_vector_put_base64(&str, rows[i].vector, rows[i].dim), 0);
        assert_string_equal(str.data, rows[i].text);
        assert_true(str.length <= el_vector_base64_bound(rows[i].dim));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_floats),
                                       cmocka_unit_test(every_float_reads_back), cmocka_unit_test(base64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
