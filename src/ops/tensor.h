// SPDX-License-Identifier: Apache-2.0
// A tensor is a view: type, shape and where the bytes lie. Row-major and contiguous; it owns nothing.
#ifndef EL_OPS_TENSOR_H
#define EL_OPS_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#define EL_MAX_RANK 4

// X(name, bytes per element, text)
#define EL_DTYPE_LIST(X)  \
    X(EL_F32, 4, "f32")   \
    X(EL_F16, 2, "f16")   \
    X(EL_BF16, 2, "bf16") \
    X(EL_I8, 1, "i8")     \
    X(EL_U8, 1, "u8")     \
    X(EL_I32, 4, "i32")

enum el_dtype {
#define X(name, size, text) name,
    EL_DTYPE_LIST(X)
#undef X
};

struct el_tensor {
    enum el_dtype dtype;
    int rank;
    int64_t dim[EL_MAX_RANK]; // elements; dim[rank - 1] is contiguous
    void *data;               // address: the processor's or a device's
};

size_t el_dtype_size(enum el_dtype dtype); // bytes
const char *el_dtype_text(enum el_dtype dtype);
int64_t el_tensor_count(const struct el_tensor *tensor); // elements
// A view of `data`, rank 1 or 2.
struct el_tensor el_tensor_1d(enum el_dtype dtype, void *data, int64_t n);
struct el_tensor el_tensor_2d(enum el_dtype dtype, void *data, int64_t rows, int64_t columns);
// A view of rows of one of rank 2, wherever its bytes lie.
struct el_tensor el_tensor_rows(const struct el_tensor *tensor, int64_t first, int64_t count);

// Between f32 and the other float types; narrowing rounds to nearest even and keeps NaN.
void el_to_f32(enum el_dtype dtype, const void *from, int64_t count, float *to);
void el_from_f32(enum el_dtype dtype, const float *from, int64_t count, void *to);

// Elements of a tensor in the processor's memory.
static inline float *el_f32(const struct el_tensor *tensor) {
    return tensor->data;
}
static inline int32_t *el_i32(const struct el_tensor *tensor) {
    return tensor->data;
}

#endif
