// SPDX-License-Identifier: Apache-2.0
// A case per operation of ops.def: draw a shape and inputs, run the table under test and the reference,
// compare. Beside each stands the shape that --bench times: 128 tokens of all-MiniLM-L6-v2.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "checkops.h"

// Half the draws are of the normal kind. fp16 has no room for the huge, and what it makes of the tiny is
// zero.
static enum kind draw_kind(struct check *check) {
    static const enum kind within_fp16[] = {KIND_NORMAL, KIND_SPARSE, KIND_NOT_FINITE};
    if (draw_int(&check->draw, 0, 1)) return KIND_NORMAL;
    const bool bytes = check->target.device && check->target.precision == EL_PRECISION_INT8;
    if (check->exec.activations == EL_F16)
        return within_fp16[draw_int(&check->draw, 0, (int)EL_COUNT(within_fp16) - 1 - bytes)];
    return (enum kind)draw_int(&check->draw, 0, KIND_COUNT - 1);
}

static float *drawn(struct check *check, enum kind kind, int64_t count) {
    float *data = check_floats(check, count);
    draw_floats(&check->draw, kind, data, count);
    return data;
}

static struct el_tensor drawn_1d(struct check *check, enum kind kind, int64_t count) {
    return el_tensor_1d(EL_F32, drawn(check, kind, count), count);
}

static struct el_tensor drawn_2d(struct check *check, enum kind kind, int64_t rows, int64_t columns) {
    return el_tensor_2d(EL_F32, drawn(check, kind, rows * columns), rows, columns);
}

static struct el_tensor empty_2d(struct check *check, int64_t rows, int64_t columns) {
    return el_tensor_2d(EL_F32, check_floats(check, rows * columns), rows, columns);
}

// Compares `got` with `want`, allowing for each row's largest magnitude in `want`.
static void check_tensor(struct check *check, const struct guarded *got, const struct el_tensor *want) {
    float *scale = check_floats(check, want->dim[0]);
    row_magnitudes(el_f32(want), want->dim[0], want->dim[1], scale);
    check_rows(check, got, el_f32(want), scale, want->dim[0], want->dim[1]);
}

// ---- linear ----

static float *magnitudes(struct check *check, const float *values, int64_t count) {
    float *out = check_floats(check, count);
    for (int64_t i = 0; i < count; i++)
        out[i] = fabsf(values[i]);
    return out;
}

struct linear_case {
    struct el_tensor in, weight, bias, residual;
    bool has_bias, has_residual;
    enum el_act act;
};

static void run_linear(struct check *check, struct el_exec *exec, const struct linear_case *c,
                       struct el_tensor *out) {
    struct el_linear *linear = NULL;
    const struct el_target ref = {.ops = exec->ops, .precision = check->precision};
    const struct el_target target = exec == &check->ref ? ref : check->target;
    check_status(check, el_linear_open(&target, &c->weight, c->has_bias ? &c->bias : NULL, &linear),
                 "el_linear_open");
    if (linear)
        check_status(
            check,
            exec->ops->linear(exec, &c->in, linear, c->act, c->has_residual ? &c->residual : NULL, out),
            "linear");
    el_linear_close(linear);
}

// What the sums would be had nothing canceled: rounding is measured against that.
static void linear_scale(struct check *check, const struct linear_case *c, float *ret_scale) {
    struct linear_case positive = *c;
    int64_t rows = c->in.dim[0], depth = c->in.dim[1], columns = c->weight.dim[0];
    positive.act = EL_ACT_NONE;
    positive.in.data = magnitudes(check, el_f32(&c->in), rows * depth);
    positive.weight.data = magnitudes(check, el_f32(&c->weight), columns * depth);
    positive.bias.data = magnitudes(check, el_f32(&c->bias), columns);
    positive.residual.data = magnitudes(check, el_f32(&c->residual), rows * columns);
    struct el_tensor sums = empty_2d(check, rows, columns);
    run_linear(check, &check->ref, &positive, &sums);
    row_magnitudes(el_f32(&sums), rows, columns, ret_scale);
}

// Where sums are not finite but an activation or a residual makes results that are, those are the measure.
static void add_magnitudes(struct check *check, const struct el_tensor *want, float *scale) {
    float *largest = check_floats(check, want->dim[0]);
    row_magnitudes(el_f32(want), want->dim[0], want->dim[1], largest);
    for (int64_t r = 0; r < want->dim[0]; r++)
        scale[r] = fmaxf(scale[r], largest[r]);
}

