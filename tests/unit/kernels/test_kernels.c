// SPDX-License-Identifier: Apache-2.0
// Every kernel in the dialect against its definition, in every store type, on shapes that find edges: in the
// C life in every lane order, or on the first device of the back-end that the command line names.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "device/device.h"
#include "harness.h"
#include "kernels/canary.h"
#include "launch.h"
#include "reference.h"

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

// ---- conversions ----

// Every value of 16 bits survives; halfway between two, the even one is taken, and just beside it the nearer.
static void check_half_conversions(struct harness *h) {
    enum { COUNT = 1 << 16 };
    uint16_t *all = harness_take(h, COUNT * sizeof *all), *back = harness_take(h, COUNT * sizeof *back);
    float *wide = harness_take(h, COUNT * sizeof *wide);
    for (int i = 0; i < COUNT; i++)
        all[i] = (uint16_t)i;
    LAUNCH(h, from_store, 3, 1, 1, MEMORY(all), MEMORY(wide), NUMBER(COUNT));
    LAUNCH(h, to_store, 2, 1, 1, MEMORY(wide), MEMORY(back), NUMBER(COUNT));
    for (size_t i = 0; i < COUNT; i++) {
        double value = stored_value(h->store, all, i);
        assert_close_f32(h, "from_store", i, wide[i], value, 0);
        if (isnan(value))
            assert_true(isnan(stored_value(h->store, back, i)));
        else
            assert_int_equal(back[i], i);
    }
    for (int beside = -1; beside <= 1; beside++) { // the float below the middle, the middle, the float above
        int last = h->store == EL_STORE_F16 ? 0x7bff : 0x7f7f;
        for (int i = 0; i < last; i++) {
            float middle = (float)((stored_value(h->store, all, (size_t)i) +
                                    stored_value(h->store, all, (size_t)i + 1)) /
                                   2);
            wide[i] = beside == 0 ? middle : nextafterf(middle, beside < 0 ? 0 : INFINITY);
        }
        LAUNCH(h, to_store, 2, 1, 1, MEMORY(wide), MEMORY(back), NUMBER(last));
        for (int i = 0; i < last; i++)
            assert_int_equal(back[i], beside < 0 ? i : beside > 0 ? i + 1 : i + (i & 1));
    }
}

static void check_conversions(struct harness *h) {
    if (h->store != EL_STORE_F32) check_half_conversions(h);
    const float edges[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 65519, 65520, -1e30f, 3.4e38f};
    float *in = harness_take(h, sizeof edges);
    void *out = harness_take(h, sizeof edges);
    memcpy(in, edges, sizeof edges);
    int count = (int)(sizeof edges / sizeof *edges);
    LAUNCH(h, to_store, 1, 1, 1, MEMORY(in), MEMORY(out), NUMBER(count));
    for (int i = 0; i < count; i++) {
        double want = edges[i];
        if (h->store == EL_STORE_F16 && fabs(want) >= 65520) want = copysign(INFINITY, want);
        if (h->store == EL_STORE_BF16 && want > 3.39e38) want = INFINITY;
        assert_close(h, "to_store", (size_t)i, stored_value(h->store, out, (size_t)i), want, 0);
        assert_int_equal(signbit(stored_value(h->store, out, (size_t)i)) && !isnan(want),
                         signbit(want) && !isnan(want));
    }
    LAUNCH(h, to_store, 1, 1, 1, MEMORY(in), MEMORY(out), NUMBER(0));
}

// ---- norms ----

static void compare_norms(struct harness *h, const void *out, const double *rows, int count, int width,
                          const float *gamma, const float *beta, float epsilon, const char *what) {
    double *want = harness_take(h, (size_t)width * sizeof *want),
           *size = harness_take(h, (size_t)width * sizeof *size);
    for (int t = 0; t < count; t++) {
        reference_layer_norm(rows + t * width, width, gamma, beta, epsilon, want, size);
        for (int i = 0; i < width; i++) {
            size_t at = (size_t)(t * width + i);
            assert_close(h, what, at, stored_value(h->store, out, at), want[i], size[i]);
        }
    }
}

