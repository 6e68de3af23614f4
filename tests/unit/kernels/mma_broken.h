// SPDX-License-Identifier: Apache-2.0
// linear_mma_small and attention_mma_64 of f16 with one mistake each, for the test of the test.
#ifndef EL_TESTS_MMA_BROKEN_H
#define EL_TESTS_MMA_BROKEN_H

#include "lanes.h"

extern const struct el_c_kernel el_broken_no_wait_linear, el_broken_no_wait_attention; // for cp.async
extern const struct el_c_kernel el_broken_short_wait_linear,
    el_broken_short_wait_attention; // a batch too few
extern const struct el_c_kernel el_broken_no_barrier_linear, el_broken_no_barrier_attention; // no SYNC
extern const struct el_c_kernel el_broken_fragments_linear,
    el_broken_fragments_attention; // two words swapped
extern const struct el_c_kernel el_broken_bounds_linear,
    el_broken_bounds_attention; // no zeros behind the end

#endif
