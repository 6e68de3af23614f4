// SPDX-License-Identifier: Apache-2.0
// Exact search: the k rows of a set that are nearest to each query, found by looking at all of them.
//
// The score of a row is its inner product with the query, or minus the squared distance, summed in double in
// one fixed order and rounded to float; equal scores go by the lower row. So the list is the same for every
// instruction set, number of threads and split of the rows, and lists of parts can be merged by what they
// say.
#ifndef EL_VECTORS_EXACT_H
#define EL_VECTORS_EXACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

struct el_codes; // codes.h

enum el_metric { EL_METRIC_IP, EL_METRIC_COSINE, EL_METRIC_L2 };

// Rows that are searched; borrowed.
struct el_vector_set {
    int dim;               // at most 2^20
    enum el_metric metric; // COSINE: rows and queries have length 1 already, the caller sees to it
    int64_t count;
    const float *rows;       // [count][dim]
    const uint64_t *allowed; // a bit per row, the lowest of word 0 first; NULL: all
    // The rows as bytes, or more rows than these: read first where that is faster; the lists are the same.
    // NULL: there are none.
    const struct el_codes *codes;
    bool only_floats; // no bytes are made of the rows for many queries: the lists are the same, for benches
};

// Rows first .. first + count - 1 of a set, which count from 0 then. `first` is a multiple of 64, so that a
// word of the filter begins there.
struct el_vector_set el_vector_part(const struct el_vector_set *set, int64_t first, int64_t count);

struct el_hit {
    int64_t row;
    float score; // larger is better; L2: minus the squared distance
};

// EL_EINVAL for what a search refuses: k < 1, dimensions out of range, a query that is not finite.
int el_search_check(const struct el_vector_set *set, const float *queries, int count, int k);

// The k best rows of each query, best first; behind the last, rows are -1 and scores -INFINITY. A row whose
// score is not a number is never among them. `queries` is [count][dim]. The team's threads share the rows;
// NULL: the caller alone. EL_EINVAL as el_search_check. EL_ENOMEM, after which the hits mean nothing.
int el_search_exact(const struct el_vector_set *set, const float *queries, int count, int k,
                    struct el_team *team, struct el_hit *ret_hits /* [count][k] */);

#endif