static void check_layer_norm(struct harness *h) {
    int rows = 1 + draw_below(h, 4), width = draw_size(h, el_kernels[EL_KERNEL_layer_norm].lanes);
    size_t count = (size_t)(rows * width);
    struct stored in = draw_stored(h, count, 3);
    float *gamma = draw_floats(h, (size_t)width, 1), *beta = draw_floats(h, (size_t)width, 1);
    void *out =
        draw_below(h, 2) ? in.bytes : harness_take(h, count * store_size(h->store)); // may be in place
    LAUNCH(h, layer_norm, rows, 1, 1, MEMORY(in.bytes), MEMORY(gamma), MEMORY(beta), REAL(1e-5f),
           NUMBER(width), MEMORY(out));
    compare_norms(h, out, in.value, rows, width, gamma, beta, 1e-5f, "layer_norm");
}

static void check_embed_norm(struct harness *h) {
    enum { WORDS = 11, PLACES = 5 };
    int rows = 1 + draw_below(h, 6), width = draw_size(h, el_kernels[EL_KERNEL_embed_norm].lanes);
    size_t w = (size_t)width;
    struct stored words = draw_stored(h, WORDS * w, 1), places = draw_stored(h, PLACES * w, 1),
                  kind = draw_stored(h, w, 1);
    float *gamma = draw_floats(h, w, 1), *beta = draw_floats(h, w, 1);
    int32_t *ids = harness_take(h, (size_t)rows * 4), *positions = harness_take(h, (size_t)rows * 4);
    double *sums = harness_take(h, (size_t)rows * w * sizeof *sums);
    void *out = harness_take(h, (size_t)rows * w * store_size(h->store));
    for (int t = 0; t < rows; t++) {
        ids[t] = draw_below(h, WORDS);
        positions[t] = draw_below(h, PLACES);
        for (int i = 0; i < width; i++)
            sums[t * width + i] =
                words.value[ids[t] * width + i] + places.value[positions[t] * width + i] + kind.value[i];
    }
    LAUNCH(h, embed_norm, rows, 1, 1, MEMORY(ids), MEMORY(positions), MEMORY(words.bytes),
           MEMORY(places.bytes), MEMORY(kind.bytes), MEMORY(gamma), MEMORY(beta), REAL(1e-12f), NUMBER(width),
           MEMORY(out));
    compare_norms(h, out, sums, rows, width, gamma, beta, 1e-12f, "embed_norm");
}

// ---- linear ----

struct linear_case {
    int rows, columns, depth;
    enum el_act act;
    bool has_residual, in_place;
    struct stored in, weights, residual;
    int8_t *bytes; // linear_int8: instead of the weights
    float *scales, *bias;
};

static struct linear_case draw_linear(struct harness *h) {
    struct linear_case c = {.rows = draw_size(h, 64), .columns = draw_size(h, 64), .depth = draw_size(h, 32)};
    c.act = (enum el_act)draw_below(h, EL_ACT_SILU + 1);
    c.has_residual = draw_below(h, 2);
    c.in = draw_stored(h, (size_t)(c.rows * c.depth), 1);
    c.residual = draw_stored(h, (size_t)(c.rows * c.columns), 1);
    c.bias = draw_floats(h, (size_t)c.columns, 1);
    return c;
}

static void compare_linear(struct harness *h, const struct linear_case *c, const void *out,
                           const char *what) {
    for (int t = 0; t < c->rows; t++)
        for (int n = 0; n < c->columns; n++) {
            size_t at = (size_t)(t * c->columns + n);
            double size, residual = c->has_residual ? c->residual.value[at] : 0;
            double want = reference_linear(c->in.value + t * c->depth, c->weights.value + n * c->depth,
                                           c->depth, c->bias[n], c->act, residual, &size);
            assert_close(h, what, at, stored_value(h->store, out, at), want, size);
        }
}

