// SPDX-License-Identifier: Apache-2.0
// Bounds of rounding.
#include "vectors/bound.h"

#include <float.h>
#include <math.h>

#include "vectors/score.h"

enum { MORE_TERMS = 8 }; // what stands beside the additions: thresholds, squares and scores are rounded too

struct el_bound el_bound_init(enum el_metric metric, int dim) {
    const double terms = (dim + MORE_TERMS) * 0x1p-24;
    return (struct el_bound){.metric = metric, .dim = dim, .rounding = terms / (1 - terms)};
}

double el_bound_length(const struct el_bound *bound, double square) {
    return sqrt(square * (1 + 2 * bound->rounding) + (double)bound->dim * FLT_MIN);
}

struct el_query_bound el_bound_query(const struct el_bound *bound, const float *query) {
    const double square = el_exact_score(EL_METRIC_IP, query, query, bound->dim);
    return (struct el_query_bound){.square = square, .length = el_bound_length(bound, square)};
}

// -|q - r|^2 >= t is q r - |r|^2 / 2 >= (t + |q|^2) / 2. Of bytes q' and r' is multiplied, and by Cauchy and
// Schwarz |q r - q' r'| = |q' (r - r') + (q - q') r| <= |q'| |r - r'| + |q - q'| |r|.
float el_bound_least(const struct el_bound *bound, const struct el_query_bound *query, float score,
                     const struct el_row_bound *rows) {
    const double both = query->length + rows->longest;
    const double coarse =
        rows->as_bytes ? (query->length + query->error) * rows->error + query->error * rows->longest : 0;
    if (bound->metric != EL_METRIC_L2)
        return (float)((double)score - bound->rounding * query->length * rows->longest - coarse);
    return (float)(((double)score + query->square) / 2 - bound->rounding * both * both - coarse);
}