static void check_linear(struct check *check) {
    struct draw *draw = &check->draw;
    int64_t rows = draw_rows(draw), depth = draw_width(draw), columns = draw_width(draw);
    enum kind kind = draw_kind(check);
    struct linear_case c = {
        .in = drawn_2d(check, kind, rows, depth),
        .weight = drawn_2d(check, KIND_NORMAL, columns, depth),
        .bias = drawn_1d(check, KIND_NORMAL, columns),
        .residual = drawn_2d(check, kind, rows, columns),
        .has_bias = draw_int(draw, 0, 3) > 0,
        .has_residual = draw_int(draw, 0, 1),
        .act = (enum el_act)draw_int(draw, EL_ACT_NONE, EL_ACT_SILU),
    };
    bool in_place = c.has_residual && draw_int(draw, 0, 1);
    snprintf(check->shape, sizeof check->shape,
             "%d rows, depth %d, %d columns, %s, activation %d, bias %d, residual %d, in place %d", (int)rows,
             (int)depth, (int)columns, kind_text(kind), c.act, c.has_bias, c.has_residual, in_place);
    float *scale = check_floats(check, rows);
    linear_scale(check, &c, scale);
    struct el_tensor want = empty_2d(check, rows, columns);
    run_linear(check, &check->ref, &c, &want);
    add_magnitudes(check, &want, scale);
    struct guarded got = guarded_new(rows * columns);
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, rows, columns);
    if (in_place) {
        memcpy(got.data, c.residual.data, (size_t)(rows * columns) * sizeof(float));
        c.residual.data = got.data;
    }
    run_linear(check, &check->exec, &c, &out);
    check_rows(check, &got, el_f32(&want), scale, rows, columns);
    guarded_free(&got);
}

struct linear_bench {
    struct el_linear *linear;
    struct el_tensor in, out;
    enum el_act act;
};

static int run_linear_bench(struct check *check, void *state) {
    struct linear_bench *b = state;
    return check->ops->linear(&check->exec, &b->in, b->linear, b->act, NULL, &b->out);
}

static void bench_one_linear(struct check *check, const char *shape, int64_t rows, int64_t depth,
                             int64_t columns, enum el_act act) {
    struct el_tensor weight = drawn_2d(check, KIND_NORMAL, columns, depth);
    struct el_tensor bias = drawn_1d(check, KIND_NORMAL, columns);
    struct linear_bench b = {
        .in = drawn_2d(check, KIND_NORMAL, rows, depth),
        .out = empty_2d(check, rows, columns),
        .act = act,
    };
    check_status(check, el_linear_open(&check->target, &weight, &bias, &b.linear), "el_linear_open");
    if (!check->failed)
        bench_run(check, shape, 2.0 * (double)rows * (double)depth * (double)columns, "GFLOP/s",
                  run_linear_bench, &b);
    el_linear_close(b.linear);
    check_release(check);
}

static void bench_linear(struct check *check) {
    bench_one_linear(check, "128 x 384 -> 1152", 128, 384, 1152, EL_ACT_NONE);
    bench_one_linear(check, "128 x 384 -> 1536 GELU", 128, 384, 1536, EL_ACT_GELU);
    bench_one_linear(check, "128 x 1536 -> 384", 128, 1536, 384, EL_ACT_NONE);
    bench_one_linear(check, "16 x 384 -> 1152", 16, 384, 1152, EL_ACT_NONE);
    bench_one_linear(check, "1 x 384 -> 1152", 1, 384, 1152, EL_ACT_NONE);
}

// ---- layer_norm, embed_norm ----

// The mean takes away what the values have in common, and the division magnifies the rounding of what is
// left: a row is measured against its largest output and the output that its largest input would give without
// the mean.
static void norm_scale(const struct el_tensor *in, const struct el_tensor *gamma,
                       const struct el_tensor *want, float epsilon, float *ret_scale) {
    int64_t rows = in->dim[0], width = in->dim[1];
    float steepest;
    row_magnitudes(el_f32(gamma), 1, width, &steepest);
    row_magnitudes(el_f32(want), rows, width, ret_scale);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = el_f32(in) + r * width;
        double mean = 0, variance = 0, largest = 0;
        for (int64_t i = 0; i < width; i++)
            mean += row[i] / (double)width;
        for (int64_t i = 0; i < width; i++) {
            variance += (row[i] - mean) * (row[i] - mean) / (double)width;
            largest = fmax(largest, fabs(row[i]));
        }
        if (isfinite(variance)) ret_scale[r] += (float)(steepest * largest / sqrt(variance + epsilon));
    }
}

