// SPDX-License-Identifier: Apache-2.0
// The operation table's own facts: which fillings there are, precisions, stored float formats, and the
// accuracy of the vectorised activations on a fine grid.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/encode.h"
#include "ops/ops.h"

static void reference_is_last(void **state) {
    (void)state;
    int count = el_ops_count();
    assert_true(count >= 1);
    assert_string_equal(el_ops_at(count - 1)->name, "ref");
    assert_null(el_ops_at(count));
}

static void the_environment_names_the_filling(void **state) {
    (void)state;
    const struct el_ops *ops;
    assert_int_equal(setenv("ELEANOR_SIMD", "ref", 1), 0);
    assert_int_equal(el_ops_find(NULL, &ops), 0);
    assert_string_equal(ops->name, "ref");
    assert_int_equal(unsetenv("ELEANOR_SIMD"), 0);
    assert_int_equal(el_ops_find(NULL, &ops), 0);
    assert_ptr_equal(ops, el_ops_at(0));
}

static void an_unknown_filling_is_answered_with_those_there_are(void **state) {
    (void)state;
    const struct el_ops *ops = NULL;
    assert_int_equal(el_ops_find("mmx", &ops), EL_ENOENT);
    assert_null(ops);
    assert_non_null(strstr(el_error_detail(), "\"mmx\""));
    assert_non_null(strstr(el_error_detail(), "ref"));
}

static void precisions_have_names(void **state) {
    (void)state;
    for (int p = EL_PRECISION_AUTO; p <= EL_PRECISION_INT8; p++) {
        enum el_precision parsed;
        assert_int_equal(el_precision_parse(el_precision_text((enum el_precision)p), &parsed), 0);
        assert_int_equal(parsed, p);
    }
    enum el_precision untouched = EL_PRECISION_INT8;
    assert_int_equal(el_precision_parse("fp64", &untouched), EL_EINVAL);
    assert_int_equal(untouched, EL_PRECISION_INT8);
    assert_non_null(strstr(el_error_detail(), "fp64"));
}

static void auto_is_a_precision_that_runs(void **state) {
    (void)state;
    for (int i = 0; i < el_ops_count(); i++) {
        enum el_precision resolved = EL_PRECISION_AUTO;
        assert_int_equal(el_ops_precision(el_ops_at(i), EL_PRECISION_AUTO, &resolved), 0);
        assert_int_not_equal(resolved, EL_PRECISION_AUTO);
        assert_int_equal(el_ops_precision(el_ops_at(i), EL_PRECISION_FP32, &resolved), 0);
        assert_int_equal(resolved, EL_PRECISION_FP32);
    }
}

// All 65,536 halves against the value that their fields say.
static void halves_widen_exactly(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        int exponent = half >> 10 & 31, mantissa = half & 1023;
        double want = exponent == 31 ? (mantissa ? NAN : INFINITY)
                      : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                     : ldexp(mantissa, -24);
        if (half & 0x8000) want = -want;
        float got;
        el_to_f32(EL_F16, &half, 1, &got);
        if (isnan(want))
            assert_true(isnan(got));
        else
            assert_true(got == (float)want && signbit(got) == signbit((float)want));
    }
}

static uint16_t bf16_of(uint32_t float_bits) {
    float value;
    uint16_t halves[2];
    memcpy(&value, &float_bits, sizeof value);
    el_encode_bf16(&value, 1, halves);
    assert_int_equal(halves[1], 0);
    return halves[0];
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    assert_int_equal(bf16_of(0x3f800000), 0x3f80); // 1
    assert_int_equal(bf16_of(0x3f808000), 0x3f80); // a tie goes to the even one below
    assert_int_equal(bf16_of(0x3f818000), 0x3f82); // and above
    assert_int_equal(bf16_of(0x3f808001), 0x3f81);
    assert_int_equal(bf16_of(0xbf808001), 0xbf81);
    assert_int_equal(bf16_of(0x7f7fffff), 0x7f80); // the largest float is nearest to infinity
    assert_int_equal(bf16_of(0x7f800000), 0x7f80);
    assert_int_equal(bf16_of(0x7f800001), 0x7fc0); // a NaN stays one
    assert_int_equal(bf16_of(0xffffffff), 0xffff);
}

static double dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

