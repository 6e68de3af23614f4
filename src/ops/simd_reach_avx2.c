// SPDX-License-Identifier: Apache-2.0
// Products of codes by vpmaddubsw, whose sums of two products saturate at 2^15: so a query's codes end at 63,
// since 2 * 255 * 63 fits.
#include <immintrin.h>
#include <string.h>

#define LANES 8
#define ADD_PRODUCTS(sum, rows, query) \
    ((sum) +                           \
     (ivec)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)(rows), (__m256i)(query)), _mm256_set1_epi16(1)))
#define NOT_BELOW(a, b) _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ))

#include "ops/reach.inc"

const struct el_reach el_reach_avx2 = {
    .needs = EL_CPU_AVX2,
    .most = 63,
    .find = reach,
};