static void check_layer_norm(struct check *check) {
    int64_t rows = draw_rows(&check->draw), width = draw_width(&check->draw);
    enum kind kind = draw_kind(check);
    struct el_tensor in = drawn_2d(check, kind, rows, width);
    struct el_tensor gamma = drawn_1d(check, KIND_NORMAL, width), beta = drawn_1d(check, KIND_NORMAL, width);
    bool in_place = draw_int(&check->draw, 0, 1);
    snprintf(check->shape, sizeof check->shape, "%d rows of %d, %s, in place %d", (int)rows, (int)width,
             kind_text(kind), in_place);
    struct el_tensor want = empty_2d(check, rows, width);
    float *scale = check_floats(check, rows);
    check->ref.ops->layer_norm(&check->ref, &in, &gamma, &beta, 1e-5f, &want);
    norm_scale(&in, &gamma, &want, 1e-5f, scale);
    struct guarded got = guarded_new(rows * width);
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, rows, width);
    if (in_place) {
        memcpy(got.data, in.data, (size_t)(rows * width) * sizeof(float));
        in.data = got.data;
    }
    check_status(check, check->ops->layer_norm(&check->exec, &in, &gamma, &beta, 1e-5f, &out), "layer_norm");
    check_rows(check, &got, el_f32(&want), scale, rows, width);
    guarded_free(&got);
}

struct norm_bench {
    struct el_tensor in, gamma, beta, out;
};

static int run_layer_norm_bench(struct check *check, void *state) {
    struct norm_bench *b = state;
    return check->ops->layer_norm(&check->exec, &b->in, &b->gamma, &b->beta, 1e-12f, &b->out);
}

static void bench_layer_norm(struct check *check) {
    struct norm_bench b = {
        .in = drawn_2d(check, KIND_NORMAL, 128, 384),
        .gamma = drawn_1d(check, KIND_NORMAL, 384),
        .beta = drawn_1d(check, KIND_NORMAL, 384),
        .out = empty_2d(check, 128, 384),
    };
    bench_run(check, "128 x 384", 2.0 * 128 * 384 * 4, "GB/s", run_layer_norm_bench, &b);
    check_release(check);
}

struct embed_case {
    struct el_tensor ids, positions, words, places, kind, gamma, beta;
};

static struct el_tensor drawn_ids(struct check *check, int64_t count, int limit) {
    int32_t *ids = check_ints(check, count);
    for (int64_t i = 0; i < count; i++)
        ids[i] = draw_int(&check->draw, 0, limit - 1);
    return el_tensor_1d(EL_I32, ids, count);
}

static struct embed_case draw_embed(struct check *check, enum kind kind, int64_t rows, int64_t width,
                                    int words) {
    return (struct embed_case){
        .ids = drawn_ids(check, rows, words),
        .positions = drawn_ids(check, rows, 20),
        .words = drawn_2d(check, kind, words, width),
        .places = drawn_2d(check, kind, 20, width),
        .kind = drawn_1d(check, kind, width),
        .gamma = drawn_1d(check, KIND_NORMAL, width),
        .beta = drawn_1d(check, KIND_NORMAL, width),
    };
}

static int run_embed(struct el_exec *exec, const struct embed_case *c, struct el_tensor *out) {
    return exec->ops->embed_norm(exec, &c->ids, &c->positions, &c->words, &c->places, &c->kind, &c->gamma,
                                 &c->beta, 1e-5f, out);
}

static struct el_tensor embedded(struct check *check, const struct embed_case *c) {
    int64_t rows = c->ids.dim[0], width = c->words.dim[1];
    struct el_tensor sums = empty_2d(check, rows, width);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < width; i++)
            el_f32(&sums)[t * width + i] = el_f32(&c->words)[el_i32(&c->ids)[t] * width + i] +
                                           el_f32(&c->places)[el_i32(&c->positions)[t] * width + i] +
                                           el_f32(&c->kind)[i];
    return sums;
}

static void check_embed_norm(struct check *check) {
    int64_t rows = draw_rows(&check->draw), width = draw_width(&check->draw);
    enum kind kind = draw_kind(check);
    struct embed_case c = draw_embed(check, kind, rows, width, 30);
    snprintf(check->shape, sizeof check->shape, "%d rows of %d, %s", (int)rows, (int)width, kind_text(kind));
    struct el_tensor want = empty_2d(check, rows, width);
    run_embed(&check->ref, &c, &want);
    struct el_tensor sums = embedded(check, &c);
    float *scale = check_floats(check, rows);
    norm_scale(&sums, &c.gamma, &want, 1e-5f, scale);
    struct guarded got = guarded_new(rows * width);
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, rows, width);
    check_status(check, run_embed(&check->exec, &c, &out), "embed_norm");
    check_rows(check, &got, el_f32(&want), scale, rows, width);
    guarded_free(&got);
}

