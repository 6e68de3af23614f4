// SPDX-License-Identifier: Apache-2.0
// Products of bytes by vpdpbusd, exact in 32 bits: many columns by the register tile, a few row by row, so
// that the rows are read from memory once and in order.
#include <immintrin.h>

#define LANES 16
#define TILE_ROWS 14
#define FUSED _mm512_fmadd_ps
#define SUM ivec
#define MULTIPLY_ADD(sum, x, w) sum = (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w)
// w: the columns' surplus, then their scales
#define PUT(c, sum, x, w) \
    store(c, _mm512_cvtepi32_ps((__m512i)(sum - (ivec)load(w))) * load((w) + TILE_COLUMNS))

#include "ops/encode.h"
#include "ops/simd_product.inc"

static void tile_bytes(const struct el_tile *tile) {
    float sums[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(sizeof(vec))));
    fetch_ends(tile);
    products[tile->rows - 1](tile->depth, tile->activations, tile->activation_stride, tile->panel, sums,
                             TILE_COLUMNS, tile->ahead, tile->ahead_bytes);
    finish_tile(tile, sums);
}

const struct el_product el_product_avx512_bytes = {
    .needs = EL_CPU_AVX512 | EL_CPU_AVX512_VNNI,
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .tile = tile_bytes,
};

// ---- a few columns ----

enum {
    ROWS_AT_ONCE = 4,
    // Bytes that are fetched ahead, into L2, which waits for more of them at once than L1 does: 8 to 24 %
    // faster than 512 into L1 (measured).
    AHEAD = 2048,
};

static inline __m512i multiply_row(const int32_t *row, const int32_t *column, int64_t units) {
    __m512i sum = _mm512_setzero_si512();
    int64_t i = 0;
    for (; i + LANES <= units; i += LANES) {
        _mm_prefetch((const char *)(row + i) + AHEAD, _MM_HINT_T1);
        sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(row + i), _mm512_loadu_si512(column + i));
    }
    const __mmask16 rest = (__mmask16)((1u << (units - i)) - 1);
    if (rest)
        sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi32(rest, row + i),
                                  _mm512_maskz_loadu_epi32(rest, column + i));
    return sum;
}

// The sums over the lanes of four vectors.
static inline __m128i add_lanes(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i quads = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i halves =
        _mm256_add_epi32(_mm512_castsi512_si256(quads), _mm512_extracti64x4_epi64(quads, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

// One column, whose panel is its row of W as it is encoded.
static void tile_few(const struct el_tile *tile) {
    const int64_t units = tile->depth;
    const int32_t *column = tile->panel, *rows = tile->activations;
    const float scale = *((const float *)tile->panel + units + 1), bias = tile->bias[0];
    const __m128i surplus = _mm_set1_epi32(column[units]);
    for (int r = 0; r < tile->rows; r += ROWS_AT_ONCE) {
        const int count = EL_MIN(tile->rows - r, ROWS_AT_ONCE);
// Behind the last row it is taken again, so that nothing is read that is not there.
#define MULTIPLY_ROW(i) multiply_row(rows + (r + EL_MIN(i, count - 1)) * units, column, units)
        const __m512i a = MULTIPLY_ROW(0), b = MULTIPLY_ROW(1), c = MULTIPLY_ROW(2), d = MULTIPLY_ROW(3);
        const __m128i sums = add_lanes(a, b, c, d);
        const __m128 y =
            _mm_cvtepi32_ps(_mm_sub_epi32(sums, surplus)) * _mm_set1_ps(scale) + _mm_set1_ps(bias);
        for (int i = 0; i < count; i++)
            tile->out[(r + i) * tile->out_stride] = y[i];
    }
}

const struct el_product el_product_avx512_few_bytes = {
    .needs = EL_CPU_AVX512 | EL_CPU_AVX512_VNNI,
    .rows = 64,
    .columns = 1,
    .most_columns = 8,
    .tile = tile_few,
};
