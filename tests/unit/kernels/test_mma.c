// SPDX-License-Identifier: Apache-2.0
// The tensor-core kernels in their C life, where mma.sync, ldmatrix and cp.async are emulated: against sums
// in double, in three orders of the lanes, with asynchronous copies as late and as early as they may be. And
// the test of the test: kernels with one mistake each (mma_broken.c) are caught.
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/kernels.h"

#include "launch.h"
#include "mma_broken.h"
#include "tensor_lanes.h"

static uint64_t seed = 1;

static int draw(int below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)below);
}

// Floats, and what a kernel gets of them.
struct data {
    float *floats;
    void *stored;
    int count;
};

static size_t size_of(enum el_store store) {
    return store == EL_STORE_F32 ? 4 : 2;
}

static void convert(const char *direction, enum el_store store, const void *from, void *to, int count) {
    char symbol[64];
    snprintf(symbol, sizeof symbol, "%s_%s", direction, el_store_text[store]);
    void *params[] = {&from, &to, &count};
    assert_int_equal(el_c_life_launch(symbol, (int[]){1, 1, 1}, params), 0);
}

static struct data make(enum el_store store, int count) {
    struct data d = {.count = count};
    assert_int_equal(el_alloc_aligned((size_t)count, sizeof(float), &d.floats), 0);
    assert_int_equal(el_alloc_aligned((size_t)count, size_of(store), &d.stored), 0);
    return d;
}

static void drop(struct data *d) {
    el_free(d->floats);
    el_free(d->stored);
}

// Multiples of 1/64 up to 1: every store type and tf32 hold them, and sums of their products are exact in
// fp32.
static struct data drawn(enum el_store store, int count) {
    struct data d = make(store, count);
    for (int i = 0; i < count; i++)
        d.floats[i] = (float)(draw(129) - 64) / 64;
    convert("to_store", store, d.floats, d.stored, count);
    return d;
}

// Makes the store type's rounding of floats show.
static void roughen(enum el_store store, struct data *d) {
    for (int i = 0; i < d->count; i++)
        d->floats[i] = (float)(draw(20001) - 10000) / 7919;
    convert("to_store", store, d->floats, d->stored, d->count);
    convert("from_store", store, d->stored, d->floats, d->count);
}

static const double rounding[EL_STORE_COUNT] = {1e-6, 0x1p-11, 0x1p-8};

// linear
// -----------------------------------------------------------------------------------------------------------

struct linear {
    enum el_store store;
    int rows, columns, depth, act;
    bool has_residual;
    struct data in, weights, bias, residual, out;
};

static struct linear linear_open(enum el_store store, int rows, int columns, int depth, int act,
                                 bool has_residual) {
    struct linear l = {store, rows, columns, depth, act, has_residual, {0}, {0}, {0}, {0}, {0}};
    l.in = drawn(store, rows * depth);
    l.weights = drawn(store, columns * depth);
    l.bias = drawn(EL_STORE_F32, columns);
    l.residual = drawn(store, rows * columns);
    l.out = make(store, rows * columns);
    return l;
}

static void linear_close(struct linear *l) {
    drop(&l->in);
    drop(&l->weights);
    drop(&l->bias);
    drop(&l->residual);
    drop(&l->out);
}

static void linear_run(struct linear *l, enum el_kernel name, const struct el_c_kernel *kernel) {
    const struct el_kernel_info *info = &el_kernels[name];
    int has_residual = l->has_residual;
    void *no_residual = NULL;
    void *params[] = {&l->in.stored,   &l->weights.stored,
                      &l->bias.stored, has_residual ? &l->residual.stored : &no_residual,
                      &l->out.stored,  &l->rows,
                      &l->columns,     &l->depth,
                      &l->act,         &has_residual};
    char symbol[64];
    el_kernel_symbol(name, l->store, symbol, sizeof symbol);
    if (!kernel) kernel = el_c_life_find(symbol);
    assert_non_null(kernel);
    memset(l->out.stored, 0xff, (size_t)l->out.count * size_of(l->store));
    el_lanes_run(
        kernel,
        (int[]){(l->columns + info->columns - 1) / info->columns, (l->rows + info->rows - 1) / info->rows, 1},
        params);
    convert("from_store", l->store, l->out.stored, l->out.floats, l->out.count);
}

static double activated(int act, double x) {
    return act == 1 ? 0.5 * x * (1 + erf(x / sqrt(2))) : act == 3 ? fmax(x, 0) : x;
}

