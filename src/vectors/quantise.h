// SPDX-License-Identifier: Apache-2.0
// Vectors as bytes with a scale each, and how far products of such bytes can be from those of the vectors.
//
// A row e is kept as codes r with a scale s, a query p as codes q with a scale t. With what is left over,
// f = e - s r and g = p - t q:
//     p e = s t (q r) + p f + g (s r),   |p f + g (s r)| <= s (|p| |f| / s + |g| |r|)
// So s t (q r + slack) is never below p e, where slack = (|p| F + |g| R) / t with F, R the largest |f| / s
// and |r| of the rows. That is no estimate: a search that looks at all rows it lets through misses none.
#ifndef EL_VECTORS_QUANTISE_H
#define EL_VECTORS_QUANTISE_H

#include <stdint.h>

#include "ops/reach.h"

// Of a list of rows.
struct el_code_spread {
    double rest;   // the largest |f| / s
    double length; // the largest |r|
};

// Row `place` (0 .. EL_REACH_ROWS - 1) of a panel from e = row - origin - centroid; codes behind the
// dimensions are zero. Widens *inout_spread.
void el_quantise_row(const float *row, const float *origin, const float *centroid, int dim, int place,
                     uint8_t *panel, float *ret_scale, struct el_code_spread *inout_spread);

struct el_quantised_query {
    int8_t *codes; // [el_reach_units(dim)][EL_REACH_UNIT]
    int32_t start;
    float scale;
    double length, rest; // |p|, |g|
};

// Codes -most .. most of `query`, into ret_query->codes, which the caller gives.
void el_quantise_query(const float *query, int dim, int most, struct el_quantised_query *ret_query);

static inline float el_code_slack(const struct el_quantised_query *query, const struct el_code_spread *rows) {
    return (float)((query->length * rows->rest + query->rest * rows->length) / (double)query->scale *
                   1.000001);
}

#endif
