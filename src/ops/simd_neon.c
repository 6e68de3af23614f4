// SPDX-License-Identifier: Apache-2.0
// The operations for aarch64: 32 registers of 4 floats.
#include <arm_neon.h>

#define FILLING neon
#define NEEDS 0
#define LANES 4
#define TILE_ROWS 12
#define MAXIMUM vmaxq_f32
#define FUSED(x, y, sum) vfmaq_f32(sum, x, y)
#define PRODUCT_BF16 NULL
#define PRODUCT_INT8 NULL
#define BYTE_PRODUCTS
#define REACHES NULL

#include "ops/simd.inc"
