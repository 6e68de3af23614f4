// SPDX-License-Identifier: Apache-2.0
// Choosing how rows and queries are multiplied, and doing it.
#include "vectors/products.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    FEW_QUERIES = 16, // up to here, packing them as floats costs more than it gains
    LEAST_SHARE = 4,  // of the rows, or so many times less, must be allowed for their bytes to be read
};

static struct el_tensor view(const float *values, int64_t rows, int64_t columns) {
    return el_tensor_2d(EL_F32, (void *)(uintptr_t)values, rows, columns);
}

// ---- the queries ----

static int pack(struct el_products *products, enum el_precision precision) {
    const struct el_tensor queries = view(products->queries, products->count, products->set->dim);
    struct el_target target = {.precision = precision};
    EL_TRY(el_ops_find(NULL, &target.ops));
    EL_TRY(el_linear_open(&target, &queries, NULL, &products->packed));
    el_linear_expect_stream(products->packed);
    return 0;
}

// 1 when all queries can be bytes, which sets their errors; else 0.
static int measure_errors(struct el_products *products, struct el_arena *arena) {
    const int dim = products->set->dim;
    int8_t *scratch;
    EL_TRY(el_arena_alloc(arena, (size_t)dim, sizeof *scratch, &scratch));
    for (int i = 0; i < products->count; i++) {
        const double error = el_codes_query_error(products->queries + (int64_t)i * dim, dim, scratch);
        if (isnan(error)) return 0;
        products->bounds[i].error = error;
    }
    return 1;
}

// The queries as bytes, where that can be and pays. Where a filter leaves few rows, copies of those are
// cheaper than the bytes of all.
static int try_codes(struct el_products *products, struct el_arena *arena) {
    const struct el_vector_set *set = products->set;
    if (!set->codes || el_codes_count(set->codes) < set->count) return 0;
    if (LEAST_SHARE * el_allowed_count(set) < set->count) return 0;
    const int suit = measure_errors(products, arena);
    if (suit <= 0) return suit;
    const int status = pack(products, EL_PRECISION_BYTES);
    if (status == 0) products->codes = set->codes;
    return status == EL_EUNSUPPORTED ? 0 : status;
}

static int open(struct el_products *products, struct el_arena *arena) {
    EL_TRY(el_arena_alloc(arena, (size_t)products->count, sizeof *products->bounds, &products->bounds));
    for (int i = 0; i < products->count; i++)
        products->bounds[i] =
            el_bound_query(&products->bound, products->queries + (int64_t)i * products->set->dim);
    EL_TRY(try_codes(products, arena));
    if (products->codes) return 0;
    for (int i = 0; i < products->count; i++)
        products->bounds[i].error = 0;
    return products->count <= FEW_QUERIES ? 0 : pack(products, EL_PRECISION_FP32);
}

int el_products_open(const struct el_vector_set *set, const float *queries, int count, struct el_arena *arena,
                     struct el_products *ret_products) {
    struct el_products products = {
        .set = set, .queries = queries, .count = count, .bound = el_bound_init(set->metric, set->dim)};
    EL_TRY(open(&products, arena));
    *ret_products = products;
    return 0;
}

void el_products_close(struct el_products *products) {
    el_linear_close(products->packed);
}

int64_t el_products_row_bytes(const struct el_products *products) {
    const int64_t element = products->codes ? 1 : sizeof(float);
    return products->set->dim * element + products->count * (int64_t)sizeof(float);
}

// ---- a block ----

// A NaN is passed over: its row's products pass the filter by themselves.
static float largest(const float *values, int64_t count) {
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        if (values[i] > most) most = values[i];
    return most;
}

static int multiply_bytes(const struct el_products *products, struct el_exec *exec,
                          const struct el_block *block, struct el_block_products *ours) {
    const struct el_code_rows rows = el_codes_at(products->codes, block->first, block->count);
    struct el_tensor out = view(ours->values, block->count, products->count);
    const struct el_tensor bytes =
        el_tensor_2d(EL_U8, (void *)(uintptr_t)rows.bytes, block->count, products->set->dim);
    ours->squares = rows.squares;
    ours->scales = rows.scales;
    ours->rows = (struct el_row_bound){el_bound_length(&products->bound, rows.square), rows.error};
    return exec->ops->linear(exec, &bytes, products->packed, EL_ACT_NONE, NULL, &out);
}

static int multiply_floats(const struct el_products *products, struct el_exec *exec,
                           const struct el_block *block, struct el_block_products *ours) {
    const int dim = products->set->dim, unpacked = products->packed ? 0 : products->count;
    const struct el_tensor rows = view(block->rows, block->count, dim);
    const struct el_tensor queries = view(products->queries, unpacked, dim);
    struct el_tensor few = view(ours->values, block->count, unpacked);
    struct el_tensor all = view(ours->values, block->count, products->count);
    struct el_tensor squares = el_tensor_1d(EL_F32, ours->own_squares, block->count);
    EL_TRY(exec->ops->inner_products(exec, &rows, &queries, &few, &squares));
    const float square = largest(ours->own_squares, block->count);
    ours->squares = ours->own_squares;
    ours->scales = NULL;
    ours->rows = (struct el_row_bound){.longest = el_bound_length(&products->bound, square)};
    return products->packed ? exec->ops->linear(exec, &rows, products->packed, EL_ACT_NONE, NULL, &all) : 0;
}

int el_products_multiply(const struct el_products *products, struct el_exec *exec,
                         const struct el_block *block, struct el_block_products *block_products) {
    return products->codes ? multiply_bytes(products, exec, block, block_products)
                           : multiply_floats(products, exec, block, block_products);
}
