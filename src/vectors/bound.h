// SPDX-License-Identifier: Apache-2.0
// Which products in fp32 can belong to a query's best rows: what decides is the score in double, and a
// product is as far from it as rounding of `dim` additions in any order can take it (Higham, Accuracy and
// Stability of Numerical Algorithms, 3.1).
#ifndef EL_VECTORS_BOUND_H
#define EL_VECTORS_BOUND_H

#include <stdbool.h>

#include "vectors/exact.h"

struct el_bound {
    enum el_metric metric;
    int dim;         // at most EL_MOST_DIM
    double rounding; // of a product, relative to the lengths of its row and query
};

struct el_query_bound {
    double square; // |query|^2
    double length; // never less than the query's
    double error;  // how far the query is from what it is as bytes
};

// Of rows that are looked at together.
struct el_row_bound {
    double longest; // none is longer
    bool as_bytes;  // multiplied as bytes, as the queries are; else as floats
    double error;   // none is farther from what it is as bytes
};

enum { EL_MOST_DIM = 1 << 20 };

struct el_bound el_bound_init(enum el_metric metric, int dim);
struct el_query_bound el_bound_query(const struct el_bound *bound, const float *query);
// Never less than the length of a vector with this square, which was summed in fp32 and may have underflowed.
double el_bound_length(const struct el_bound *bound, double square);

// What a row's product with the query must reach for its score to reach `score`. For squared distances the
// product is q r - |r|^2 / 2.
float el_bound_least(const struct el_bound *bound, const struct el_query_bound *query, float score,
                     const struct el_row_bound *rows);

// A comparison that a NaN passes: its score in double decides.
static inline bool el_reaches(float product, float least) {
    return !(product < least);
}

#endif