// Rows of 200 elements, one of them large: a dot product survives the rotation and the rounding, the better
// with a second term.
static void int8_rows_keep_their_products(void **state) {
    (void)state;
    enum { DEPTH = 200, SEEN = 256, UNITS = 2 * 2 * EL_INT8_BLOCK_UNITS };
    float x[DEPTH], w[DEPTH], seen_x[SEEN], seen_w[SEEN], units[UNITS];
    double size = 0, off[3] = {0};
    for (int i = 0; i < DEPTH; i++) {
        x[i] = (float)((i * 37 + 11) % 101 - 50) / 50;
        w[i] = (float)((i * 53 + 29) % 97 - 48) / 48;
        size += fabs((double)x[i] * w[i]);
    }
    x[17] = 40;
    assert_int_equal(el_seen_depth(EL_PRECISION_INT8, DEPTH), SEEN);
    el_encode_input(EL_PRECISION_INT8, x, DEPTH, units);
    el_decode_input(EL_PRECISION_INT8, units, DEPTH, seen_x);
    for (int terms = 1; terms <= 2; terms++) {
        assert_int_equal(el_weight_units(EL_PRECISION_INT8, DEPTH, terms), terms * 2 * EL_INT8_BLOCK_UNITS);
        el_encode_weights(EL_PRECISION_INT8, w, DEPTH, terms, units);
        el_decode_weights(EL_PRECISION_INT8, units, DEPTH, terms, seen_w);
        off[terms] = fabs(dot(seen_x, seen_w, SEEN) - dot(x, w, DEPTH));
    }
    assert_true(off[1] < 0.02 * size);
    assert_true(off[2] < 0.01 * size);
    el_encode_weights(EL_PRECISION_INT8, w, DEPTH, 2, units); // alone, two terms are 16 bits
    el_decode_weights(EL_PRECISION_INT8, units, DEPTH, 2, seen_w);
    assert_true(fabs(dot(seen_w, seen_w, SEEN) * EL_INT8_BLOCK - dot(w, w, DEPTH)) < 1e-4 * dot(w, w, DEPTH));
}

static void int8_spreads_what_is_not_finite(void **state) {
    (void)state;
    float x[EL_INT8_BLOCK] = {0}, units[EL_INT8_BLOCK_UNITS], seen[EL_INT8_BLOCK];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < EL_COUNT(bad); i++) {
        x[5] = bad[i];
        el_encode_input(EL_PRECISION_INT8, x, EL_INT8_BLOCK, units);
        el_decode_input(EL_PRECISION_INT8, units, EL_INT8_BLOCK, seen);
        for (int k = 0; k < EL_INT8_BLOCK; k++)
            assert_true(isnan(seen[k]));
    }
}

// Sums of products of bytes, exact on every filling, for as many columns as it takes. The largest weight is
// 127, so the scale is 1.
static void check_bytes(const struct el_ops *ops, int64_t rows, int64_t depth, int64_t columns) {
    enum { MOST_ROWS = 70, MOST_DEPTH = 400, MOST_COLUMNS = 70 };
    static uint8_t in[MOST_ROWS * MOST_DEPTH];
    static float weights[MOST_COLUMNS * MOST_DEPTH], out[MOST_ROWS * MOST_COLUMNS];
    const int64_t stride = el_input_units(EL_PRECISION_BYTES, depth) * 4;
    const struct el_target target = {.ops = ops, .precision = EL_PRECISION_BYTES};
    const struct el_tensor weight = el_tensor_2d(EL_F32, weights, columns, depth);
    const struct el_tensor input = el_tensor_2d(EL_U8, in, rows, depth);
    struct el_tensor output = el_tensor_2d(EL_F32, out, rows, columns);
    struct el_exec exec = {.ops = ops};
    struct el_linear *linear = NULL;
    for (int64_t i = 0; i < rows * stride; i++)
        in[i] = (uint8_t)(i * 7919 % 251 + i % 5); // 0 .. 254, the bytes behind a row's end too
    for (int64_t i = 0; i < columns * depth; i++)
        weights[i] = i % depth ? (float)(i * 104729 % 255 - 127) : -127;
    const int status = el_linear_open(&target, &weight, NULL, &linear);
    if (columns > 1 && status == EL_EUNSUPPORTED) return;
    assert_int_equal(status, 0);
    assert_int_equal(ops->linear(&exec, &input, linear, EL_ACT_NONE, NULL, &output), 0);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < columns; n++) {
            int64_t sum = 0;
            for (int64_t k = 0; k < depth; k++)
                sum += (in[r * stride + k] - EL_BYTES_ZERO) * (int64_t)weights[n * depth + k];
            if (out[r * columns + n] != (float)sum)
                fail_msg("%s, %d x %d, %d columns: row %d, column %d is %g, not %lld", ops->name, (int)rows,
                         (int)depth, (int)columns, (int)r, (int)n, out[r * columns + n], (long long)sum);
        }
    el_linear_close(linear);
    el_exec_close(&exec);
}

