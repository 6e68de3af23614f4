// SPDX-License-Identifier: Apache-2.0
// The table of kernels.def, and what a kernel is called in a driver's text.
#include "kernels/kernels.h"

#include <stdio.h>

const struct el_kernel_info el_kernels[EL_KERNEL_COUNT] = {
#define KERNEL(name, lanes, args, rows, columns, text) {#name, lanes, args, rows, columns},
#include "kernels/kernels.def"
#undef KERNEL
};

const char *const el_store_text[EL_STORE_COUNT] = {
    [EL_STORE_F32] = "f32",
    [EL_STORE_F16] = "f16",
    [EL_STORE_BF16] = "bf16",
};

void el_kernel_symbol(enum el_kernel kernel, enum el_store store, char *ret_symbol, size_t size) {
    snprintf(ret_symbol, size, "%s_%s", el_kernels[kernel].name, el_store_text[store]);
}

bool el_kernel_linear_mma(enum el_store store, int64_t rows, int64_t columns, int64_t depth, int units,
                          enum el_kernel *ret_kernel) {
    const struct el_kernel_info *large = &el_kernels[EL_KERNEL_linear_mma];
    if (columns % 8 != 0 || depth % (store == EL_STORE_F32 ? 4 : 8) != 0) return false;
    int64_t groups =
        (rows + large->rows - 1) / large->rows * ((columns + large->columns - 1) / large->columns);
    *ret_kernel = groups < units ? EL_KERNEL_linear_mma_small : EL_KERNEL_linear_mma;
    return true;
}

bool el_kernel_attention_mma(enum el_store store, int size, enum el_kernel *ret_kernel) {
    static const enum el_kernel by_width[] = {EL_KERNEL_attention_mma_32, EL_KERNEL_attention_mma_64,
                                              EL_KERNEL_attention_mma_96, EL_KERNEL_attention_mma_128};
    if (store == EL_STORE_F32 || size < 8 || size > 128 || size % 8 != 0) return false;
    *ret_kernel = by_width[(size - 1) / 32];
    return true;
}
