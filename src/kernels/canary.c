// SPDX-License-Identifier: Apache-2.0
// canary.k once more, in plain C: what a healthy device answers.
#include "kernels/canary.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

// 1.0 .. 2.0 by the upper 23 bits.
static float one_to_two(uint32_t x) {
    uint32_t bits = 0x3f800000u | x >> 9;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static uint32_t stir(uint32_t x) {
    x = x * 1664525u + 1013904223u;
    float product = fmaf(one_to_two(x), one_to_two(x * 69069u), -1.5f);
    uint32_t bits;
    memcpy(&bits, &product, sizeof bits);
    return x ^ bits;
}

void el_canary_expect(int seed, int rounds, int groups, uint32_t *ret_out) {
    int lanes = el_kernels[EL_KERNEL_canary].lanes;
    for (int i = 0; i < groups * lanes; i++)
        ret_out[i] = (uint32_t)seed + (uint32_t)i * 2654435761u;
    for (int round = 0; round < rounds; round++)
        for (uint32_t *group = ret_out; group < ret_out + groups * lanes; group += lanes) {
            uint32_t first = stir(group[0]);
            for (int i = 1; i < lanes; i++)
                group[i - 1] = stir(group[i]);
            group[lanes - 1] = first;
        }
}