// How many outputs are off by more than the store type's rounding allows.
static int linear_wrong(const struct linear *l) {
    int wrong = 0;
    for (int t = 0; t < l->rows; t++)
        for (int n = 0; n < l->columns; n++) {
            double sum = l->bias.floats[n];
            for (int k = 0; k < l->depth; k++)
                sum += (double)l->in.floats[t * l->depth + k] * l->weights.floats[n * l->depth + k];
            double y =
                activated(l->act, sum) + (l->has_residual ? l->residual.floats[t * l->columns + n] : 0);
            double off = fabs(l->out.floats[t * l->columns + n] - y);
            wrong += !(off <= rounding[l->store] * fabs(y) + 1e-5);
        }
    return wrong;
}

static const enum el_kernel linear_kernels[] = {EL_KERNEL_linear_mma, EL_KERNEL_linear_mma_small};

static void test_linear(void **state) {
    static const int rows[] = {1, 5, 16, 31, 33, 64, 127, 128, 129, 300};
    static const int columns[] = {8, 40, 64, 72, 128, 136, 200};
    static const int acts[] = {0, 1, 3}; // none, GELU, ReLU
    static const int depths[] = {8, 16, 24, 32, 40, 64, 72, 96, 136, 200};
    (void)state;
    for (size_t i = 0; i < EL_COUNT(rows); i++)
        for (int store = 0; store < EL_STORE_COUNT; store++)
            for (size_t j = 0; j < EL_COUNT(linear_kernels); j++) {
                size_t turn = i * 3 + (size_t)store + j;
                el_lanes_set_order((enum el_lane_order)(turn % 3), turn);
                el_tensor_copy_early(turn % 2);
                struct linear l =
                    linear_open((enum el_store)store, rows[i], columns[turn % EL_COUNT(columns)],
                                depths[turn % EL_COUNT(depths)], acts[turn % EL_COUNT(acts)], turn % 4 < 2);
                linear_run(&l, linear_kernels[j], NULL);
                if (linear_wrong(&l))
                    fail_msg("%s %s: %d of %d x %d are wrong at depth %d", el_kernels[linear_kernels[j]].name,
                             el_store_text[store], linear_wrong(&l), l.rows, l.columns, l.depth);
                linear_close(&l);
            }
}

// A row's bits depend neither on the rows beside it nor on the tile.
static void test_linear_row_alone(void **state) {
    (void)state;
    for (int store = 0; store < EL_STORE_COUNT; store++) {
        struct linear l = linear_open((enum el_store)store, 140, 72, 136, 1, true);
        roughen(l.store, &l.in);
        roughen(l.store, &l.weights);
        linear_run(&l, EL_KERNEL_linear_mma, NULL);
        size_t row_bytes = (size_t)l.columns * size_of(l.store);
        struct linear one = l;
        one.rows = 1;
        one.out = make(l.store, l.columns);
        for (int t = 0; t < l.rows; t += 23) {
            one.in.stored = (char *)l.in.stored + (size_t)(t * l.depth) * size_of(l.store);
            one.residual.stored = (char *)l.residual.stored + (size_t)t * row_bytes;
            for (size_t j = 0; j < EL_COUNT(linear_kernels); j++) {
                linear_run(&one, linear_kernels[j], NULL);
                assert_memory_equal(one.out.stored, (char *)l.out.stored + (size_t)t * row_bytes, row_bytes);
            }
        }
        drop(&one.out);
        linear_close(&l);
    }
}

// What is not a number stays in its row; an infinite weight in its column.
static void test_linear_not_finite(void **state) {
    (void)state;
    for (int store = 0; store < EL_STORE_COUNT; store++) {
        struct linear l = linear_open((enum el_store)store, 20, 16, 40, 0, false);
        for (int i = 0; i < l.in.count; i++)
            l.in.floats[i] = 1;
        l.in.floats[7 * l.depth + 39] = NAN;
        l.weights.floats[3 * l.depth] = INFINITY;
        convert("to_store", l.store, l.in.floats, l.in.stored, l.in.count);
        convert("to_store", l.store, l.weights.floats, l.weights.stored, l.weights.count);
        linear_run(&l, EL_KERNEL_linear_mma_small, NULL);
        for (int t = 0; t < l.rows; t++)
            for (int n = 0; n < l.columns; n++) {
                float y = l.out.floats[t * l.columns + n];
                assert_true(t == 7 ? isnan(y) : n == 3 ? isinf(y) : isfinite(y));
            }
        linear_close(&l);
    }
}

// attention
// --------------------------------------------------------------------------------------------------------

struct attention {
    enum el_store store;
    int sequences, heads, size;
    float scale;
    int *start; // [sequences + 1]
    struct data qkv, out;
};

static struct attention attention_open(enum el_store store, int sequences, int *start, int heads, int size) {
    struct attention a = {store, sequences, heads, size, 1 / sqrtf((float)size), start, {0}, {0}};
    a.qkv = drawn(store, start[sequences] * 3 * heads * size);
    for (int i = 0; i < a.qkv.count; i++)
        a.qkv.floats[i] *= 2; // so that some keys count more than others
    convert("to_store", store, a.qkv.floats, a.qkv.stored, a.qkv.count);
    a.out = make(store, start[sequences] * heads * size);
    return a;
}

