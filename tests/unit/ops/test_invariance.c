// SPDX-License-Identifier: Apache-2.0
// A row of a result has the same bits alone and in any batch, at any place, by any number of threads: for
// every filling and precision that this processor can run.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/ops.h"

enum { ROWS = 40, DEPTH = 261, COLUMNS = 83, HEADS = 3, HEAD = 32, HIDDEN = HEADS * HEAD, THREADS = 4 };

static struct el_team *teams[THREADS + 1]; // by size; 1 stays NULL

static int open_teams(void **state) {
    (void)state;
    for (int threads = 2; threads <= THREADS; threads++)
        if (el_team_open(threads, false, &teams[threads]) < 0) return -1;
    return 0;
}

static int close_teams(void **state) {
    (void)state;
    for (int threads = 2; threads <= THREADS; threads++)
        el_team_close(teams[threads]);
    return 0;
}

// Values of some spread, the same in every run.
static void fill(float *values, int64_t count, uint32_t seed) {
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ((float)(seed >> 8) * 0x1p-23f - 1) * (seed & 0x80 ? 3 : 0.1f);
    }
}

static void assert_same_bits(const float *got, const float *want, int64_t count, const char *ops, int first,
                             int rows) {
    if (memcmp(got, want, (size_t)count * sizeof *got) == 0) return;
    fail_msg("%s: rows %d .. %d differ in bits when computed apart", ops, first, first + rows - 1);
}

// Runs `body` for every filling with every team.
typedef void body_fn(struct el_exec *exec);
static void for_each_filling(body_fn *body) {
    for (int i = 0; i < el_ops_count(); i++) {
        struct el_exec exec = {.ops = el_ops_at(i)};
        el_arena_init(&exec.scratch);
        body(&exec);
        el_arena_done(&exec.scratch);
    }
}

struct linear_case {
    float in[ROWS * DEPTH], weight[COLUMNS * DEPTH], bias[COLUMNS], residual[ROWS * COLUMNS];
    float whole[ROWS * COLUMNS], part[ROWS * COLUMNS];
    struct el_linear *linear;
};

static void run_rows(struct el_exec *exec, struct linear_case *c, int first, int rows, float *out) {
    struct el_tensor in = el_tensor_2d(EL_F32, c->in + first * DEPTH, rows, DEPTH);
    struct el_tensor residual = el_tensor_2d(EL_F32, c->residual + first * COLUMNS, rows, COLUMNS);
    struct el_tensor result = el_tensor_2d(EL_F32, out, rows, COLUMNS);
    assert_int_equal(exec->ops->linear(exec, &in, c->linear, EL_ACT_GELU, &residual, &result), 0);
}

static void check_linear_rows(struct el_exec *exec, struct linear_case *c) {
    run_rows(exec, c, 0, ROWS, c->whole);
    for (int threads = 1; threads <= THREADS; threads++)
        for (int rows = 1; rows <= ROWS; rows++)
            for (int first = 0; first + rows <= ROWS; first += threads == 1 ? 1 : 7) {
                exec->team = teams[threads];
                run_rows(exec, c, first, rows, c->part);
                assert_same_bits(c->part, c->whole + first * COLUMNS, rows * COLUMNS, exec->ops->name, first,
                                 rows);
            }
    exec->team = NULL;
}

static void check_linear(struct el_exec *exec) {
    struct linear_case *c;
    if (strcmp(exec->ops->name, "ref") == 0) return; // one row at a time anyway, and slow
    assert_int_equal(el_alloc(1, sizeof *c, &c), 0);
    fill(c->in, ROWS * DEPTH, 1);
    fill(c->weight, COLUMNS * DEPTH, 2);
    fill(c->bias, COLUMNS, 3);
    fill(c->residual, ROWS * COLUMNS, 4);
    struct el_tensor weight = el_tensor_2d(EL_F32, c->weight, COLUMNS, DEPTH);
    struct el_tensor bias = el_tensor_1d(EL_F32, c->bias, COLUMNS);
    for (int p = EL_PRECISION_FP32; p <= EL_PRECISION_INT8; p++) {
        struct el_target target = {.ops = exec->ops};
        if (el_ops_precision(exec->ops, (enum el_precision)p, &target.precision) < 0) continue;
        assert_int_equal(el_linear_open(&target, &weight, &bias, &c->linear), 0);
        check_linear_rows(exec, c);
        el_linear_close(c->linear);
    }
    el_free(c);
}

