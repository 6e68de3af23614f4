// SPDX-License-Identifier: Apache-2.0
// What the canary kernel must answer.
#ifndef EL_KERNELS_CANARY_H
#define EL_KERNELS_CANARY_H

#include <stdint.h>

// ret_out: [groups x lanes of canary], the bits that every device gives for the same seed and rounds.
void el_canary_expect(int seed, int rounds, int groups, uint32_t *ret_out);

#endif
