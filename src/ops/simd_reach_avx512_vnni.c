// SPDX-License-Identifier: Apache-2.0
// Products of codes by vpdpbusd: four multiply-adds per lane and instruction.
#include <immintrin.h>
#include <string.h>

#define LANES 16
#define ADD_PRODUCTS(sum, rows, query) \
    (ivec) _mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(rows), (__m512i)(query))
#define NOT_BELOW(a, b) _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ)

#include "ops/reach.inc"

const struct el_reach el_reach_avx512_vnni = {
    .needs = EL_CPU_AVX512 | EL_CPU_AVX512_VNNI,
    .most = EL_REACH_MOST,
    .find = reach,
};