static void check_linear(struct harness *h) {
    struct linear_case c = draw_linear(h);
    c.weights = draw_stored(h, (size_t)(c.columns * c.depth), 1);
    void *out = c.has_residual && draw_below(h, 2)
                    ? c.residual.bytes
                    : harness_take(h, (size_t)(c.rows * c.columns) * store_size(h->store));
    const struct el_kernel_info *info = &el_kernels[EL_KERNEL_linear];
    LAUNCH(h, linear, divide_up(c.columns, info->columns), divide_up(c.rows, info->rows), 1,
           MEMORY(c.in.bytes), MEMORY(c.weights.bytes), MEMORY(c.bias),
           MEMORY(c.has_residual ? c.residual.bytes : NULL), MEMORY(out), NUMBER(c.rows), NUMBER(c.columns),
           NUMBER(c.depth), NUMBER(c.act), NUMBER(c.has_residual));
    compare_linear(h, &c, out, "linear");
}

static void check_linear_int8(struct harness *h) {
    struct linear_case c = draw_linear(h);
    int blocks = divide_up(c.depth, 128);
    c.bytes = harness_take(h, (size_t)(c.columns * c.depth));
    c.scales = draw_floats(h, (size_t)(c.columns * blocks), 0.01f);
    c.weights.value = harness_take(h, (size_t)(c.columns * c.depth) * sizeof(double));
    for (int i = 0; i < c.columns * c.depth; i++) {
        c.bytes[i] = (int8_t)(draw_below(h, 255) - 127);
        c.weights.value[i] = (double)c.bytes[i] * c.scales[i / c.depth * blocks + i % c.depth / 128];
    }
    void *out = harness_take(h, (size_t)(c.rows * c.columns) * store_size(h->store));
    const struct el_kernel_info *info = &el_kernels[EL_KERNEL_linear_int8];
    LAUNCH(h, linear_int8, divide_up(c.columns, info->columns), divide_up(c.rows, info->rows), 1,
           MEMORY(c.in.bytes), MEMORY(c.bytes), MEMORY(c.bias), MEMORY(c.scales),
           MEMORY(c.has_residual ? c.residual.bytes : NULL), MEMORY(out), NUMBER(c.rows), NUMBER(c.columns),
           NUMBER(c.depth), NUMBER(c.act), NUMBER(c.has_residual));
    compare_linear(h, &c, out, "linear_int8");
}

// ---- attention ----

