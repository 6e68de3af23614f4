// SPDX-License-Identifier: Apache-2.0
// Quantisation in double, so that what is left over is known and not itself rounded.
#include "vectors/quantise.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

// The scale at which `largest` gets the code `most`. A scale of zero would hide what is left over.
static float scale_for(double largest, int most) {
    const double scale = largest / most;
    return scale > (double)FLT_MIN ? (float)scale : FLT_MIN;
}

// One that is no number gets any.
static int code_of(double x, float scale, int most) {
    const double code = x / (double)scale + (x < 0 ? -0.5 : 0.5);
    return code > most ? most : code > -most ? (int)code : -most;
}

void el_quantise_row(const float *row, const float *origin, const float *centroid, int dim, int place,
                     uint8_t *panel, float *ret_scale, struct el_code_spread *inout_spread) {
    double largest = 0, rest = 0, length = 0;
    for (int d = 0; d < dim; d++)
        largest = fmax(largest, fabs((double)row[d] - (double)origin[d] - (double)centroid[d]));
    const float scale = scale_for(largest, EL_REACH_MOST);
    for (int d = 0; d < dim; d++) {
        const double x = (double)row[d] - (double)origin[d] - (double)centroid[d];
        const int code = code_of(x, scale, EL_REACH_MOST);
        const double left = x / (double)scale - code;
        panel[(d / EL_REACH_UNIT * EL_REACH_ROWS + place) * EL_REACH_UNIT + d % EL_REACH_UNIT] =
            (uint8_t)(code + EL_REACH_ZERO);
        rest += left * left;
        length += (double)code * code;
    }
    for (int d = dim; d % EL_REACH_UNIT; d++)
        panel[(d / EL_REACH_UNIT * EL_REACH_ROWS + place) * EL_REACH_UNIT + d % EL_REACH_UNIT] =
            EL_REACH_ZERO;
    *ret_scale = scale;
    inout_spread->rest = EL_MAX(inout_spread->rest, sqrt(rest));
    inout_spread->length = EL_MAX(inout_spread->length, sqrt(length));
}

void el_quantise_query(const float *query, int dim, int most, struct el_quantised_query *ret_query) {
    double largest = 0, square = 0, rest = 0;
    const int64_t units = el_reach_units(dim);
    for (int d = 0; d < dim; d++)
        largest = fmax(largest, fabs((double)query[d]));
    const float scale = scale_for(largest, most);
    memset(ret_query->codes, 0, (size_t)(units * EL_REACH_UNIT));
    for (int d = 0; d < dim; d++) {
        const int code = code_of((double)query[d], scale, most);
        const double left = (double)query[d] - (double)scale * code;
        ret_query->codes[d] = (int8_t)code;
        square += (double)query[d] * (double)query[d];
        rest += left * left;
    }
    ret_query->start = el_reach_start(ret_query->codes, units);
    ret_query->scale = scale;
    ret_query->length = sqrt(square);
    ret_query->rest = sqrt(rest);
}
