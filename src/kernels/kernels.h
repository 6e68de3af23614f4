// SPDX-License-Identifier: Apache-2.0
// The kernels of this build: their table, and their text as each driver takes it.
#ifndef EL_KERNELS_KERNELS_H
#define EL_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How activations and weights are stored; arithmetic is fp32 in each.
enum el_store { EL_STORE_F32, EL_STORE_F16, EL_STORE_BF16, EL_STORE_COUNT };

enum el_kernel {
#define KERNEL(name, lanes, args, rows, columns, text) EL_KERNEL_##name,
#include "kernels/kernels.def"
#undef KERNEL
    EL_KERNEL_COUNT
};

struct el_kernel_info {
    const char *name;  // "layer_norm"; the symbol in a driver's text is name_store: "layer_norm_f16"
    int lanes;         // per group
    const char *args;  // a letter per argument: m device memory, i int32, f float
    int rows, columns; // what one group makes; 0 where that does not apply
};
extern const struct el_kernel_info el_kernels[EL_KERNEL_COUNT];
extern const char *const el_store_text[EL_STORE_COUNT]; // "f32", "f16", "bf16"

// The symbol of a kernel, "layer_norm_f16". size: 64 is enough.
void el_kernel_symbol(enum el_kernel kernel, enum el_store store, char *ret_symbol, size_t size);

// The tensor-core twin of `linear` for these shapes, the better of two tiles for a device of `units`
// multiprocessors; both give the same bits. False where rows are not multiples of 16 bytes: the plain kernel
// serves those. Whether the device has tensor cores is the back-end's to say.
bool el_kernel_linear_mma(enum el_store store, int64_t rows, int64_t columns, int64_t depth, int units,
                          enum el_kernel *ret_kernel);
// The twin of `attention` for heads of `size`: up to 128, a multiple of 8, halves alone.
bool el_kernel_attention_mma(enum el_store store, int size, enum el_kernel *ret_kernel);

// PTX, one text per store and least compute capability; the best that a device can run is the last that fits.
// Empty when this was built without a compiler for it: el_ptx_compiler is then "".
struct el_ptx {
    enum el_store store;
    int capability;   // 70: 10 x major + minor
    const char *text; // NUL-terminated
};
extern const struct el_ptx el_ptx[];
extern const int el_ptx_count;
extern const char *const el_ptx_compiler; // "clang 14.0.6, PTX 7.0"

// OpenCL C 1.2, built once per store with -DSTORE_F32, -DSTORE_F16 or -DSTORE_BF16.
extern const char *const el_opencl_text;

#endif
