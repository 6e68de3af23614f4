// SPDX-License-Identifier: Apache-2.0
// Products of int8 with 32-bit sums, by vpdpbusd: four multiply-adds per lane and instruction. Blocks of 128
// are summed exactly; what encode.h says of scales and zeros is applied to each block's sum in floats.
#include <immintrin.h>
#include <math.h>

#define LANES 16
#define TILE_ROWS 14
#define FUSED _mm512_fmadd_ps
#define SUM ivec
#define MULTIPLY_ADD(sum, x, w) sum = (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w)
// x: scale and zero of the row's block; w: scales, then scaled sums, of the columns' blocks
#define PUT(c, sum, x, w)                                                                    \
    do {                                                                                     \
        vec exact = _mm512_cvtepi32_ps((__m512i)sum);                                        \
        vec block = multiply_add(exact, load(w), splat(-(x)[1]) * load((w) + TILE_COLUMNS)); \
        store(c, multiply_add(splat((x)[0]), block, load(c)));                               \
    } while (0)

#include "ops/encode.h"
#include "ops/simd_product.inc"

enum { VECTORS = EL_INT8_BLOCK / LANES }; // of a block

// Lanes meet the lane `stride` away: the lower of two gets a + b, the upper a - b.
#define MEET(x, swapped, upper) _mm512_fmadd_ps(x, _mm512_mask_blend_ps(upper, plus, minus), swapped)

static void rotate(const float *row, vec x[VECTORS]) {
    const __m512 plus = _mm512_set1_ps(1), minus = _mm512_set1_ps(-1);
    for (int i = 0; i < VECTORS; i++) {
        __mmask16 signs = (__mmask16)(el_int8_signs[i / 2] >> 16 * (i % 2));
        x[i] = _mm512_loadu_ps(row + i * LANES);
        x[i] = _mm512_mask_sub_ps(x[i], signs, _mm512_set1_ps(-0.0f), x[i]);
    }
    for (int stride = VECTORS / 2; stride > 0; stride /= 2)
        for (int i = 0; i < VECTORS; i++) {
            if (i & stride) continue;
            vec a = x[i], b = x[i + stride];
            x[i] = a + b;
            x[i + stride] = a - b;
        }
    for (int i = 0; i < VECTORS; i++) {
        x[i] = MEET(x[i], _mm512_shuffle_f32x4(x[i], x[i], _MM_SHUFFLE(1, 0, 3, 2)), 0xff00);
        x[i] = MEET(x[i], _mm512_shuffle_f32x4(x[i], x[i], _MM_SHUFFLE(2, 3, 0, 1)), 0xf0f0);
        x[i] = MEET(x[i], _mm512_permute_ps(x[i], _MM_SHUFFLE(1, 0, 3, 2)), 0xcccc);
        x[i] = MEET(x[i], _mm512_permute_ps(x[i], _MM_SHUFFLE(2, 3, 0, 1)), 0xaaaa);
    }
}

// As el_encode_int8_block for a whole block, bit for bit; false, and nothing written, for one whose numbers
// are not ordinary.
static bool encode_block(const float *row, float *ret_units) {
    vec x[VECTORS];
    rotate(row, x);
    __m512 low = _mm512_setzero_ps(), high = _mm512_setzero_ps(), sum = _mm512_setzero_ps();
    for (int i = 0; i < VECTORS; i++) {
        low = _mm512_min_ps(low, x[i]);
        high = _mm512_max_ps(high, x[i]);
        sum = _mm512_add_ps(sum, _mm512_abs_ps(x[i])); // finite only where every x is
    }
    float least = _mm512_reduce_min_ps(low), range = _mm512_reduce_max_ps(high) - least;
    if (!(range > 1e-30f && _mm512_reduce_add_ps(sum) < INFINITY)) return false;
    float scale = range / 255, inverse = 1 / scale;
    int zero = _mm_cvtss_si32(_mm_set_ss(-least * inverse));
    for (int i = 0; i < VECTORS; i++) {
        __m512i level = _mm512_add_epi32(_mm512_cvtps_epi32(x[i] * splat(inverse)), _mm512_set1_epi32(zero));
        __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(level, _mm512_setzero_si512()));
        _mm_storeu_si128((__m128i *)(void *)(ret_units + i * 4), bytes);
    }
    ret_units[EL_INT8_BLOCK_UNITS - 2] = scale;
    ret_units[EL_INT8_BLOCK_UNITS - 1] = (float)zero;
    return true;
}

static void encode_int8(const float *row, int64_t depth, void *ret_units) {
    float *units = ret_units;
    for (int64_t k = 0; k < depth; k += EL_INT8_BLOCK, units += EL_INT8_BLOCK_UNITS)
        if (depth - k < EL_INT8_BLOCK || !encode_block(row + k, units))
            el_encode_int8_block(row + k, depth - k, units);
}

static void tile_int8(const struct el_tile *tile) {
    float sums[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(sizeof(vec)))) = {0};
    const float *panel = tile->panel;
    const char *ahead = tile->ahead;
    fetch_ends(tile);
    for (int term = 0; term < tile->terms; term++)
        for (int64_t k = 0; k < tile->depth; k += EL_INT8_BLOCK_UNITS) {
            products[tile->rows - 1](EL_INT8_BLOCK / 4, (const float *)tile->activations + k,
                                     tile->activation_stride, panel, sums, TILE_COLUMNS, ahead,
                                     tile->ahead_bytes);
            panel += EL_INT8_BLOCK_UNITS * TILE_COLUMNS;
            ahead += EL_INT8_BLOCK_UNITS * tile->ahead_bytes;
        }
    finish_tile(tile, sums);
}

const struct el_product el_product_avx512_vnni = {
    .needs = EL_CPU_AVX512 | EL_CPU_AVX512_VNNI,
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .tile = tile_int8,
    .encode = encode_int8,
};
