// SPDX-License-Identifier: Apache-2.0
// Straight loops in double.
#include "reference.h"

#include <math.h>

void reference_layer_norm(const double *row, int width, const float *gamma, const float *beta, double epsilon,
                          double *ret_row, double *ret_size) {
    double mean = 0, variance = 0, largest = 0;
    for (int i = 0; i < width; i++)
        mean += row[i] / width;
    for (int i = 0; i < width; i++)
        variance += (row[i] - mean) * (row[i] - mean) / width;
    for (int i = 0; i < width; i++)
        largest = fmax(largest, fabs(row[i]));
    double inverse = 1 / sqrt(variance + epsilon);
    for (int i = 0; i < width; i++) {
        ret_row[i] = (row[i] - mean) * inverse * gamma[i] + beta[i];
        ret_size[i] = (largest + fabs(mean)) * inverse * fabs(gamma[i]) + fabs(beta[i]);
    }
}

static double activated(enum el_act act, double x) {
    switch (act) {
    case EL_ACT_NONE:
        return x;
    case EL_ACT_GELU:
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

double reference_linear(const double *in, const double *weights, int depth, double bias, enum el_act act,
                        double residual, double *ret_size) {
    double sum = bias;
    *ret_size = fabs(bias) + fabs(residual);
    for (int k = 0; k < depth; k++) {
        sum += in[k] * weights[k];
        *ret_size += fabs(in[k] * weights[k]);
    }
    return activated(act, sum) + residual;
}

void reference_attention(const double *query, const double *keys, const double *values, int stride,
                         int length, int size, double scale, double *ret_row, double *ret_size) {
    double largest = -INFINITY, total = 0;
    for (int i = 0; i < size; i++)
        ret_row[i] = ret_size[i] = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j < length; j++) {
            double score = 0;
            for (int i = 0; i < size; i++)
                score += scale * query[i] * keys[j * stride + i];
            if (pass == 0) largest = fmax(largest, score);
            if (pass == 0) continue;
            double weight = exp(score - largest);
            total += weight;
            for (int i = 0; i < size; i++) {
                ret_row[i] += weight * values[j * stride + i];
                ret_size[i] = fmax(ret_size[i], fabs(values[j * stride + i]));
            }
        }
    for (int i = 0; i < size; i++)
        ret_row[i] /= total;
}

double reference_pool(const double *column, int length, int stride, enum el_pool kind, double *ret_size) {
    double value = length > 0 ? column[0] : 0;
    *ret_size = fabs(value);
    for (int t = 1; t < length && kind != EL_POOL_CLS; t++) {
        double next = column[t * stride];
        *ret_size = fmax(*ret_size, fabs(next));
        if (kind == EL_POOL_MEAN)
            value += next;
        else if (isnan(next) || next > value)
            value = next;
    }
    return kind == EL_POOL_MEAN && length > 0 ? value / length : value;
}

// NaN before every number.
static int is_better(float a, float b) {
    return (isnan(a) && !isnan(b)) || a > b;
}

void reference_top_k(const float *scores, int count, int k, float *ret_values, int32_t *ret_places) {
    int found = 0;
    for (int i = 0; i < count; i++) { // insertion behind all that are as good
        int at = found;
        while (at > 0 && is_better(scores[i], ret_values[at - 1]))
            at--;
        if (at == k) continue;
        found += found < k;
        for (int j = found - 1; j > at; j--) {
            ret_values[j] = ret_values[j - 1];
            ret_places[j] = ret_places[j - 1];
        }
        ret_values[at] = scores[i];
        ret_places[at] = i;
    }
    for (int j = found; j < k; j++) {
        ret_values[j] = -INFINITY;
        ret_places[j] = -1;
    }
}
