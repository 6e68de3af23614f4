// SPDX-License-Identifier: Apache-2.0
// Products of bf16 with float sums, by vdpbf16ps: two multiply-adds per lane and instruction.
#include <immintrin.h>

#define LANES 16
#define TILE_ROWS 14
#define FUSED _mm512_fmadd_ps
#define MULTIPLY_ADD(sum, x, w) sum = (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w)

#include "ops/encode.h"
#include "ops/simd_product.inc"

// As el_encode_bf16, 32 at a time.
static void encode_bf16(const float *row, int64_t depth, void *ret_units) {
    int64_t whole = depth / 32 * 32;
    uint16_t *halves = ret_units;
    for (int64_t k = 0; k < whole; k += 32) {
        __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + k + 16), _mm512_loadu_ps(row + k));
        memcpy(halves + k, &pairs, sizeof pairs);
    }
    el_encode_bf16(row + whole, depth - whole, halves + whole);
}

static void tile_bf16(const struct el_tile *tile) {
    float sums[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(sizeof(vec))));
    fetch_ends(tile);
    products[tile->rows - 1](tile->depth, tile->activations, tile->activation_stride, tile->panel, sums,
                             TILE_COLUMNS, tile->ahead, tile->ahead_bytes);
    finish_tile(tile, sums);
}

const struct el_product el_product_avx512_bf16 = {
    .needs = EL_CPU_AVX512 | EL_CPU_AVX512_BF16,
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .tile = tile_bf16,
    .encode = encode_bf16,
};