struct embed_bench {
    struct embed_case c;
    struct el_tensor out;
};

static int run_embed_bench(struct check *check, void *state) {
    struct embed_bench *b = state;
    return run_embed(&check->exec, &b->c, &b->out);
}

static void bench_embed_norm(struct check *check) {
    struct embed_bench b = {
        .c = draw_embed(check, KIND_NORMAL, 128, 384, 30522),
        .out = empty_2d(check, 128, 384),
    };
    bench_run(check, "128 x 384 of 30522 words", 3.0 * 128 * 384 * 4, "GB/s", run_embed_bench, &b);
    check_release(check);
}

// ---- attention, pool ----

// `count` sequences of 0 .. longest tokens.
static struct el_seqs draw_seqs(struct check *check, int count, int longest) {
    int32_t *start = check_ints(check, count + 1);
    start[0] = 0;
    for (int i = 0; i < count; i++)
        start[i + 1] = start[i] + draw_int(&check->draw, 0, longest);
    return (struct el_seqs){.count = count, .start = start};
}

// An output is a mean of the head's value rows, so it is measured against the largest of them in its
// sequence.
static void attention_scale(const struct el_seqs *seqs, const float *qkv, int64_t hidden, float *ret_scale) {
    for (int s = 0; s < seqs->count; s++) {
        float largest = 0;
        for (int64_t t = seqs->start[s]; t < seqs->start[s + 1]; t++)
            for (int64_t i = 0; i < hidden; i++) {
                float x = fabsf(qkv[t * 3 * hidden + 2 * hidden + i]);
                if (isfinite(x)) largest = fmaxf(largest, x);
            }
        for (int64_t t = seqs->start[s]; t < seqs->start[s + 1]; t++)
            ret_scale[t] = largest;
    }
}

// Queries and keys stay in a range where the exponential does not magnify rounding; values are of any kind.
static struct el_tensor draw_qkv(struct check *check, enum kind kind, int64_t rows, int64_t hidden) {
    struct el_tensor qkv = drawn_2d(check, KIND_NORMAL, rows, 3 * hidden);
    for (int64_t t = 0; t < rows; t++)
        draw_floats(&check->draw, kind, el_f32(&qkv) + t * 3 * hidden + 2 * hidden, hidden);
    if (kind == KIND_NOT_FINITE) draw_floats(&check->draw, kind, el_f32(&qkv), rows * 3 * hidden);
    return qkv;
}

static void check_attention(struct check *check) {
    static const int sizes[] = {1, 3, 8, 16, 31, 32, 33, 64, 80, 96, 128};
    struct draw *draw = &check->draw;
    int heads = draw_int(draw, 1, 3);
    int64_t size = sizes[draw_int(draw, 0, (int)EL_COUNT(sizes) - 1)], hidden = heads * size;
    struct el_seqs seqs = draw_seqs(check, draw_int(draw, 0, 4), draw_int(draw, 0, 9) ? 40 : 300);
    int64_t rows = seqs.start[seqs.count];
    enum kind kind = draw_kind(check);
    struct el_tensor qkv = draw_qkv(check, kind, rows, hidden);
    float temper = 1 / sqrtf((float)size);
    snprintf(check->shape, sizeof check->shape, "%d tokens in %d sequences, %d heads of %d, %s", (int)rows,
             seqs.count, heads, (int)size, kind_text(kind));
    float *scale = check_floats(check, rows);
    attention_scale(&seqs, el_f32(&qkv), hidden, scale);
    struct el_tensor want = empty_2d(check, rows, hidden);
    check_status(check, check->ref.ops->attention(&check->ref, &qkv, &seqs, heads, temper, &want),
                 "attention");
    struct guarded got = guarded_new(rows * hidden);
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, rows, hidden);
    check_status(check, check->ops->attention(&check->exec, &qkv, &seqs, heads, temper, &out), "attention");
    check_rows(check, &got, el_f32(&want), scale, rows, hidden);
    guarded_free(&got);
}

struct attention_bench {
    struct el_tensor qkv, out;
    struct el_seqs seqs;
};

static int run_attention_bench(struct check *check, void *state) {
    struct attention_bench *b = state;
    return check->ops->attention(&check->exec, &b->qkv, &b->seqs, 12, 0.176776695f, &b->out);
}