// Lengths of up to `count` sequences laid end to end; one of them may be empty. ret_start: [count + 1].
static int draw_sequences(struct harness *h, int count, int edge, int32_t *ret_start) {
    int longest = 0;
    ret_start[0] = 0;
    for (int s = 0; s < count; s++) {
        int length = draw_below(h, 4) ? draw_size(h, edge) : 0;
        ret_start[s + 1] = ret_start[s] + length;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void check_attention(struct harness *h) {
    enum { SEQUENCES = 3 };
    static const int sizes[] = {1, 31, 32, 33, 64, 65, 128};
    int heads = 1 + draw_below(h, 3), size = sizes[draw_below(h, 7)], hidden = heads * size;
    int32_t *start = harness_take(h, (SEQUENCES + 1) * sizeof *start);
    int longest = draw_sequences(h, SEQUENCES, 32, start), tokens = start[SEQUENCES];
    float scale = 1 / sqrtf((float)size);
    struct stored qkv = draw_stored(h, (size_t)(tokens * 3 * hidden) + 1, 2);
    void *out = harness_take(h, (size_t)(tokens * hidden) * store_size(h->store));
    int groups = divide_up(longest ? longest : 1, el_kernels[EL_KERNEL_attention].rows);
    LAUNCH(h, attention, groups, heads, SEQUENCES, MEMORY(qkv.bytes), MEMORY(start), NUMBER(heads),
           NUMBER(size), REAL(scale), MEMORY(out));
    double want[128], most[128];
    for (int s = 0; s < SEQUENCES; s++)
        for (int t = start[s]; t < start[s + 1]; t++)
            for (int head = 0; head < heads; head++) {
                const double *rows = qkv.value + start[s] * 3 * hidden + head * size;
                reference_attention(rows + (t - start[s]) * 3 * hidden, rows + hidden, rows + 2 * hidden,
                                    3 * hidden, start[s + 1] - start[s], size, scale, want, most);
                for (int i = 0; i < size; i++) {
                    size_t at = (size_t)(t * hidden + head * size + i);
                    assert_close(h, "attention", at, stored_value(h->store, out, at), want[i], most[i]);
                }
            }
}

// ---- pool, normalize, top-k ----

static void check_pool(struct harness *h) {
    enum { SEQUENCES = 4 };
    int32_t *start = harness_take(h, (SEQUENCES + 1) * sizeof *start);
    draw_sequences(h, SEQUENCES, 64, start);
    int width = draw_size(h, el_kernels[EL_KERNEL_pool].lanes);
    struct stored in = draw_stored(h, (size_t)(start[SEQUENCES] * width) + 1, 1);
    float *out = harness_take(h, (size_t)(SEQUENCES * width) * sizeof *out);
    for (int kind = EL_POOL_MEAN; kind <= EL_POOL_MAX; kind++) {
        LAUNCH(h, pool, SEQUENCES, 1, 1, MEMORY(in.bytes), MEMORY(start), NUMBER(kind), NUMBER(width),
               MEMORY(out));
        for (int s = 0; s < SEQUENCES; s++)
            for (int i = 0; i < width; i++) {
                double size, want = reference_pool(in.value + start[s] * width + i, start[s + 1] - start[s],
                                                   width, (enum el_pool)kind, &size);
                assert_close_f32(h, "pool", (size_t)(s * width + i), out[s * width + i], want, size);
            }
    }
}

static void check_l2_normalize(struct harness *h) {
    int rows = 1 + draw_below(h, 3), width = draw_size(h, el_kernels[EL_KERNEL_l2_normalize].lanes);
    float *rows_of = draw_floats(h, (size_t)(rows * width), 5),
          *before = draw_floats(h, (size_t)(rows * width), 1);
    memset(rows_of, 0, (size_t)(draw_below(h, 2) * width) * sizeof *rows_of); // a row of zeros stays
    memcpy(before, rows_of, (size_t)(rows * width) * sizeof *before);
    LAUNCH(h, l2_normalize, rows, 1, 1, MEMORY(rows_of), NUMBER(width));
    for (int n = 0; n < rows; n++) {
        double squares = 0;
        for (int i = 0; i < width; i++)
            squares += (double)before[n * width + i] * before[n * width + i];
        for (int i = 0; i < width; i++)
            assert_close_f32(h, "l2_normalize", (size_t)(n * width + i), rows_of[n * width + i],
                             before[n * width + i] / fmax(sqrt(squares), 1e-12), 1);
    }
}

static void check_inner_products(struct harness *h) {
    const int count = 1 + draw_below(h, 40), columns = draw_below(h, 4), depth = draw_size(h, 8);
    float *rows = draw_floats(h, (size_t)(count * depth), 1);
    float *others = draw_floats(h, (size_t)(columns * depth), 1);
    float *out = draw_floats(h, (size_t)(count * columns), 1), *squares = draw_floats(h, (size_t)count, 1);
    const int groups = (count - 1) / el_kernels[EL_KERNEL_inner_products].rows + 1;
    LAUNCH(h, inner_products, groups, 1, 1, MEMORY(rows), MEMORY(others), MEMORY(out), MEMORY(squares),
           NUMBER(count), NUMBER(columns), NUMBER(depth));
    for (int r = 0; r < count; r++)
        for (int n = -1; n < columns; n++) {
            const float *row = rows + r * depth, *other = n < 0 ? row : others + n * depth;
            double sum = 0, size = 0;
            for (int k = 0; k < depth; k++) {
                sum += (double)row[k] * other[k];
                size += fabs((double)row[k] * other[k]);
            }
            assert_close_f32(h, "inner_products", (size_t)(r * columns + n + 1),
                             n < 0 ? squares[r] : out[r * columns + n], sum, size);
        }
}

static void check_top_k(struct harness *h) {
    int rows = 1 + draw_below(h, 2), count = draw_size(h, el_kernels[EL_KERNEL_top_k].lanes);
    int k = draw_below(h, 8) ? draw_size(h, 33) : 1024;
    float *scores = draw_floats(h, (size_t)(rows * count), 1),
          *values = draw_floats(h, (size_t)(rows * k), 1);
    int32_t *places = harness_take(h, (size_t)(rows * k) * sizeof *places);
    float *want_values = draw_floats(h, (size_t)k, 1);
    int32_t *want_places = harness_take(h, (size_t)k * sizeof *want_places);
    for (int i = 0; i < rows * count; i++) {
        if (draw_below(h, 2)) scores[i] = (float)(draw_below(h, 7) - 3); // ties, and both zeros
        if (scores[i] == 0 && draw_below(h, 2)) scores[i] = -0.0f;
        if (draw_below(h, 40) == 0)
            scores[i] = draw_below(h, 2) ? NAN : draw_below(h, 2) ? INFINITY : -INFINITY;
    }
    LAUNCH(h, top_k, rows, 1, 1, MEMORY(scores), NUMBER(count), NUMBER(k), MEMORY(values), MEMORY(places));
    for (int n = 0; n < rows; n++) {
        reference_top_k(scores + n * count, count, k, want_values, want_places);
        for (int i = 0; i < k; i++) {
            assert_int_equal(places[n * k + i], want_places[i]);
            assert_close_f32(h, "top_k", (size_t)(n * k + i), values[n * k + i], want_values[i], 0);
        }
    }
}

// Small whole numbers, which every store type has: their products are exact, and many are alike.
static struct stored draw_whole(struct harness *h, size_t count) {
    struct stored whole = {.bytes = harness_take(h, count * store_size(h->store)),
                           .value = harness_take(h, count * sizeof *whole.value)};
    float *floats = draw_floats(h, count, 1);
    for (size_t i = 0; i < count; i++)
        whole.value[i] = floats[i] = (float)(draw_below(h, 5) - 2);
    LAUNCH(h, to_store, 1, 1, 1, MEMORY(floats), MEMORY(whole.bytes), NUMBER((int)count));
    return whole;
}

// What is searched, and what for.
struct top_case {
    int rows, columns, depth, k;
    struct stored in, weights;
    float *bias;
};

static void compare_top_products(struct harness *h, const struct top_case *c, const float *values,
                                 const int32_t *places) {
    float *scores = draw_floats(h, (size_t)c->columns, 1), *want = draw_floats(h, (size_t)c->k, 1);
    int32_t *want_places = harness_take(h, (size_t)c->k * sizeof *want_places);
    for (int t = 0; t < c->rows; t++) {
        double size;
        for (int n = 0; n < c->columns; n++)
            scores[n] = (float)reference_linear(c->in.value + t * c->depth, c->weights.value + n * c->depth,
                                                c->depth, c->bias[n], EL_ACT_NONE, 0, &size);
        reference_top_k(scores, c->columns, c->k, want, want_places);
        for (int i = 0; i < c->k; i++) {
            assert_int_equal(places[t * c->k + i], want_places[i]);
            assert_close_f32(h, "top_products", (size_t)(t * c->k + i), values[t * c->k + i], want[i], 0);
        }
    }
}

// Lists by one of the two kernels, and one of them by merge_lists.
static void check_top_products_by(struct harness *h, enum el_kernel kernel, int rows) {
    struct top_case c = {.rows = rows,
                         .columns = 1 + draw_below(h, 300),
                         .depth = draw_size(h, 16),
                         .k = 1 + draw_below(h, 12)};
    const int lists = 1 + draw_below(h, 4), height = el_kernels[kernel].rows;
    const int groups = divide_up(rows, height);
    c.in = draw_whole(h, (size_t)(rows * c.depth));
    c.weights = draw_whole(h, (size_t)(c.columns * c.depth));
    c.bias = draw_floats(h, (size_t)c.columns, 1);
    for (int n = 0; n < c.columns; n++)
        c.bias[n] = draw_below(h, 20) ? (float)draw_below(h, 3) : draw_below(h, 2) ? NAN : -INFINITY;
    float *values = draw_floats(h, (size_t)(rows * c.k), 1);
    int32_t *places = harness_take(h, (size_t)(rows * c.k) * sizeof *places);
    uint64_t *ranks = harness_take(h, (size_t)(groups * height * lists * c.k) * sizeof *ranks);
    harness_launch(h, kernel, groups, lists, 1,
                   (struct argument[]){MEMORY(c.in.bytes), MEMORY(c.weights.bytes), MEMORY(c.bias),
                                       MEMORY(ranks), NUMBER(rows), NUMBER(c.columns), NUMBER(c.depth),
                                       NUMBER(c.k), NUMBER(lists)});
    LAUNCH(h, merge_lists, rows, 1, 1, MEMORY(ranks), NUMBER(height), NUMBER(lists * c.k), NUMBER(c.k),
           MEMORY(values), MEMORY(places));
    compare_top_products(h, &c, values, places);
}

static void check_top_products(struct harness *h) {
    check_top_products_by(h, EL_KERNEL_top_products, draw_size(h, el_kernels[EL_KERNEL_top_products].rows));
}

static void check_top_products_few(struct harness *h) {
    check_top_products_by(h, EL_KERNEL_top_products_few, 1 + draw_below(h, 20));
}

static void check_canary(struct harness *h) {
    enum { GROUPS = 3 };
    int lanes = el_kernels[EL_KERNEL_canary].lanes, seed = draw_below(h, 1 << 30) - (1 << 29),
        rounds = draw_below(h, 40);
    uint32_t *out = harness_take(h, (size_t)(GROUPS * lanes) * 4),
             *want = harness_take(h, (size_t)(GROUPS * lanes) * 4);
    LAUNCH(h, canary, GROUPS, 1, 1, MEMORY(out), NUMBER(seed), NUMBER(rounds));
    el_canary_expect(seed, rounds, GROUPS, want);
    assert_memory_equal(out, want, (size_t)(GROUPS * lanes) * 4);
}

// ---- what is not finite ----

// An element that is not finite makes what depends on it so, and nothing else.
static void check_linear_not_finite(struct harness *h) {
    enum { ROWS = 3, COLUMNS = 5, DEPTH = 7 };
    struct linear_case c = {.rows = ROWS, .columns = COLUMNS, .depth = DEPTH};
    c.in = draw_stored(h, ROWS * DEPTH, 1);
    c.weights = draw_stored(h, COLUMNS * DEPTH, 1);
    c.bias = draw_floats(h, COLUMNS, 1);
    float special[] = {NAN, INFINITY, -INFINITY}, *one = harness_take(h, sizeof *one);
    void *out = harness_take(h, ROWS * COLUMNS * store_size(h->store));
    for (int i = 0; i < 3; i++)
        for (c.act = EL_ACT_NONE; c.act <= EL_ACT_SILU; c.act++) {
            *one = special[i];
            LAUNCH(h, to_store, 1, 1, 1, MEMORY(one),
                   MEMORY((char *)c.in.bytes + DEPTH * store_size(h->store)), NUMBER(1));
            c.in.value[DEPTH] = special[i]; // row 1, first element
            LAUNCH(h, linear, 1, 1, 1, MEMORY(c.in.bytes), MEMORY(c.weights.bytes), MEMORY(c.bias),
                   MEMORY(NULL), MEMORY(out), NUMBER(ROWS), NUMBER(COLUMNS), NUMBER(DEPTH), NUMBER(c.act),
                   NUMBER(0));
            compare_linear(h, &c, out, "linear of what is not finite");
        }
}

// One query; a score that is NaN, or all that are -Inf, make it NaN; a single -Inf has no weight.
static void check_attention_not_finite(struct harness *h) {
    enum { LENGTH = 40 };
    static const struct {
        float key;
        int first, end; // the keys that have it
        bool is_nan;
    } cases[] = {
        {NAN, 37, 38, true}, {INFINITY, 2, 3, true}, {-INFINITY, 0, 35, false}, {-INFINITY, 0, LENGTH, true}};
    int32_t *start = harness_take(h, 2 * sizeof *start);
    start[0] = 0;
    start[1] = LENGTH;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float *qkv = harness_take(h, LENGTH * 3 * sizeof *qkv); // one head of size 1: q = 1, v = 2
        void *bytes = harness_take(h, LENGTH * 3 * store_size(h->store));
        void *out = harness_take(h, LENGTH * store_size(h->store));
        for (int t = 0; t < LENGTH; t++) {
            qkv[t * 3] = 1;
            qkv[t * 3 + 1] = t >= cases[c].first && t < cases[c].end ? cases[c].key : 0.5f;
            qkv[t * 3 + 2] = 2;
        }
        LAUNCH(h, to_store, 1, 1, 1, MEMORY(qkv), MEMORY(bytes), NUMBER(LENGTH * 3));
        LAUNCH(h, attention, 1, 1, 1, MEMORY(bytes), MEMORY(start), NUMBER(1), NUMBER(1), REAL(1),
               MEMORY(out));
        for (size_t t = 0; t < LENGTH; t++)
            assert_close(h, "attention of what is not finite", t, stored_value(h->store, out, t),
                         cases[c].is_nan ? NAN : 2, 2);
    }
}

static void check_pool_not_finite(struct harness *h) {
    enum { LENGTH = 3 };
    static const float columns[][LENGTH] = {
        {NAN, 1, 2}, {1, NAN, 2}, {1, 2, NAN}, {-INFINITY, 1, 2}, {1, INFINITY, 2}};
    static const double largest[] = {NAN, NAN, NAN, 2, INFINITY},
                        mean[] = {NAN, NAN, NAN, -INFINITY, INFINITY};
    int32_t *start = harness_take(h, 2 * sizeof *start);
    float *in = harness_take(h, sizeof *columns), *out = harness_take(h, sizeof *out);
    void *bytes = harness_take(h, LENGTH * store_size(h->store));
    start[0] = 0;
    start[1] = LENGTH;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        memcpy(in, columns[c], sizeof columns[c]);
        LAUNCH(h, to_store, 1, 1, 1, MEMORY(in), MEMORY(bytes), NUMBER(LENGTH));
        LAUNCH(h, pool, 1, 1, 1, MEMORY(bytes), MEMORY(start), NUMBER(EL_POOL_MAX), NUMBER(1), MEMORY(out));
        assert_close_f32(h, "maximum", c, *out, largest[c], 0);
        LAUNCH(h, pool, 1, 1, 1, MEMORY(bytes), MEMORY(start), NUMBER(EL_POOL_MEAN), NUMBER(1), MEMORY(out));
        assert_close_f32(h, "mean", c, *out, mean[c], 0);
    }
}

