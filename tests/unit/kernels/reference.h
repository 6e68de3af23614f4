// SPDX-License-Identifier: Apache-2.0
// The kernels' results as the definition has them (src/ops/ref.c), in double, from the values that the store
// type left. `ret_size`, where there is one, gets the size of what a result was summed from, for the
// tolerance.
#ifndef EL_TESTS_REFERENCE_H
#define EL_TESTS_REFERENCE_H

#include <stdint.h>

#include "ops/ops.h"

void reference_layer_norm(const double *row, int width, const float *gamma, const float *beta, double epsilon,
                          double *ret_row, double *ret_size);
// One element: act(sum + bias) + residual.
double reference_linear(const double *in, const double *weights, int depth, double bias, enum el_act act,
                        double residual, double *ret_size);
// One row of one head. Rows of keys and values are `stride` apart.
void reference_attention(const double *query, const double *keys, const double *values, int stride,
                         int length, int size, double scale, double *ret_row, double *ret_size);
// One column of `length` rows that are `stride` apart.
double reference_pool(const double *column, int length, int stride, enum el_pool kind, double *ret_size);
void reference_top_k(const float *scores, int count, int k, float *ret_values, int32_t *ret_places);

#endif