static void attention_run(struct attention *a, const struct el_c_kernel *kernel) {
    enum el_kernel name;
    char symbol[64];
    int longest = 0;
    assert_true(el_kernel_attention_mma(a->store, a->size, &name));
    el_kernel_symbol(name, a->store, symbol, sizeof symbol);
    if (!kernel) kernel = el_c_life_find(symbol);
    assert_non_null(kernel);
    for (int i = 0; i < a->sequences; i++)
        longest = EL_MAX(longest, a->start[i + 1] - a->start[i]);
    void *params[] = {&a->qkv.stored, &a->start, &a->heads, &a->size, &a->scale, &a->out.stored};
    memset(a->out.stored, 0xff, (size_t)a->out.count * size_of(a->store));
    int rows = el_kernels[name].rows;
    el_lanes_run(kernel, (int[]){(longest + rows - 1) / rows, a->heads, a->sequences}, params);
    convert("from_store", a->store, a->out.stored, a->out.floats, a->out.count);
}

// softmax(scale q k^T) v of one row; probabilities are unnormalized.
static void attend_row(const struct attention *a, int head, int from, int to, int t, double *ret_out) {
    int hidden = a->heads * a->size, stride = 3 * hidden;
    const float *q = a->qkv.floats + t * stride + head * a->size,
                *k = a->qkv.floats + hidden + head * a->size;
    double total = 0;
    memset(ret_out, 0, sizeof *ret_out * (size_t)a->size);
    for (int j = from; j < to; j++) {
        double score = 0;
        for (int d = 0; d < a->size; d++)
            score += (double)q[d] * k[j * stride + d];
        double p = exp(score * a->scale);
        total += p;
        for (int d = 0; d < a->size; d++)
            ret_out[d] += p * k[hidden + j * stride + d];
    }
    for (int d = 0; d < a->size; d++)
        ret_out[d] /= total;
}

static int attention_wrong(const struct attention *a) {
    int wrong = 0;
    double row[128];
    for (int s = 0; s < a->sequences; s++)
        for (int t = a->start[s]; t < a->start[s + 1]; t++)
            for (int h = 0; h < a->heads; h++) {
                attend_row(a, h, a->start[s], a->start[s + 1], t, row);
                for (int d = 0; d < a->size; d++) {
                    double off = fabs(a->out.floats[(t * a->heads + h) * a->size + d] - row[d]);
                    // Probabilities are rounded, of values up to 2; then the result is.
                    wrong += !(off <= rounding[a->store] * (2 + fabs(row[d])));
                }
            }
    return wrong;
}

static void attention_close(struct attention *a) {
    drop(&a->qkv);
    drop(&a->out);
}

static void test_attention(void **state) {
    static const int sizes[] = {32, 64, 96, 128, 8, 16, 48, 80, 112};
    (void)state;
    for (size_t i = 0; i < EL_COUNT(sizes); i++)
        for (int store = EL_STORE_F16; store <= EL_STORE_BF16; store++) {
            int *start = (int[]){0, 1, 66, 66, 194, 257, 394};
            size_t turn = i + (size_t)store;
            el_lanes_set_order((enum el_lane_order)(turn % 3), turn);
            el_tensor_copy_early(i % 2);
            struct attention a = attention_open((enum el_store)store, 6, start, i % 2 ? 1 : 2, sizes[i]);
            attention_run(&a, NULL);
            if (attention_wrong(&a))
                fail_msg("size %d, %s: %d of %d are wrong", a.size, el_store_text[store], attention_wrong(&a),
                         a.out.count);
            attention_close(&a);
        }
}

static void test_attention_lengths(void **state) {
    int start[21] = {0};
    (void)state;
    for (int i = 0; i < 20; i++)
        start[i + 1] = start[i] + 1 + draw(200);
    struct attention a = attention_open(EL_STORE_F16, 20, start, 1, 32);
    attention_run(&a, NULL);
    assert_int_equal(attention_wrong(&a), 0);
    attention_close(&a);
}

