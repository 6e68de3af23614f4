// SPDX-License-Identifier: Apache-2.0
// The operations in plain C with double sums: their definition. Every other filling is checked against this.
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "ops/encode.h"
#include "ops/filling.h"

// (row - mean) / sqrt(variance + epsilon) * gamma + beta (Ba, Kiros, Hinton 2016).
static void normalize_row(const float *row, int64_t width, const float *gamma, const float *beta,
                          double epsilon, float *out) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < width; i++)
        sum += row[i];
    double mean = sum / (double)width;
    for (int64_t i = 0; i < width; i++)
        squares += (row[i] - mean) * (row[i] - mean);
    double inverse = 1 / sqrt(squares / (double)width + epsilon);
    for (int64_t i = 0; i < width; i++)
        out[i] = (float)((row[i] - mean) * inverse * gamma[i] + beta[i]);
}

static int layer_norm(struct el_exec *exec, const struct el_tensor *in, const struct el_tensor *gamma,
                      const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    (void)exec;
    int64_t width = in->dim[1];
    for (int64_t t = 0; t < in->dim[0]; t++)
        normalize_row(el_f32(in) + t * width, width, el_f32(gamma), el_f32(beta), epsilon,
                      el_f32(out) + t * width);
    return 0;
}

static int embed_norm(struct el_exec *exec, const struct el_tensor *ids, const struct el_tensor *positions,
                      const struct el_tensor *words, const struct el_tensor *places,
                      const struct el_tensor *kind, const struct el_tensor *gamma,
                      const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    (void)exec;
    int64_t width = words->dim[1];
    for (int64_t t = 0; t < ids->dim[0]; t++) {
        const float *word = el_f32(words) + el_i32(ids)[t] * width;
        const float *place = el_f32(places) + el_i32(positions)[t] * width;
        float *row = el_f32(out) + t * width;
        for (int64_t i = 0; i < width; i++)
            row[i] = word[i] + place[i] + el_f32(kind)[i];
        normalize_row(row, width, el_f32(gamma), el_f32(beta), epsilon, row);
    }
    return 0;
}

static double activate(enum el_act act, double x) {
    switch (act) {
    case EL_ACT_NONE:
        return x;
    case EL_ACT_GELU: // Hendrycks, Gimpel 2016
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case EL_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case EL_ACT_RELU:
        return x < 0 ? 0 : x;
    case EL_ACT_SILU:
        return x / (1 + exp(-x));
    }
    return x;
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

// One query row of one head. `query`, `keys` and `values` are rows of `stride` floats.
static void attend(const float *query, const float *keys, const float *values, int64_t stride, int64_t length,
                   int64_t size, double scale, double *weights, float *out) {
    double largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < length; j++) {
        weights[j] = scale * dot(query, keys + j * stride, size);
        largest = fmax(largest, weights[j]);
    }
    for (int64_t j = 0; j < length; j++) {
        weights[j] = exp(weights[j] - largest);
        total += weights[j];
    }
    for (int64_t i = 0; i < size; i++) {
        double sum = 0;
        for (int64_t j = 0; j < length; j++)
            sum += weights[j] * values[j * stride + i];
        out[i] = (float)(sum / total);
    }
}

// This filling's panels are one column wide: `weights` holds the rows of W one after the other.
static int linear(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                  enum el_act act, const struct el_tensor *residual, struct el_tensor *out) {
    enum el_precision precision = weights->precision;
    int64_t rows = in->dim[0], depth = weights->depth, columns = weights->columns;
    int64_t seen_depth = el_seen_depth(precision, depth);
    size_t row_bytes = (size_t)weights->weight_units * 4;
    char *units;
    float *seen,
        *column; // [rows][seen_depth], [seen_depth]: what the precision leaves of the input and of a row of W
    struct el_arena_mark mark = el_arena_mark(&exec->scratch);
    int status = el_arena_alloc(&exec->scratch, (size_t)weights->units, 4, &units);
    if (status == 0)
        status = el_arena_alloc(&exec->scratch, (size_t)(rows * seen_depth), sizeof *seen, &seen);
    if (status == 0) status = el_arena_alloc(&exec->scratch, (size_t)seen_depth, sizeof *column, &column);
    for (int64_t t = 0; t < rows && status == 0; t++) {
        const bool is_encoded = in->dtype == EL_U8;
        if (!is_encoded) el_encode_input(precision, el_f32(in) + t * depth, depth, units);
        el_decode_input(precision, is_encoded ? (char *)in->data + t * weights->units * 4 : units, depth,
                        seen + t * seen_depth);
    }
    for (int64_t n = 0; n < columns && status == 0; n++) {
        const char *row = (const char *)weights->weights + (size_t)n * row_bytes;
        el_decode_weights(precision, row, depth, weights->terms, column);
        for (int64_t t = 0; t < rows; t++) {
            double y = activate(act, dot(seen + t * seen_depth, column, seen_depth) + weights->bias[n]);
            if (residual) y += el_f32(residual)[t * columns + n];
            el_f32(out)[t * columns + n] = (float)y;
        }
    }
    el_arena_release(&exec->scratch, mark);
    return status;
}