// ---- a row's bits do not depend on its company ----

static void check_linear_company(struct harness *h) {
    enum { ROWS = 67, COLUMNS = 66, DEPTH = 83 };
    struct stored in = draw_stored(h, ROWS * DEPTH, 1), weights = draw_stored(h, COLUMNS * DEPTH, 1);
    float *bias = draw_floats(h, COLUMNS, 1);
    size_t row = COLUMNS * store_size(h->store);
    char *all = harness_take(h, ROWS * row), *alone = harness_take(h, row);
    LAUNCH(h, linear, 2, 2, 1, MEMORY(in.bytes), MEMORY(weights.bytes), MEMORY(bias), MEMORY(NULL),
           MEMORY(all), NUMBER(ROWS), NUMBER(COLUMNS), NUMBER(DEPTH), NUMBER(EL_ACT_GELU), NUMBER(0));
    for (size_t t = 0; t < ROWS; t += 13) {
        LAUNCH(h, linear, 2, 1, 1, MEMORY((char *)in.bytes + t * DEPTH * store_size(h->store)),
               MEMORY(weights.bytes), MEMORY(bias), MEMORY(NULL), MEMORY(alone), NUMBER(1), NUMBER(COLUMNS),
               NUMBER(DEPTH), NUMBER(EL_ACT_GELU), NUMBER(0));
        assert_memory_equal(alone, all + t * row, row);
    }
}

