// SPDX-License-Identifier: Apache-2.0
// Finds a kernel among those of the three store types.
#include "launch.h"

#include <string.h>

#include "stored.h"

static const struct el_c_kernel *const stores[] = {el_c_kernels_f32, el_c_kernels_f16, el_c_kernels_bf16};

const struct el_c_kernel *el_c_life_find(const char *symbol) {
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        for (const struct el_c_kernel *kernel = stores[i]; kernel->symbol; kernel++)
            if (strcmp(kernel->symbol, symbol) == 0) return kernel;
    return NULL;
}

int el_c_life_launch(const char *symbol, const int groups[3], void *const *params) {
    const struct el_c_kernel *kernel = el_c_life_find(symbol);
    if (!kernel) return -1;
    el_lanes_run(kernel, groups, params);
    return 0;
}