static void sums_of_bytes_are_exact(void **state) {
    (void)state;
    static const int64_t depths[] = {1, 4, 31, 64, 65, 384, 397}, rows[] = {1, 3, 4, 15, 66};
    static const int64_t columns[] = {1, 8, 9, 16, 17, 32, 70};
    for (int i = 0; i < el_ops_count(); i++)
        for (size_t d = 0; d < EL_COUNT(depths); d++)
            for (size_t r = 0; r < EL_COUNT(rows); r++)
                for (size_t c = 0; c < EL_COUNT(columns); c++)
                    check_bytes(el_ops_at(i), rows[r], depths[d], columns[c]);
}

static void rows_that_can_be_no_bytes_are_told(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, 0x1p41f, 0x1p-41f};
    int8_t bytes[2];
    for (size_t i = 0; i < EL_COUNT(bad); i++)
        assert_true(isnan(el_encode_bytes((float[]){0, bad[i]}, 2, bytes)));
    assert_true(el_encode_bytes((float[]){0, 0}, 2, bytes) == 0);
    assert_int_equal(bytes[0] | bytes[1], 0);
    assert_true(el_encode_bytes((float[]){-254, 1}, 2, bytes) == 2);
    assert_int_equal(bytes[0], -127);
}

static void a_precision_without_instructions_is_refused(void **state) {
    (void)state;
    for (int i = 0; i < el_ops_count(); i++) {
        const struct el_ops *ops = el_ops_at(i);
        enum el_precision resolved = EL_PRECISION_AUTO;
        if (strcmp(ops->name, "avx512") == 0 || strcmp(ops->name, "ref") == 0) continue;
        assert_int_equal(el_ops_precision(ops, EL_PRECISION_BF16, &resolved), EL_EUNSUPPORTED);
        assert_int_equal(resolved, EL_PRECISION_AUTO);
        assert_non_null(strstr(el_error_detail(), "bf16"));
        assert_non_null(strstr(el_error_detail(), ops->name));
    }
}

// y = act(x) through a product with a 1 x 1 matrix.
static void activate(const struct el_ops *ops, enum el_act act, float *x, int64_t count, float *y) {
    float one = 1;
    struct el_exec exec = {.ops = ops};
    const struct el_target target = {.ops = ops, .precision = EL_PRECISION_FP32};
    struct el_tensor weight = el_tensor_2d(EL_F32, &one, 1, 1);
    struct el_tensor in = el_tensor_2d(EL_F32, x, count, 1), out = el_tensor_2d(EL_F32, y, count, 1);
    struct el_linear *linear;
    el_arena_init(&exec.scratch);
    assert_int_equal(el_linear_open(&target, &weight, NULL, &linear), 0);
    assert_int_equal(ops->linear(&exec, &in, linear, act, NULL, &out), 0);
    el_linear_close(linear);
    el_arena_done(&exec.scratch);
}

static double exact(enum el_act act, double x) {
    switch (act) {
    case EL_ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case EL_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case EL_ACT_RELU:
        return x > 0 ? x : 0;
    case EL_ACT_SILU:
        return x / (1 + exp(-x));
    case EL_ACT_NONE:
        break;
    }
    return x;
}

static void activations_are_accurate(void **state) {
    (void)state;
    enum { POINTS = 200001 }; // -10 .. 10
    float *x el_auto_free = NULL, *y el_auto_free = NULL;
    assert_int_equal(el_alloc(POINTS, sizeof *x, &x), 0);
    assert_int_equal(el_alloc(POINTS, sizeof *y, &y), 0);
    for (int i = 0; i < POINTS; i++)
        x[i] = (float)(i - POINTS / 2) * 1e-4f;
    for (int i = 0; i < el_ops_count(); i++)
        for (int act = EL_ACT_NONE; act <= EL_ACT_SILU; act++) {
            activate(el_ops_at(i), (enum el_act)act, x, POINTS, y);
            for (int n = 0; n < POINTS; n++) {
                double want = exact((enum el_act)act, x[n]), off = fabs(y[n] - want);
                if (off > 5e-7 * fmax(1, fabs((double)x[n])))
                    fail_msg("%s, activation %d of %.9g: %.9g, not %.9g", el_ops_at(i)->name, act, x[n], y[n],
                             want);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_is_last),
        cmocka_unit_test(the_environment_names_the_filling),
        cmocka_unit_test(an_unknown_filling_is_answered_with_those_there_are),
        cmocka_unit_test(precisions_have_names),
        cmocka_unit_test(auto_is_a_precision_that_runs),
        cmocka_unit_test(halves_widen_exactly),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(int8_rows_keep_their_products),
        cmocka_unit_test(int8_spreads_what_is_not_finite),
        cmocka_unit_test(sums_of_bytes_are_exact),
        cmocka_unit_test(rows_that_can_be_no_bytes_are_told),
        cmocka_unit_test(a_precision_without_instructions_is_refused),
        cmocka_unit_test(activations_are_accurate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