static void check_attention_company(struct harness *h) {
    enum { SIZE = 33, FIRST = 45, SECOND = 70 };
    struct stored qkv = draw_stored(h, (FIRST + SECOND) * 3 * SIZE, 1);
    int32_t *start = harness_take(h, 3 * sizeof *start);
    size_t row = SIZE * store_size(h->store);
    char *both = harness_take(h, (FIRST + SECOND) * row), *alone = harness_take(h, SECOND * row);
    start[0] = 0;
    start[1] = FIRST;
    start[2] = FIRST + SECOND;
    LAUNCH(h, attention, 2, 1, 2, MEMORY(qkv.bytes), MEMORY(start), NUMBER(1), NUMBER(SIZE), REAL(0.2f),
           MEMORY(both));
    start[1] = SECOND;
    LAUNCH(h, attention, 2, 1, 1, MEMORY((char *)qkv.bytes + FIRST * 3 * row), MEMORY(start), NUMBER(1),
           NUMBER(SIZE), REAL(0.2f), MEMORY(alone));
    assert_memory_equal(alone, both + FIRST * row, SECOND * row);
}

// ---- all of it ----

typedef void check_fn(struct harness *h);

static struct el_device *device; // NULL: the C life

static void run_checks(check_fn *const *checks, int count, int times) {
    static const char *const names[] = {"C, forwards", "C, backwards", "C, shuffled"};
    for (int order = EL_LANES_FORWARDS; order <= (device ? EL_LANES_FORWARDS : EL_LANES_SHUFFLED); order++)
        for (int store = 0; store < EL_STORE_COUNT; store++)
            for (int i = 0; i < count * times; i++) {
                struct harness h = {.name = device ? device->id : names[order],
                                    .store = (enum el_store)store,
                                    .random = (uint64_t)i * 977 + 1,
                                    .device = device};
                el_lanes_set_order((enum el_lane_order)order, (uint64_t)i);
                checks[i % count](&h);
                harness_reset(&h);
            }
}