static void bench_one_attention(struct check *check, const char *shape, int count, int length) {
    int64_t rows = (int64_t)count * length;
    int32_t *start = check_ints(check, count + 1);
    for (int i = 0; i <= count; i++)
        start[i] = i * length;
    struct attention_bench b = {
        .qkv = drawn_2d(check, KIND_NORMAL, rows, 1152),
        .out = empty_2d(check, rows, 384),
        .seqs = {.count = count, .start = start},
    };
    bench_run(check, shape, 4.0 * (double)rows * length * 384, "GFLOP/s", run_attention_bench, &b);
    check_release(check);
}

static void bench_attention(struct check *check) {
    bench_one_attention(check, "9 x 14 tokens", 9, 14);
    bench_one_attention(check, "1 x 128 tokens", 1, 128);
    bench_one_attention(check, "1 x 211 tokens", 1, 211);
    bench_one_attention(check, "1 x 512 tokens", 1, 512);
}

static void check_pool(struct check *check) {
    struct draw *draw = &check->draw;
    struct el_seqs seqs = draw_seqs(check, draw_int(draw, 0, 6), 40);
    int64_t rows = seqs.start[seqs.count], width = draw_width(draw);
    enum kind kind = draw_kind(check);
    enum el_pool pool = (enum el_pool)draw_int(draw, EL_POOL_MEAN, EL_POOL_MAX);
    struct el_tensor in = drawn_2d(check, kind, rows, width), want = empty_2d(check, seqs.count, width);
    snprintf(check->shape, sizeof check->shape, "%d rows of %d in %d sequences, kind %d, %s", (int)rows,
             (int)width, seqs.count, pool, kind_text(kind));
    check->ref.ops->pool(&check->ref, &in, &seqs, pool, &want);
    struct guarded got = guarded_new(seqs.count * width);
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, seqs.count, width);
    check_status(check, check->ops->pool(&check->exec, &in, &seqs, pool, &out), "pool");
    check_tensor(check, &got, &want);
    guarded_free(&got);
}

static int run_pool_bench(struct check *check, void *state) {
    struct attention_bench *b = state;
    return check->ops->pool(&check->exec, &b->qkv, &b->seqs, EL_POOL_MEAN, &b->out);
}

static void bench_pool(struct check *check) {
    static const int32_t start[] = {0, 14, 28, 42, 56, 70, 84, 98, 112, 126};
    struct attention_bench b = {
        .qkv = drawn_2d(check, KIND_NORMAL, 126, 384),
        .out = empty_2d(check, 9, 384),
        .seqs = {.count = 9, .start = start},
    };
    bench_run(check, "mean of 9 x 14 tokens", 126.0 * 384 * 4, "GB/s", run_pool_bench, &b);
    check_release(check);
}

// ---- l2_normalize ----

static void check_l2_normalize(struct check *check) {
    int64_t rows = draw_rows(&check->draw), width = draw_width(&check->draw);
    enum kind kind = draw_kind(check);
    struct el_tensor want = drawn_2d(check, kind, rows, width);
    snprintf(check->shape, sizeof check->shape, "%d rows of %d, %s", (int)rows, (int)width, kind_text(kind));
    struct guarded got = guarded_new(rows * width);
    memcpy(got.data, want.data, (size_t)(rows * width) * sizeof(float));
    struct el_tensor out = el_tensor_2d(EL_F32, got.data, rows, width);
    check->ref.ops->l2_normalize(&check->ref, &want);
    check_status(check, check->ops->l2_normalize(&check->exec, &out), "l2_normalize");
    check_tensor(check, &got, &want);
    guarded_free(&got);
}

static int run_l2_bench(struct check *check, void *state) {
    return check->ops->l2_normalize(&check->exec, state);
}

static void bench_l2_normalize(struct check *check) {
    struct el_tensor rows = drawn_2d(check, KIND_NORMAL, 9, 384);
    bench_run(check, "9 x 384", 2.0 * 9 * 384 * 4, "GB/s", run_l2_bench, &rows);
    check_release(check);
}

// ---- inner_products ----

static void run_inner_products(struct check *check, struct el_exec *exec, const struct el_tensor *rows,
                               const struct el_tensor *others, float *out, float *squares) {
    struct el_tensor products = el_tensor_2d(EL_F32, out, rows->dim[0], others->dim[0]);
    struct el_tensor own = el_tensor_1d(EL_F32, squares, rows->dim[0]);
    check_status(check, exec->ops->inner_products(exec, rows, others, &products, &own), "inner_products");
}

