// SPDX-License-Identifier: Apache-2.0
// Rows as bytes: every instruction set makes the same bytes and scales, and says of each row's distance from
// them no less than it is, and little more.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops/encode.h"

enum { ROWS = 9, MOST_DEPTH = 400 };

static float rows[ROWS * MOST_DEPTH];
static uint8_t bytes[ROWS * MOST_DEPTH + 1];
static float scales[ROWS], squares[ROWS], errors[ROWS];
static const struct el_byte_rows got = {bytes, scales, squares, errors};

// The first two are ordinary, each of the others is at an edge of what can be bytes.
static void draw(int64_t depth) {
    static const float factors[ROWS] = {1, 300, 0, 0x1p39f, 0x1p-39f, 0x1p50f, 0x1p-50f, 1, 1};
    for (int r = 0; r < ROWS; r++)
        for (int64_t i = 0; i < depth; i++)
            rows[r * depth + i] = factors[r] * (float)(rand() % 20001 - 10000) / 10000;
    for (int r = 3; r < 7; r++)
        rows[r * depth] = factors[r];
    rows[7 * depth + depth - 1] = NAN;
    rows[8 * depth + depth / 2] = -INFINITY;
}

static bool can_be_bytes(int r) {
    return r < 5;
}

static void check_row(int r, int64_t depth) {
    const float *row = rows + r * depth;
    const int64_t size = el_input_units(EL_PRECISION_BYTES, depth) * 4;
    int8_t want[MOST_DEPTH];
    double square = 0, rest = 0, largest = 0;
    assert_true(el_encode_bytes(row, depth, want) == scales[r]);
    for (int64_t i = 0; i < depth; i++) {
        const double left = row[i] - (double)scales[r] * want[i];
        assert_int_equal(bytes[r * size + i], want[i] + EL_BYTES_ZERO);
        square += (double)row[i] * row[i];
        rest += left * left;
        largest = fmax(largest, fabs(row[i]));
    }
    for (int64_t i = depth; i < size; i++)
        assert_int_equal(bytes[r * size + i], EL_BYTES_ZERO);
    assert_true(fabs(squares[r] - square) <= 1e-5 * square);
    assert_true(errors[r] >= sqrt(rest));
    assert_true(errors[r] <= sqrt(rest) * 1.001 + largest * 1e-5);
}

static void check_no_bytes(int r, int64_t depth) {
    const int64_t size = el_input_units(EL_PRECISION_BYTES, depth) * 4;
    assert_true(isnan(scales[r]) && squares[r] == 0 && errors[r] == 0);
    for (int64_t i = 0; i < size; i++)
        assert_int_equal(bytes[r * size + i], EL_BYTES_ZERO);
}

static void every_instruction_set_makes_the_same(void **state) {
    (void)state;
    static const int64_t depths[] = {1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 33, 100, 384, MOST_DEPTH - 1};
    for (int ops = 0; ops < el_ops_count(); ops++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            const int64_t size = el_input_units(EL_PRECISION_BYTES, depths[d]) * 4;
            draw(depths[d]);
            memset(bytes, 1, sizeof bytes);
            el_encode_byte_rows(el_ops_at(ops), rows, ROWS, depths[d], &got);
            for (int r = 0; r < ROWS; r++)
                if (can_be_bytes(r))
                    check_row(r, depths[d]);
                else
                    check_no_bytes(r, depths[d]);
            assert_int_equal(bytes[ROWS * size], 1);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_instruction_set_makes_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
