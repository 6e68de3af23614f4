// SPDX-License-Identifier: Apache-2.0
// Scanning a block: by bytes where there are, as long as they tell enough rows apart; else by floats. Which
// way a block goes changes what is scored in double, never a list.
#include "vectors/exact_scan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors/score.h"

enum {
    QUAD = 4,
    GROUP = 16, // scores that are compared at once
    // Times of a product in floats that other things take, about: reading a row, and a score in double.
    READ_COST = 4,
    SCORE_COST = 32,
    MOST_PENALTY = 1 << 20, // blocks
};

// ---- which products are looked at ----

static float least_product(const struct el_exact_scan *scan, int query) {
    const struct el_products *products = scan->products;
    return el_bound_least(&products->bound, &products->bounds[query], el_best_least(&scan->best[query]),
                          &scan->block.rows);
}

// What is to be taken from a row's products: for squared distances, half of its square.
static float offset_of(const struct el_exact_scan *scan, int64_t i) {
    return scan->products->set->metric == EL_METRIC_L2 ? scan->block.squares[i] / 2 : 0;
}

static float scale_of(const struct el_exact_scan *scan, int64_t i) {
    return scan->block.scales ? scan->block.scales[i] : 1;
}

typedef float quad __attribute__((vector_size(4 * QUAD), aligned(4), may_alias));
typedef int32_t quad_mask __attribute__((vector_size(4 * QUAD)));

static inline quad load(const float *p) {
    return *(const quad *)p;
}

static bool is_all(quad_mask mask) {
    uint64_t halves[2];
    memcpy(halves, &mask, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

// Whether any of a row's products with GROUP queries, times its scale, reaches what it must, less the offset.
// A NaN passes.
static bool row_reaches(const float *products, float scale, const float *least, float offset) {
    quad_mask below = {-1, -1, -1, -1};
    for (int i = 0; i < GROUP; i += QUAD)
        below &= load(products + i) * scale < load(least + i) + offset;
    return !is_all(below);
}

// The same of GROUP rows and one query: their products lie side by side.
static bool column_reaches(const struct el_exact_scan *scan, int64_t first) {
    const struct el_block_products *block = &scan->block;
    const bool has_offset = scan->products->set->metric == EL_METRIC_L2;
    quad_mask below = {-1, -1, -1, -1};
    for (int64_t i = first; i < first + GROUP; i += QUAD) {
        quad product = load(block->values + i), least = scan->least[0] - (quad){0};
        if (block->scales) product *= load(block->scales + i);
        if (has_offset) least += load(block->squares + i) / 2;
        below &= product < least;
    }
    return !is_all(below);
}

static void look_at(struct el_exact_scan *scan, const struct el_block *block, int64_t i, int query) {
    const struct el_vector_set *set = scan->products->set;
    const float score = el_exact_score(set->metric, scan->products->queries + (int64_t)query * set->dim,
                                       block->rows + i * set->dim, set->dim);
    el_best_offer(&scan->best[query], (struct el_hit){el_block_row(block, i), score});
    scan->least[query] = least_product(scan, query);
    scan->looks_left--;
}

static void filter_row(struct el_exact_scan *scan, const struct el_block *block, int64_t i) {
    const int count = scan->products->count;
    const float *products = scan->block.values + i * count;
    const float offset = offset_of(scan, i), scale = scale_of(scan, i);
    for (int first = 0; first < count; first += GROUP) {
        if (!row_reaches(products + first, scale, scan->least + first, offset)) continue;
        for (int query = first; query < EL_MIN(first + GROUP, count); query++)
            if (el_reaches(products[query] * scale, scan->least[query] + offset))
                look_at(scan, block, i, query);
    }
}

// Returns the row before which it had no looks left, or `end`.
static int64_t filter_rows(struct el_exact_scan *scan, const struct el_block *block, int64_t first,
                           int64_t end) {
    int64_t i = first;
    for (; i < end && scan->looks_left > 0; i++)
        if (el_is_allowed(scan->products->set, el_block_row(block, i))) filter_row(scan, block, i);
    return i;
}

// As filter_rows, of all rows for one query.
static int64_t filter_column(struct el_exact_scan *scan, const struct el_block *block) {
    int64_t first = 0;
    for (; first + GROUP <= block->count && scan->looks_left > 0; first += GROUP) {
        if (!column_reaches(scan, first)) continue;
        const int64_t end = filter_rows(scan, block, first, first + GROUP);
        if (end < first + GROUP) return end;
    }
    return filter_rows(scan, block, first, block->count);
}

static int64_t filter_block(struct el_exact_scan *scan, const struct el_block *block, int64_t looks) {
    scan->looks_left = looks;
    for (int query = 0; query < scan->products->count; query++)
        scan->least[query] = least_product(scan, query);
    return scan->products->count == 1 ? filter_column(scan, block)
                                      : filter_rows(scan, block, 0, block->count);
}

// ---- bytes or floats ----

static int scan_floats(struct el_exact_scan *scan, const struct el_block *block) {
    EL_TRY(el_products_multiply(scan->products, &scan->exec, block, false, &scan->block));
    filter_block(scan, block, INT64_MAX);
    return 0;
}

static struct el_block rows_from(const struct el_block *block, int64_t first, int dim) {
    return (struct el_block){.rows = block->rows + first * dim,
                             .count = block->count - first,
                             .first = block->first + first,
                             .numbers = block->numbers ? block->numbers + first : NULL};
}

// Bytes let more rows through than floats do. Where that many are scored that floats would have been faster,
// as where all rows are alike, or where there are no k yet, the rest of the block goes by floats, and then
// twice as many blocks as last time.
static int scan_bytes(struct el_exact_scan *scan, const struct el_block *block) {
    const int64_t looks = block->count * (scan->products->count + READ_COST) / SCORE_COST + 1;
    EL_TRY(el_products_multiply(scan->products, &scan->exec, block, true, &scan->block));
    const int64_t done = filter_block(scan, block, looks);
    if (done == block->count) {
        scan->penalty = 1;
        return 0;
    }
    scan->blocks_by_floats = scan->penalty;
    scan->penalty = EL_MIN(2 * scan->penalty, MOST_PENALTY);
    const struct el_block rest = rows_from(block, done, scan->products->set->dim);
    return scan_floats(scan, &rest);
}

int el_exact_scan_block(struct el_exact_scan *scan, const struct el_block *block) {
    if (scan->products->bytes && scan->blocks_by_floats == 0) return scan_bytes(scan, block);
    if (scan->blocks_by_floats > 0) scan->blocks_by_floats--;
    return scan_floats(scan, block);
}

// ---- opening ----

int el_exact_scan_open(const struct el_products *products, int64_t most_rows, int64_t k,
                       struct el_arena *arena, struct el_exact_scan *ret_scan) {
    const size_t count = (size_t)products->count;
    struct el_exact_scan *scan = ret_scan;
    *scan = (struct el_exact_scan){.products = products, .penalty = 1};
    el_arena_init(&scan->exec.scratch);
    EL_TRY(el_ops_find(NULL, &scan->exec.ops));
    EL_TRY(el_best_alloc(arena, products->count, k, &scan->best));
    EL_TRY(el_arena_alloc(arena, count + GROUP, sizeof *scan->least, &scan->least));
    EL_TRY(el_block_products_open(products, most_rows, GROUP, arena, &scan->block));
    for (size_t i = 0; i < count + GROUP; i++)
        scan->least[i] = INFINITY; // behind the last query, too: no product reaches it
    return 0;
}