// What the sums would be had nothing canceled: rounding is measured against that. `ret_squares` may not
// cancel and are their own measure.
static void products_scale(struct check *check, const struct el_tensor *rows, const struct el_tensor *others,
                           float *ret_scale) {
    const int64_t count = rows->dim[0], depth = rows->dim[1], columns = others->dim[0];
    struct el_tensor left =
        el_tensor_2d(EL_F32, magnitudes(check, el_f32(rows), count * depth), count, depth);
    struct el_tensor right =
        el_tensor_2d(EL_F32, magnitudes(check, el_f32(others), columns * depth), columns, depth);
    float *sums = check_floats(check, count * columns), *squares = check_floats(check, count);
    run_inner_products(check, &check->ref, &left, &right, sums, squares);
    row_magnitudes(sums, count, columns, ret_scale);
}

static void check_inner_products(struct check *check) {
    const int64_t count = draw_rows(&check->draw), depth = draw_width(&check->draw);
    const int64_t columns = draw_int(&check->draw, 0, 9);
    const enum kind kind = draw_kind(check);
    const struct el_tensor rows = drawn_2d(check, kind, count, depth);
    const struct el_tensor others = drawn_2d(check, KIND_NORMAL, columns, depth);
    snprintf(check->shape, sizeof check->shape, "%d rows of %d, %d others, %s", (int)count, (int)depth,
             (int)columns, kind_text(kind));
    float *want = check_floats(check, count * columns), *want_squares = check_floats(check, count);
    float *scale = check_floats(check, count);
    run_inner_products(check, &check->ref, &rows, &others, want, want_squares);
    products_scale(check, &rows, &others, scale);
    struct guarded got = guarded_new(count * columns), squares = guarded_new(count);
    run_inner_products(check, &check->exec, &rows, &others, got.data, squares.data);
    check_rows(check, &got, want, scale, count, columns);
    row_magnitudes(want_squares, count, 1, scale);
    if (!check->failed) check_rows(check, &squares, want_squares, scale, count, 1);
    guarded_free(&got);
    guarded_free(&squares);
}

struct products_bench {
    struct el_tensor rows, others, out, squares;
};

static int run_products_bench(struct check *check, void *state) {
    struct products_bench *b = state;
    return check->ops->inner_products(&check->exec, &b->rows, &b->others, &b->out, &b->squares);
}

static void bench_one_products(struct check *check, const char *shape, int64_t rows, int64_t others) {
    struct products_bench b = {
        .rows = drawn_2d(check, KIND_NORMAL, rows, 384),
        .others = drawn_2d(check, KIND_NORMAL, others, 384),
        .out = empty_2d(check, rows, others),
        .squares = drawn_1d(check, KIND_NORMAL, rows),
    };
    bench_run(check, shape, (double)rows * 384 * 4, "GB/s", run_products_bench, &b);
    check_release(check);
}

static void bench_inner_products(struct check *check) {
    bench_one_products(check, "100,000 x 384 by 1", 100000, 1);
    bench_one_products(check, "100,000 x 384 by 8", 100000, 8);
    bench_one_products(check, "200 x 384 by 8", 200, 8);
    bench_one_products(check, "200 x 384 by 0", 200, 0);
}

// ---- top_k ----

// Whole numbers become floats where they lie.
static void floats_of_places(float *places, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        int32_t place;
        memcpy(&place, places + i, sizeof place);
        places[i] = (float)place;
    }
}

// Values and places, the latter as floats.
static void run_top_k(struct check *check, struct el_exec *exec, const struct el_tensor *scores,
                      int64_t wanted, float *values, float *places) {
    const int64_t rows = scores->dim[0];
    struct el_tensor best = el_tensor_2d(EL_F32, values, rows, wanted);
    struct el_tensor at = el_tensor_2d(EL_I32, places, rows, wanted);
    check_status(check, exec->ops->top_k(exec, scores, &best, &at), "top_k");
    floats_of_places(places, rows * wanted);
}

