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
