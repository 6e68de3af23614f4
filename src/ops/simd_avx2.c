// SPDX-License-Identifier: Apache-2.0
// The operations for x86-64 with AVX2 and FMA: 16 registers of 8 floats.
#include <immintrin.h>

#define FILLING avx2
#define NEEDS EL_CPU_AVX2
#define LANES 8
#define TILE_ROWS 6
#define MAXIMUM _mm256_max_ps
#define FUSED _mm256_fmadd_ps
#define PRODUCT_BF16 NULL
#define PRODUCT_INT8 NULL
#define BYTE_PRODUCTS
#define REACHES &el_reach_avx2

#include "ops/simd.inc"