static void linear_rows_are_independent(void **state) {
    (void)state;
    for_each_filling(check_linear);
}

static void check_norms(struct el_exec *exec) {
    static float in[ROWS * HIDDEN], gamma[HIDDEN], beta[HIDDEN], whole[ROWS * HIDDEN], part[ROWS * HIDDEN];
    fill(in, ROWS * HIDDEN, 5);
    fill(gamma, HIDDEN, 6);
    fill(beta, HIDDEN, 7);
    struct el_tensor g = el_tensor_1d(EL_F32, gamma, HIDDEN), b = el_tensor_1d(EL_F32, beta, HIDDEN);
    struct el_tensor rows = el_tensor_2d(EL_F32, in, ROWS, HIDDEN);
    struct el_tensor out = el_tensor_2d(EL_F32, whole, ROWS, HIDDEN);
    exec->team = teams[THREADS];
    assert_int_equal(exec->ops->layer_norm(exec, &rows, &g, &b, 1e-12f, &out), 0);
    exec->team = NULL;
    for (int first = 0; first < ROWS; first++) {
        rows = el_tensor_2d(EL_F32, in + first * HIDDEN, 1, HIDDEN);
        out = el_tensor_2d(EL_F32, part, 1, HIDDEN);
        assert_int_equal(exec->ops->layer_norm(exec, &rows, &g, &b, 1e-12f, &out), 0);
        assert_same_bits(part, whole + first * HIDDEN, HIDDEN, exec->ops->name, first, 1);
    }
}

static void norm_rows_are_independent(void **state) {
    (void)state;
    for_each_filling(check_norms);
}

// Products of rows with others, each pair alone and in any company.
static void check_inner_products(struct el_exec *exec) {
    enum { OTHERS = 5 };
    static float in[ROWS * DEPTH], other[OTHERS * DEPTH], whole[ROWS * OTHERS], own[ROWS];
    fill(in, ROWS * DEPTH, 9);
    fill(other, OTHERS * DEPTH, 10);
    struct el_tensor rows = el_tensor_2d(EL_F32, in, ROWS, DEPTH);
    struct el_tensor others = el_tensor_2d(EL_F32, other, OTHERS, DEPTH);
    struct el_tensor out = el_tensor_2d(EL_F32, whole, ROWS, OTHERS),
                     squares = el_tensor_1d(EL_F32, own, ROWS);
    exec->team = teams[THREADS];
    assert_int_equal(exec->ops->inner_products(exec, &rows, &others, &out, &squares), 0);
    exec->team = NULL;
    for (int r = 0; r < ROWS; r++)
        for (int n = 0; n < OTHERS; n++) {
            float product, square;
            rows = el_tensor_2d(EL_F32, in + r * DEPTH, 1, DEPTH);
            others = el_tensor_2d(EL_F32, other + n * DEPTH, 1, DEPTH);
            out = el_tensor_2d(EL_F32, &product, 1, 1);
            squares = el_tensor_1d(EL_F32, &square, 1);
            assert_int_equal(exec->ops->inner_products(exec, &rows, &others, &out, &squares), 0);
            assert_same_bits(&product, whole + r * OTHERS + n, 1, exec->ops->name, r, 1);
            assert_same_bits(&square, own + r, 1, exec->ops->name, r, 1);
        }
}

static void inner_products_are_independent(void **state) {
    (void)state;
    for_each_filling(check_inner_products);
}