static void check_top_k(struct check *check) {
    struct draw *draw = &check->draw;
    const int64_t rows = draw_int(draw, 0, 5), count = draw_width(draw);
    const int64_t wanted = draw_int(draw, 0, 3) ? draw_int(draw, 1, 20) : draw_int(draw, 1, 1024);
    const enum kind kind = (enum kind)draw_int(draw, 0, KIND_COUNT - 1);
    struct el_tensor scores = drawn_2d(check, kind, rows, count);
    for (int64_t i = 0; i < rows * count; i++)
        if (draw_int(draw, 0, 1)) el_f32(&scores)[i] = (float)draw_int(draw, -3, 3); // ties
    snprintf(check->shape, sizeof check->shape, "%d of %d, %d rows, %s", (int)wanted, (int)count, (int)rows,
             kind_text(kind));
    float *want_values = check_floats(check, rows * wanted),
          *want_places = check_floats(check, rows * wanted);
    float *scale = check_floats(check, rows);
    memset(scale, 0, (size_t)rows * sizeof *scale); // not a bit may differ
    run_top_k(check, &check->ref, &scores, wanted, want_values, want_places);
    struct guarded values = guarded_new(rows * wanted), places = guarded_new(rows * wanted);
    run_top_k(check, &check->exec, &scores, wanted, values.data, places.data);
    check_rows(check, &values, want_values, scale, rows, wanted);
    if (!check->failed) check_rows(check, &places, want_places, scale, rows, wanted);
    guarded_free(&values);
    guarded_free(&places);
}

struct top_k_bench {
    struct el_tensor scores, values, places;
};

static int run_top_k_bench(struct check *check, void *state) {
    struct top_k_bench *b = state;
    return check->ops->top_k(&check->exec, &b->scores, &b->values, &b->places);
}

static void bench_top_k(struct check *check) {
    struct top_k_bench b = {
        .scores = drawn_2d(check, KIND_NORMAL, 1, 100000),
        .values = empty_2d(check, 1, 10),
        .places = el_tensor_2d(EL_I32, check_ints(check, 10), 1, 10),
    };
    bench_run(check, "10 of 100,000", 100000.0 * 4, "GB/s", run_top_k_bench, &b);
    check_release(check);
}

// ---- top_products, top_products_few ----

typedef int top_products_fn(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                            struct el_tensor *values, struct el_tensor *places);

// Values, and places as floats, for layers that are packed for `exec`.
static void run_top_products(struct check *check, struct el_exec *exec, top_products_fn *top_products,
                             const struct linear_case *c, int64_t wanted, float *values, float *places) {
    const int64_t rows = c->in.dim[0];
    struct el_linear *linear = NULL;
    const struct el_target ref = {.ops = exec->ops, .precision = check->precision};
    struct el_tensor best = el_tensor_2d(EL_F32, values, rows, wanted);
    struct el_tensor at = el_tensor_2d(EL_I32, places, rows, wanted);
    check_status(check,
                 el_linear_open(exec == &check->ref ? &ref : &check->target, &c->weight, &c->bias, &linear),
                 "el_linear_open");
    if (linear) check_status(check, top_products(exec, &c->in, linear, &best, &at), "top_products");
    el_linear_close(linear);
    floats_of_places(places, rows * wanted);
}

// Sums of small whole numbers are exact in any order, and ties are many.
static void make_whole(struct check *check, const struct el_tensor *tensor) {
    for (int64_t i = 0; i < el_tensor_count(tensor); i++)
        el_f32(tensor)[i] = (float)draw_int(&check->draw, -2, 2);
}

// The product of a place is the value beside it, and no place comes twice.
static void check_places(struct check *check, const struct guarded *values, const struct guarded *places,
                         const struct el_tensor *products, const float *scale, int64_t wanted) {
    const int64_t columns = products->dim[1];
    for (int64_t i = 0; i < values->count && !check->failed; i++) {
        const int64_t row = i / wanted, place = (int64_t)places->data[i];
        bool good = place < 0 ? i % wanted >= columns : place < columns;
        for (int64_t j = row * wanted; j < i && place >= 0; j++)
            good &= places->data[j] != places->data[i];
        if (good && place >= 0)
            good = fabs((double)el_f32(products)[row * columns + place] - (double)values->data[i]) <=
                   check->tolerance * (double)scale[row] + 1e-30;
        if (good) continue;
        snprintf(check->message, sizeof check->message, "row %d: number %d is place %d, which is not so",
                 (int)row, (int)(i % wanted), (int)place);
        check->failed = true;
    }
}

static void compare_top_products(struct check *check, top_products_fn *ref, top_products_fn *ours,
                                 const struct linear_case *c, int64_t wanted, bool whole) {
    const int64_t rows = c->in.dim[0], count = rows * wanted;
    float *want_values = check_floats(check, count), *want_places = check_floats(check, count);
    float *scale = check_floats(check, rows), *zeros = check_floats(check, rows);
    struct el_tensor products = empty_2d(check, rows, c->weight.dim[0]);
    struct guarded values = guarded_new(count), places = guarded_new(count);
    memset(zeros, 0, (size_t)rows * sizeof *zeros);
    if (!whole) linear_scale(check, c, scale);
    if (!whole) run_linear(check, &check->ref, c, &products);
    run_top_products(check, &check->ref, ref, c, wanted, want_values, want_places);
    run_top_products(check, &check->exec, ours, c, wanted, values.data, places.data);
    check_rows(check, &values, want_values, whole ? zeros : scale, rows, wanted);
    if (!check->failed && whole) check_rows(check, &places, want_places, zeros, rows, wanted);
    if (!check->failed && !whole) check_places(check, &values, &places, &products, scale, wanted);
    guarded_free(&values);
    guarded_free(&places);
}