// A sequence's bits are those it has alone, whatever lies beside it: here, what is not a number.
static void test_attention_sequence_alone(void **state) {
    int start[] = {0, 70, 159, 200};
    (void)state;
    struct attention a = attention_open(EL_STORE_BF16, 3, start, 2, 48);
    int row = 2 * 48;
    for (int i = 0; i < a.qkv.count; i++)
        if (i < 70 * 3 * row || i >= 159 * 3 * row) a.qkv.floats[i] = NAN;
    convert("to_store", a.store, a.qkv.floats, a.qkv.stored, a.qkv.count);
    attention_run(&a, NULL);
    struct attention alone = a;
    alone.sequences = 1;
    alone.start = (int[]){0, 89};
    alone.qkv.stored = (char *)a.qkv.stored + (size_t)(70 * 3 * row) * 2;
    alone.out = make(a.store, 89 * row);
    attention_run(&alone, NULL);
    for (int i = 0; i < alone.out.count; i++)
        assert_true(isfinite(alone.out.floats[i]));
    assert_memory_equal(alone.out.stored, (char *)a.out.stored + (size_t)(70 * row) * 2,
                        (size_t)alone.out.count * 2);
    assert_true(isnan(a.out.floats[0]) && isnan(a.out.floats[a.out.count - 1]));
    drop(&alone.out);
    attention_close(&a);
}

// Tests of the test
// ------------------------------------------------------------------------------------------------

// The mistake shows in an order of the lanes, with copies late or early.
static bool is_caught(const struct el_c_kernel *linear, const struct el_c_kernel *attention) {
    bool linear_caught = false, attention_caught = false;
    int start[] = {0, 150};
    struct linear l = linear_open(EL_STORE_F16, 40, 72, 200, 0, false);
    struct attention a = attention_open(EL_STORE_F16, 1, start, 1, 64);
    for (int turn = 0; turn < 6; turn++) {
        el_lanes_set_order((enum el_lane_order)(turn % 3), 5);
        el_tensor_copy_early(turn / 3);
        linear_run(&l, EL_KERNEL_linear_mma_small, linear);
        attention_run(&a, attention);
        linear_caught |= linear_wrong(&l) > 0;
        attention_caught |= attention_wrong(&a) > 0;
    }
    linear_close(&l);
    attention_close(&a);
    return linear_caught && attention_caught;
}

static void test_mistakes_are_caught(void **state) {
    (void)state;
    assert_false(is_caught(NULL, NULL));
    assert_true(is_caught(&el_broken_no_wait_linear, &el_broken_no_wait_attention));
    assert_true(is_caught(&el_broken_short_wait_linear, &el_broken_short_wait_attention));
    assert_true(is_caught(&el_broken_no_barrier_linear, &el_broken_no_barrier_attention));
    assert_true(is_caught(&el_broken_fragments_linear, &el_broken_fragments_attention));
    assert_true(is_caught(&el_broken_bounds_linear, &el_broken_bounds_attention));
}

// A copy of 16 bytes to or from an address between is a fault on the device; here it ends the process.
static void test_misaligned_copy_aborts(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        struct linear l = linear_open(EL_STORE_F16, 8, 8, 12, 0, false); // rows of 24 bytes
        linear_run(&l, EL_KERNEL_linear_mma, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_tf32_rounding(void **state) {
    static const struct {
        uint32_t bits, rounded;
    } cases[] = {{0x3f800000, 0x3f800000}, {0x3f800fff, 0x3f800000}, {0x3f801000, 0x3f802000},
                 {0xbf801000, 0xbf802000}, {0x3fffffff, 0x40000000}, {0x7f800000, 0x7f800000}};
    (void)state;
    for (size_t i = 0; i < EL_COUNT(cases); i++)
        assert_int_equal(el_tensor_tf32(cases[i].bits), cases[i].rounded);
}

static void test_choice(void **state) {
    enum el_kernel kernel = EL_KERNEL_canary;
    (void)state;
    assert_false(el_kernel_linear_mma(EL_STORE_F16, 16, 384, 12, 108, &kernel));
    assert_false(el_kernel_linear_mma(EL_STORE_F16, 16, 12, 384, 108, &kernel));
    assert_false(el_kernel_attention_mma(EL_STORE_F32, 32, &kernel));
    assert_false(el_kernel_attention_mma(EL_STORE_F16, 136, &kernel));
    assert_false(el_kernel_attention_mma(EL_STORE_F16, 20, &kernel));
    assert_int_equal(kernel, EL_KERNEL_canary);
    assert_true(el_kernel_linear_mma(EL_STORE_F16, 16, 384, 384, 108, &kernel));
    assert_int_equal(kernel, EL_KERNEL_linear_mma_small);
    assert_true(el_kernel_linear_mma(EL_STORE_F32, 16384, 1536, 4, 108, &kernel));
    assert_int_equal(kernel, EL_KERNEL_linear_mma);
    assert_true(el_kernel_attention_mma(EL_STORE_BF16, 72, &kernel));
    assert_int_equal(kernel, EL_KERNEL_attention_mma_96);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_row_alone),
        cmocka_unit_test(test_linear_not_finite),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_lengths),
        cmocka_unit_test(test_attention_sequence_alone),
        cmocka_unit_test(test_mistakes_are_caught),
        cmocka_unit_test(test_misaligned_copy_aborts),
        cmocka_unit_test(test_tf32_rounding),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
