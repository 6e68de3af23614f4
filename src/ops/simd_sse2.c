// SPDX-License-Identifier: Apache-2.0
// The operations for baseline x86-64: 16 registers of 4 floats, no fused multiply-add.
#include <emmintrin.h>

#define FILLING sse2
#define NEEDS 0
#define LANES 4
#define TILE_ROWS 6
#define MAXIMUM _mm_max_ps
#define PRODUCT_BF16 NULL
#define PRODUCT_INT8 NULL
#define BYTE_PRODUCTS
#define REACHES NULL

#include "ops/simd.inc"
