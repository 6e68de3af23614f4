// SPDX-License-Identifier: Apache-2.0
// Choosing how rows and queries are multiplied, and doing it.
#include "vectors/products.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    FEW_QUERIES = 16, // up to here, packing them as floats costs more than it gains
    ENCODE_COST = 10, // products in floats that making bytes of a row takes as long as (measured: 9 to 10)
    LEAST_SHARE = 4,  // of the rows, or so many times less, must be allowed for their bytes to be read
};

static struct el_tensor view(const float *values, int64_t rows, int64_t columns) {
    return el_tensor_2d(EL_F32, (void *)(uintptr_t)values, rows, columns);
}

// ---- the queries ----

static int pack(const struct el_products *products, enum el_precision precision,
                struct el_linear **ret_packed) {
    const struct el_tensor queries = view(products->queries, products->count, products->set->dim);
    struct el_target target = {.precision = precision};
    EL_TRY(el_ops_find(NULL, &target.ops));
    return el_linear_open(&target, &queries, NULL, ret_packed);
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

// Whether bytes that are kept pay: where a filter leaves few rows, copies of those are cheaper than the bytes
// of all.
static bool suits_kept_bytes(const struct el_vector_set *set) {
    return set->codes && el_codes_count(set->codes) >= set->count &&
           LEAST_SHARE * el_allowed_count(set) >= set->count;
}

// The queries as bytes, where that can be and pays.
static int try_bytes(struct el_products *products, struct el_arena *arena) {
    const struct el_vector_set *set = products->set;
    const bool kept = suits_kept_bytes(set);
    if (!kept && (set->only_floats || products->count <= ENCODE_COST || set->dim > EL_CODES_MOST_DIM))
        return 0;
    const int suit = measure_errors(products, arena);
    if (suit <= 0) return suit;
    const int status = pack(products, EL_PRECISION_BYTES, &products->bytes);
    if (status == EL_EUNSUPPORTED) return 0;
    if (status == 0 && kept) {
        products->codes = set->codes;
        el_linear_expect_stream(products->bytes);
    }
    return status;
}

static int open(struct el_products *products, struct el_arena *arena) {
    EL_TRY(el_arena_alloc(arena, (size_t)products->count, sizeof *products->bounds, &products->bounds));
    for (int i = 0; i < products->count; i++)
        products->bounds[i] =
            el_bound_query(&products->bound, products->queries + (int64_t)i * products->set->dim);
    EL_TRY(try_bytes(products, arena));
    if (products->count <= FEW_QUERIES) return 0;
    EL_TRY(pack(products, EL_PRECISION_FP32, &products->packed));
    el_linear_expect_stream(products->packed);
    return 0;
}

int el_products_open(const struct el_vector_set *set, const float *queries, int count, struct el_arena *arena,
                     struct el_products *ret_products) {
    struct el_products products = {
        .set = set, .queries = queries, .count = count, .bound = el_bound_init(set->metric, set->dim)};
    const int status = open(&products, arena);
    if (status < 0) {
        el_products_close(&products);
        return status;
    }
    *ret_products = products;
    return 0;
}

void el_products_close(struct el_products *products) {
    el_linear_close(products->packed);
    el_linear_close(products->bytes);
}

// Bytes of a row that is encoded.
static int64_t code_bytes(const struct el_products *products) {
    return el_input_units(EL_PRECISION_BYTES, products->set->dim) * 4;
}

int64_t el_products_row_bytes(const struct el_products *products) {
    const int64_t floats = products->set->dim * (int64_t)sizeof(float);
    const int64_t read = products->codes   ? code_bytes(products)
                         : products->bytes ? floats + code_bytes(products)
                                           : floats;
    return read + products->count * (int64_t)sizeof(float);
}

// ---- a block ----

int el_block_products_open(const struct el_products *products, int64_t rows, int64_t more,
                           struct el_arena *arena, struct el_block_products *ret_block_products) {
    const size_t count = (size_t)rows, values = count * (size_t)products->count + (size_t)more;
    struct el_block_products ours = {0};
    EL_TRY(el_arena_alloc(arena, values, sizeof *ours.values, &ours.values));
    EL_TRY(el_arena_alloc(arena, count, sizeof *ours.own.squares, &ours.own.squares));
    memset(ours.values, 0, values * sizeof *ours.values);
    if (products->bytes && !products->codes) {
        EL_TRY(el_arena_alloc(arena, count, (size_t)code_bytes(products), &ours.own.bytes));
        EL_TRY(el_arena_alloc(arena, count, sizeof *ours.own.scales, &ours.own.scales));
        EL_TRY(el_arena_alloc(arena, count, sizeof *ours.own.errors, &ours.own.errors));
    }
    *ret_block_products = ours;
    return 0;
}

// A NaN is passed over: its row's products pass the filter by themselves.
static float largest(const float *values, int64_t count) {
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        if (values[i] > most) most = values[i];
    return most;
}

// The block's rows as bytes: those that are kept, or made now.
static struct el_code_rows encoded(const struct el_products *products, const struct el_exec *exec,
                                   const struct el_block *block, const struct el_byte_rows *own) {
    if (products->codes) return el_codes_at(products->codes, block->first, block->count);
    el_encode_byte_rows(exec->ops, block->rows, block->count, products->set->dim, own);
    return (struct el_code_rows){.bytes = own->bytes,
                                 .scales = own->scales,
                                 .squares = own->squares,
                                 .error = largest(own->errors, block->count),
                                 .square = largest(own->squares, block->count)};
}

static int multiply_bytes(const struct el_products *products, struct el_exec *exec,
                          const struct el_block *block, struct el_block_products *ours) {
    const struct el_code_rows rows = encoded(products, exec, block, &ours->own);
    struct el_tensor out = view(ours->values, block->count, products->count);
    const struct el_tensor bytes =
        el_tensor_2d(EL_U8, (void *)(uintptr_t)rows.bytes, block->count, products->set->dim);
    ours->squares = rows.squares;
    ours->scales = rows.scales;
    ours->rows = (struct el_row_bound){el_bound_length(&products->bound, rows.square), true, rows.error};
    return exec->ops->linear(exec, &bytes, products->bytes, EL_ACT_NONE, NULL, &out);
}

static int multiply_floats(const struct el_products *products, struct el_exec *exec,
                           const struct el_block *block, struct el_block_products *ours) {
    const int dim = products->set->dim, unpacked = products->packed ? 0 : products->count;
    const struct el_tensor rows = view(block->rows, block->count, dim);
    const struct el_tensor queries = view(products->queries, unpacked, dim);
    struct el_tensor few = view(ours->values, block->count, unpacked);
    struct el_tensor all = view(ours->values, block->count, products->count);
    struct el_tensor squares = el_tensor_1d(EL_F32, ours->own.squares, block->count);
    EL_TRY(exec->ops->inner_products(exec, &rows, &queries, &few, &squares));
    const float square = largest(ours->own.squares, block->count);
    ours->squares = ours->own.squares;
    ours->scales = NULL;
    ours->rows = (struct el_row_bound){.longest = el_bound_length(&products->bound, square)};
    return products->packed ? exec->ops->linear(exec, &rows, products->packed, EL_ACT_NONE, NULL, &all) : 0;
}

int el_products_multiply(const struct el_products *products, struct el_exec *exec,
                         const struct el_block *block, bool by_bytes,
                         struct el_block_products *block_products) {
    return by_bytes ? multiply_bytes(products, exec, block, block_products)
                    : multiply_floats(products, exec, block, block_products);
}
