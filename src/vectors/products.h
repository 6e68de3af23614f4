// SPDX-License-Identifier: Apache-2.0
// Products of blocks of rows with the queries of a search: a few queries by inner products that stream the
// rows, many as the packed weights of a linear layer; of the rows as floats, or as bytes where a set has
// codes and its processor is faster with them.
#ifndef EL_VECTORS_PRODUCTS_H
#define EL_VECTORS_PRODUCTS_H

#include "base/arena.h"
#include "ops/ops.h"
#include "vectors/blocks.h"
#include "vectors/bound.h"
#include "vectors/codes.h"

struct el_products {
    const struct el_vector_set *set;
    const float *queries; // [count][dim]
    int count;
    const struct el_codes *codes; // NULL: floats are multiplied
    struct el_linear *packed;     // the queries; NULL: they are few
    struct el_bound bound;
    struct el_query_bound *bounds; // [count]
};

// What a thread has of the block at hand: row i's product with query n is scales[i] values[i][n].
struct el_block_products {
    float *values;        // [count][queries]
    float *own_squares;   // [count]: room for those of floats
    const float *squares; // [count]: |row|^2
    const float *scales;  // [count]; NULL: 1
    struct el_row_bound rows;
};

// Looks at the queries [count][dim] and chooses. Borrows set and queries; takes memory of the arena. On
// failure there is nothing to close. EL_ENOMEM.
int el_products_open(const struct el_vector_set *set, const float *queries, int count, struct el_arena *arena,
                     struct el_products *ret_products);
void el_products_close(struct el_products *products);

// Bytes that a row and its products take of a cache.
int64_t el_products_row_bytes(const struct el_products *products);

// Fills `block_products`, whose room the caller has made. EL_ENOMEM.
int el_products_multiply(const struct el_products *products, struct el_exec *exec,
                         const struct el_block *block, struct el_block_products *block_products);

#endif
