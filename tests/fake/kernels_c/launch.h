// SPDX-License-Identifier: Apache-2.0
// The kernels of this build as plain C, launched by name: what the fake CUDA driver runs, and the tests.
#ifndef EL_TESTS_LAUNCH_H
#define EL_TESTS_LAUNCH_H

#include "lanes.h"

// The kernel of this symbol, "layer_norm_f16"; NULL when there is none.
const struct el_c_kernel *el_c_life_find(const char *symbol);

// Runs it to its end. params: a pointer to each argument, as in cuLaunchKernel. -1 when there is no such
// kernel.
int el_c_life_launch(const char *symbol, const int groups[3], void *const *params);

#endif
