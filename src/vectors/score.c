// SPDX-License-Identifier: Apache-2.0
// Scores in double, in eight sums side by side: GNU vectors, so that each instruction set does it in as many
// registers as it takes, without a change of a bit. This file is compiled without fused multiply-adds for the
// same reason: products of floats are exact in double, squares of differences are not.
#include "vectors/score.h"

#include <stdbool.h>
#include <string.h>

enum { SUMS = 8 };

typedef double sums __attribute__((vector_size(SUMS * sizeof(double))));
typedef float floats __attribute__((vector_size(SUMS * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline void add_terms(bool squares, const float *query, const float *row, sums *total) {
    const sums a = __builtin_convertvector(*(const floats *)query, sums);
    const sums b = __builtin_convertvector(*(const floats *)row, sums);
    const sums difference = a - b;
    *total += squares ? difference * difference : a * b;
}

// The sum of products, or of squared differences. `squares` is a constant where this is inlined. What is
// short of eight at the end is filled up with zeros, which add nothing.
static inline __attribute__((always_inline)) double add_all(bool squares, const float *query,
                                                            const float *row, int dim) {
    const int whole = dim / SUMS * SUMS;
    float query_end[SUMS] = {0}, row_end[SUMS] = {0};
    sums total = {0};
    for (int i = 0; i < whole; i += SUMS)
        add_terms(squares, query + i, row + i, &total);
    memcpy(query_end, query + whole, (size_t)(dim - whole) * sizeof *query);
    memcpy(row_end, row + whole, (size_t)(dim - whole) * sizeof *row);
    add_terms(squares, query_end, row_end, &total);
    return ((total[0] + total[4]) + (total[2] + total[6])) + ((total[1] + total[5]) + (total[3] + total[7]));
}

float el_exact_score(enum el_metric metric, const float *query, const float *row, int dim) {
    return (float)(metric == EL_METRIC_L2 ? -add_all(true, query, row, dim)
                                          : add_all(false, query, row, dim));
}