// One draw in four has elements that are not finite.
static void check_either_top_products(struct check *check, top_products_fn *ref, top_products_fn *ours,
                                      int64_t rows) {
    struct draw *draw = &check->draw;
    const int64_t depth = draw_width(draw), columns = draw_width(draw) * draw_int(draw, 1, 3);
    const int64_t wanted = draw_int(draw, 0, 5) ? draw_int(draw, 1, 20) : draw_int(draw, 1, 1024);
    const bool whole = draw_int(draw, 0, 1), not_finite = whole && draw_int(draw, 0, 1);
    struct linear_case c = {
        .in = drawn_2d(check, KIND_NORMAL, rows, depth),
        .weight = drawn_2d(check, KIND_NORMAL, columns, depth),
        .bias = drawn_1d(check, KIND_NORMAL, columns),
        .residual = empty_2d(check, rows, columns),
        .has_bias = true,
        .act = EL_ACT_NONE,
    };
    memset(c.residual.data, 0, (size_t)(rows * columns) * sizeof(float));
    if (whole) {
        make_whole(check, &c.in);
        make_whole(check, &c.weight);
        make_whole(check, &c.bias);
    }
    for (int i = 0; i < 3 && not_finite; i++)
        el_f32(&c.bias)[draw_int(draw, 0, (int)columns - 1)] = (float[]){NAN, INFINITY, -INFINITY}[i];
    snprintf(check->shape, sizeof check->shape,
             "%d of %d columns, depth %d, %d rows, whole %d, not finite %d", (int)wanted, (int)columns,
             (int)depth, (int)rows, whole, not_finite);
    compare_top_products(check, ref, ours, &c, wanted, whole);
}

static void check_top_products(struct check *check) {
    check_either_top_products(check, check->ref.ops->top_products, check->ops->top_products,
                              draw_rows(&check->draw) * draw_int(&check->draw, 1, 2));
}

static void check_top_products_few(struct check *check) {
    check_either_top_products(check, check->ref.ops->top_products_few, check->ops->top_products_few,
                              draw_int(&check->draw, 0, 8));
}

struct top_products_bench {
    top_products_fn *top_products;
    struct el_linear *linear;
    struct el_tensor in, values, places;
};

static int run_top_products_bench(struct check *check, void *state) {
    struct top_products_bench *b = state;
    return b->top_products(&check->exec, &b->in, b->linear, &b->values, &b->places);
}

static void bench_either_top_products(struct check *check, top_products_fn *top_products, int rows) {
    const int64_t columns = 20000, depth = 384, wanted = 10;
    struct el_tensor weight = drawn_2d(check, KIND_NORMAL, columns, depth);
    struct top_products_bench b = {
        .top_products = top_products,
        .in = drawn_2d(check, KIND_NORMAL, rows, depth),
        .values = empty_2d(check, rows, wanted),
        .places = el_tensor_2d(EL_I32, check_ints(check, rows * wanted), rows, wanted),
    };
    char shape[64];
    snprintf(shape, sizeof shape, "%d, 10 of 20,000 x 384", rows);
    check_status(check, el_linear_open(&check->target, &weight, NULL, &b.linear), "el_linear_open");
    if (!check->failed)
        bench_run(check, shape, 2.0 * rows * (double)(columns * depth), "GFLOP/s", run_top_products_bench,
                  &b);
    el_linear_close(b.linear);
    check_release(check);
}

static void bench_top_products(struct check *check) {
    bench_either_top_products(check, check->ops->top_products, 64);
}

static void bench_top_products_few(struct check *check) {
    bench_either_top_products(check, check->ops->top_products_few, 1);
}

// An operation of ops.def without a case does not compile.
const struct op_case op_cases[] = {
#define OP(op, params, allowed, text) \
    {.name = #op, .tolerance = allowed, .check = check_##op, .bench = bench_##op},
#include "ops/ops.def"
#undef OP
};
const int op_case_count = EL_COUNT(op_cases);
