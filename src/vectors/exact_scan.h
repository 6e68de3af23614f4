// SPDX-License-Identifier: Apache-2.0
// What one thread of an exact search does with each block of rows: multiply it with the queries, and score in
// double the few products that come within their error of a query's k-th best so far.
#ifndef EL_VECTORS_EXACT_SCAN_H
#define EL_VECTORS_EXACT_SCAN_H

#include "vectors/best.h"
#include "vectors/products.h"

struct el_exact_scan {
    const struct el_products *products;
    struct el_exec exec;
    struct el_best *best;              // [queries]
    float *least;                      // [queries, rounded up]: what a product must reach to be looked at
    struct el_block_products block;    // of the block at hand
    int64_t looks_left;                // scores in double that the block at hand may still take
    int64_t blocks_by_floats, penalty; // before bytes are tried again; and after they next fail
};

// For blocks of up to `most_rows` rows and lists of up to k. Memory is of the arena. Whatever it returns, the
// exec is to be closed. EL_ENOMEM.
int el_exact_scan_open(const struct el_products *products, int64_t most_rows, int64_t k,
                       struct el_arena *arena, struct el_exact_scan *ret_scan);

// Offers the block's rows. EL_ENOMEM.
int el_exact_scan_block(struct el_exact_scan *scan, const struct el_block *block);

#endif
