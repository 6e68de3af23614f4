// SPDX-License-Identifier: Apache-2.0
// Scores in double, in eight sums, so that a compiler may put them side by side into vectors of any width
// without a change of a bit. This file is compiled without fused multiply-adds for the same reason: products
// of floats are exact in double, squares of differences are not.
#include "index/score.h"

enum { SUMS = 8 };

static double add_sums(const double sums[SUMS]) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static double inner_product(const float *a, const float *b, int dim) {
    double sums[SUMS] = {0};
    int i = 0;
    for (; i + SUMS <= dim; i += SUMS)
        for (int j = 0; j < SUMS; j++)
            sums[j] += (double)a[i + j] * b[i + j];
    for (int j = 0; i + j < dim; j++)
        sums[j] += (double)a[i + j] * b[i + j];
    return add_sums(sums);
}

static double squared_distance(const float *a, const float *b, int dim) {
    double sums[SUMS] = {0};
    int i = 0;
    for (; i + SUMS <= dim; i += SUMS)
        for (int j = 0; j < SUMS; j++) {
            const double difference = (double)a[i + j] - b[i + j];
            sums[j] += difference * difference;
        }
    for (int j = 0; i + j < dim; j++) {
        const double difference = (double)a[i + j] - b[i + j];
        sums[j] += difference * difference;
    }
    return add_sums(sums);
}

float el_exact_score(enum el_metric metric, const float *query, const float *row, int dim) {
    return (float)(metric == EL_METRIC_L2 ? -squared_distance(query, row, dim)
                                          : inner_product(query, row, dim));
}
