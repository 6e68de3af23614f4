// SPDX-License-Identifier: Apache-2.0
// What the tests of exact search share: rows and filters that are hard to search, a plain search in long
// double that sorts all rows, and the comparison with it.
#ifndef EL_TESTS_VECTORS_H
#define EL_TESTS_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "vectors/exact.h"

// Every kind but UNIT is made of few values, so that its sums are exact in any order and ties are many.
enum kind { UNIT, FEW_VALUES, DUPLICATES, HUGE_VALUES, TINY_VALUES, FAR_AWAY, NOT_FINITE, KINDS };
enum filter { NO_FILTER, HALF, ONE_IN_99, RUNS, NONE_ALLOWED, FILTERS };

// What is searched for what.
struct search {
    enum kind kind;
    enum filter filter;
    enum el_metric metric;
    int64_t rows;
    int dim, queries, k;
};

// All is drawn from this.
extern uint64_t vectors_seed;
int draw_below(int limit);
int draw_from(const int *choices, size_t count);

// [count][dim]; freed by el_free.
float *new_rows(enum kind kind, int64_t count, int dim);
uint64_t *new_filter(enum filter filter, int64_t count); // NULL: all are allowed

void plain_search(const struct el_vector_set *set, const float *query, int k, struct el_hit *ret_hits);
// `ops` and `threads`: what has computed, for the message; threads < 0: so many, with bytes.
void assert_same_hits(const struct search *s, const char *ops, int threads, const struct el_hit *got,
                      const struct el_hit *want);

#endif