#define KERNEL_TEST(name, times, ...)                                     \
    static void name(void **state) {                                      \
        (void)state;                                                      \
        check_fn *const checks[] = {__VA_ARGS__};                         \
        run_checks(checks, (int)(sizeof checks / sizeof *checks), times); \
    }
KERNEL_TEST(conversions_round_to_nearest_even, 1, check_conversions)
KERNEL_TEST(norms_are_the_definitions, 12, check_layer_norm, check_embed_norm)
KERNEL_TEST(products_are_the_definitions, 10, check_linear, check_linear_int8)
KERNEL_TEST(attention_is_the_definitions, 10, check_attention)
KERNEL_TEST(vectors_are_the_definitions, 8, check_pool, check_l2_normalize, check_inner_products, check_top_k)
KERNEL_TEST(top_products_are_the_definitions, 3, check_top_products, check_top_products_few)
KERNEL_TEST(the_canary_sings_as_expected, 3, check_canary)
KERNEL_TEST(what_is_not_finite_stays_so, 1, check_linear_not_finite, check_attention_not_finite,
            check_pool_not_finite)
KERNEL_TEST(bits_do_not_depend_on_company, 1, check_linear_company, check_attention_company)

enum { SKIPPED = 77 };

int main(int argc, char **argv) {
    if (argc > 1 && el_device_open(argv[1], 0, NULL, &device) < 0) {
        printf("SKIPPED: %s\n", el_error_detail());
        return SKIPPED;
    }

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions_round_to_nearest_even),
        cmocka_unit_test(norms_are_the_definitions),
        cmocka_unit_test(products_are_the_definitions),
        cmocka_unit_test(attention_is_the_definitions),
        cmocka_unit_test(vectors_are_the_definitions),
        cmocka_unit_test(top_products_are_the_definitions),
        cmocka_unit_test(the_canary_sings_as_expected),
        cmocka_unit_test(what_is_not_finite_stays_so),
        cmocka_unit_test(bits_do_not_depend_on_company),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (device) el_device_close(device);
    return failed;
}