// A row's largest products have the same bits alone as in company.
static void check_top_products(struct el_exec *exec) {
    enum { OTHERS = 300, WANTED = 5 };
    static float in[ROWS * DEPTH], other[OTHERS * DEPTH], whole[ROWS * WANTED];
    static int32_t places[ROWS * WANTED];
    const struct el_target target = {.ops = exec->ops, .precision = EL_PRECISION_FP32};
    struct el_linear *linear = NULL;
    fill(in, ROWS * DEPTH, 11);
    fill(other, OTHERS * DEPTH, 12);
    const struct el_tensor weights = el_tensor_2d(EL_F32, other, OTHERS, DEPTH);
    const struct el_tensor all = el_tensor_2d(EL_F32, in, ROWS, DEPTH);
    struct el_tensor values = el_tensor_2d(EL_F32, whole, ROWS, WANTED);
    struct el_tensor at = el_tensor_2d(EL_I32, places, ROWS, WANTED);
    assert_int_equal(el_linear_open(&target, &weights, NULL, &linear), 0);
    exec->team = teams[THREADS];
    assert_int_equal(exec->ops->top_products(exec, &all, linear, &values, &at), 0);
    exec->team = NULL;
    for (int r = 0; r < ROWS; r++) {
        float own[WANTED];
        int32_t own_places[WANTED];
        const struct el_tensor row = el_tensor_rows(&all, r, 1);
        values = el_tensor_2d(EL_F32, own, 1, WANTED);
        at = el_tensor_2d(EL_I32, own_places, 1, WANTED);
        assert_int_equal(exec->ops->top_products(exec, &row, linear, &values, &at), 0);
        assert_same_bits(own, whole + r * WANTED, WANTED, exec->ops->name, r, 1);
        assert_memory_equal(own_places, places + r * WANTED, sizeof own_places);
    }
    el_linear_close(linear);
}

static void top_products_are_independent(void **state) {
    (void)state;
    for_each_filling(check_top_products);
}

// Sequences of 1 .. 60 tokens: packed together, and each alone at the start of a batch.
enum { SEQUENCES = 61, TOKENS = 60 * 61 / 2 };

static void run_attention(struct el_exec *exec, float *qkv, const int32_t *start, int count, float *out) {
    struct el_seqs seqs = {.count = count, .start = start};
    struct el_tensor in = el_tensor_2d(EL_F32, qkv, start[count], 3 * HIDDEN);
    struct el_tensor result = el_tensor_2d(EL_F32, out, start[count], HIDDEN);
    assert_int_equal(exec->ops->attention(exec, &in, &seqs, HEADS, 0.18f, &result), 0);
}

static void check_attention(struct el_exec *exec) {
    static float qkv[TOKENS * 3 * HIDDEN], whole[TOKENS * HIDDEN], part[TOKENS * HIDDEN];
    int32_t start[SEQUENCES + 1] = {0};
    for (int i = 0; i < SEQUENCES; i++)
        start[i + 1] = start[i] + i;
    fill(qkv, TOKENS * 3 * HIDDEN, 8);
    exec->team = NULL;
    run_attention(exec, qkv, start, SEQUENCES, whole);
    for (int threads = 2; threads <= THREADS; threads++) {
        exec->team = teams[threads];
        run_attention(exec, qkv, start, SEQUENCES, part);
        assert_same_bits(part, whole, TOKENS * HIDDEN, exec->ops->name, 0, TOKENS);
    }
    for (int i = 0; i < SEQUENCES; i++) {
        const int32_t alone[] = {0, i};
        exec->team = teams[1 + i % THREADS];
        run_attention(exec, qkv + (int64_t)start[i] * 3 * HIDDEN, alone, 1, part);
        assert_same_bits(part, whole + start[i] * HIDDEN, i * HIDDEN, exec->ops->name, start[i], i);
    }
}

static void sequences_are_independent(void **state) {
    (void)state;
    for_each_filling(check_attention);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_rows_are_independent),    cmocka_unit_test(norm_rows_are_independent),
        cmocka_unit_test(inner_products_are_independent), cmocka_unit_test(top_products_are_independent),
        cmocka_unit_test(sequences_are_independent),
    };
    return cmocka_run_group_tests(tests, open_teams, close_teams);
}
