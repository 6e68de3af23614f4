// SPDX-License-Identifier: Apache-2.0
// Products of blocks of rows with the queries of a search, in floats or in bytes.
//
// Floats: a few queries by inner products that stream the rows, many as the packed weights of a linear layer.
// Bytes, a quarter of the work, where the instruction set has products of bytes for so many queries: those
// that a set keeps (codes.h) or made of each block as it comes, for more queries than have their products in
// floats while bytes are made.
#ifndef EL_VECTORS_PRODUCTS_H
#define EL_VECTORS_PRODUCTS_H

#include "base/arena.h"
#include "ops/encode.h"
#include "vectors/blocks.h"
#include "vectors/bound.h"
#include "vectors/codes.h"

struct el_products {
    const struct el_vector_set *set;
    const float *queries; // [count][dim]
    int count;
    struct el_linear *packed;     // the queries as floats; NULL: they are few
    struct el_linear *bytes;      // the queries as bytes; NULL: floats are multiplied only
    const struct el_codes *codes; // the rows as bytes; NULL: made of each block
    struct el_bound bound;
    struct el_query_bound *bounds; // [count]
};

// What a thread has of the block at hand: row i's product with query n is scales[i] values[i][n].
struct el_block_products {
    float *values;        // [count][queries]
    const float *squares; // [count]: |row|^2
    const float *scales;  // [count]; NULL: 1
    struct el_row_bound rows;
    struct el_byte_rows own; // room: the squares of floats, and for bytes of the block
};

// Looks at the queries [count][dim] and chooses. Borrows set and queries; takes memory of the arena. On
// failure there is nothing to close. EL_ENOMEM.
int el_products_open(const struct el_vector_set *set, const float *queries, int count, struct el_arena *arena,
                     struct el_products *ret_products);
void el_products_close(struct el_products *products);

// Bytes that a row and its products take of a cache.
int64_t el_products_row_bytes(const struct el_products *products);

// Room for blocks of up to `rows` rows, and for `more` products behind them, all zeros. EL_ENOMEM.
int el_block_products_open(const struct el_products *products, int64_t rows, int64_t more,
                           struct el_arena *arena, struct el_block_products *ret_block_products);

// Fills `block_products`; by bytes only where there are bytes of the queries. EL_ENOMEM.
int el_products_multiply(const struct el_products *products, struct el_exec *exec,
                         const struct el_block *block, bool by_bytes,
                         struct el_block_products *block_products);

#endif