static int attention(struct el_exec *exec, const struct el_tensor *qkv, const struct el_seqs *seqs, int heads,
                     float scale, struct el_tensor *out) {
    int64_t stride = qkv->dim[1], hidden = stride / 3, size = hidden / heads;
    struct el_arena_mark mark = el_arena_mark(&exec->scratch);
    for (int s = 0; s < seqs->count; s++) {
        int64_t first = seqs->start[s], length = seqs->start[s + 1] - first;
        double *weights;
        int status = el_arena_alloc(&exec->scratch, (size_t)length, sizeof *weights, &weights);
        if (status < 0) return status;
        const float *rows = el_f32(qkv) + first * stride;
        for (int64_t t = 0; t < length; t++)
            for (int64_t h = 0; h < heads; h++)
                attend(rows + t * stride + h * size, rows + hidden + h * size, rows + 2 * hidden + h * size,
                       stride, length, size, scale, weights, el_f32(out) + (first + t) * hidden + h * size);
        el_arena_release(&exec->scratch, mark);
    }
    return 0;
}

static double pool_column(const float *column, int64_t length, int64_t stride, enum el_pool kind) {
    double value = length > 0 ? column[0] : 0;
    if (kind == EL_POOL_CLS) return value;
    for (int64_t t = 1; t < length; t++) {
        double next = column[t * stride];
        if (kind == EL_POOL_MEAN)
            value += next;
        else if (!(next <= value)) // a NaN stays
            value = isnan(value) ? value : next;
    }
    return kind == EL_POOL_MEAN && length > 0 ? value / (double)length : value;
}

int el_pool_plain(struct el_exec *exec, const struct el_tensor *in, const struct el_seqs *seqs,
                  enum el_pool kind, struct el_tensor *out) {
    (void)exec;
    int64_t width = in->dim[1];
    for (int s = 0; s < seqs->count; s++) {
        int64_t first = seqs->start[s], length = seqs->start[s + 1] - first;
        for (int64_t i = 0; i < width; i++)
            el_f32(out)[s * width + i] =
                (float)pool_column(el_f32(in) + first * width + i, length, width, kind);
    }
    return 0;
}

int el_l2_normalize_plain(struct el_exec *exec, struct el_tensor *inout) {
    (void)exec;
    int64_t width = inout->dim[1];
    for (int64_t n = 0; n < inout->dim[0]; n++) {
        float *row = el_f32(inout) + n * width;
        double norm = sqrt(dot(row, row, width));
        for (int64_t i = 0; i < width; i++)
            row[i] = (float)(row[i] / (norm < 1e-12 ? 1e-12 : norm));
    }
    return 0;
}

// NaN before every number; ties by the lower place.
static bool is_better(const float *row, int64_t a, int64_t b) {
    const bool a_is_nan = isnan(row[a]), b_is_nan = isnan(row[b]);
    if (a_is_nan != b_is_nan) return a_is_nan;
    if (a_is_nan || row[a] == row[b]) return a < b;
    return row[a] > row[b];
}

// The best `wanted` places of a row in order; returns how many there are.
static int64_t best_places(const float *row, int64_t count, int64_t wanted, int32_t *places) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        if (found == wanted && !is_better(row, i, places[found - 1])) continue;
        int64_t at = found < wanted ? found++ : found - 1;
        for (; at > 0 && is_better(row, i, places[at - 1]); at--)
            places[at] = places[at - 1];
        places[at] = (int32_t)i;
    }
    return found;
}

int el_top_k_plain(struct el_exec *exec, const struct el_tensor *scores, struct el_tensor *values,
                   struct el_tensor *places) {
    (void)exec;
    const int64_t count = scores->dim[1], wanted = values->dim[1];
    for (int64_t n = 0; n < scores->dim[0]; n++) {
        const float *row = el_f32(scores) + n * count;
        int32_t *best = el_i32(places) + n * wanted;
        const int64_t found = wanted > 0 ? best_places(row, count, wanted, best) : 0;
        for (int64_t i = 0; i < wanted; i++) {
            if (i >= found) best[i] = -1;
            el_f32(values)[n * wanted + i] = i < found ? row[best[i]] : -INFINITY;
        }
    }
    return 0;
}

static int inner_products(struct el_exec *exec, const struct el_tensor *rows, const struct el_tensor *others,
                          struct el_tensor *out, struct el_tensor *squares) {
    (void)exec;
    const int64_t depth = rows->dim[1], count = others->dim[0];
    for (int64_t r = 0; r < rows->dim[0]; r++) {
        const float *row = el_f32(rows) + r * depth;
        el_f32(squares)[r] = (float)dot(row, row, depth);
        for (int64_t n = 0; n < count; n++)
            el_f32(out)[r * count + n] = (float)dot(row, el_f32(others) + n * depth, depth);
    }
    return 0;
}

// Panels are one column wide; the loops of `linear` need no tile.
static const struct el_product product = {.rows = 1, .columns = 1};
static const struct el_product *const byte_products[] = {&product, NULL};

const struct el_filling el_filling_ref = {
    .ops =
        {
            .name = "ref",
            .embed_norm = embed_norm,
            .linear = linear,
            .layer_norm = layer_norm,
            .attention = attention,
            .pool = el_pool_plain,
            .l2_normalize = el_l2_normalize_plain,
            .inner_products = inner_products,
            .top_k = el_top_k_plain,
            .top_products = el_top_products_plain,
            .top_products_few = el_top_products_plain,
        },
    .products =
        {[EL_PRECISION_FP32] = &product, [EL_PRECISION_BF16] = &product, [EL_PRECISION_INT8] = &product},
    .byte_products = byte_products,
};
