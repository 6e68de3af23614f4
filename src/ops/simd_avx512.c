// SPDX-License-Identifier: Apache-2.0
// The operations for x86-64 with AVX-512: 32 registers of 16 floats.
#include <immintrin.h>

#define FILLING avx512
#define NEEDS EL_CPU_AVX512
#define LANES 16
#define TILE_ROWS 14
#define MAXIMUM _mm512_max_ps
#define FUSED _mm512_fmadd_ps
#define PRODUCT_BF16 &el_product_avx512_bf16
#define PRODUCT_INT8 &el_product_avx512_vnni
#define BYTE_PRODUCTS &el_product_avx512_few_bytes, &el_product_avx512_bytes,
#define REACHES &el_reach_avx512_vnni, &el_reach_avx2

#include "ops/simd.inc"
