// SPDX-License-Identifier: Apache-2.0
// Tensors: sizes and names of element types, views, and the conversion of stored floats.
#include "ops/tensor.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

size_t el_dtype_size(enum el_dtype dtype) {
    switch (dtype) {
#define X(name, size, text) \
    case name:              \
        return size;
        EL_DTYPE_LIST(X)
#undef X
    }
    return 0;
}

const char *el_dtype_text(enum el_dtype dtype) {
    switch (dtype) {
#define X(name, size, text) \
    case name:              \
        return text;
        EL_DTYPE_LIST(X)
#undef X
    }
    return "?";
}

int64_t el_tensor_count(const struct el_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->dim[i];
    return count;
}

struct el_tensor el_tensor_1d(enum el_dtype dtype, void *data, int64_t n) {
    return (struct el_tensor){.dtype = dtype, .rank = 1, .dim = {n}, .data = data};
}

struct el_tensor el_tensor_2d(enum el_dtype dtype, void *data, int64_t rows, int64_t columns) {
    return (struct el_tensor){.dtype = dtype, .rank = 2, .dim = {rows, columns}, .data = data};
}

struct el_tensor el_tensor_rows(const struct el_tensor *tensor, int64_t first, int64_t count) {
    const int64_t at = first * tensor->dim[1] * (int64_t)el_dtype_size(tensor->dtype);
    return el_tensor_2d(tensor->dtype, (char *)tensor->data + at, count, tensor->dim[1]);
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// IEEE 754 binary16. A subnormal half is mantissa x 2^-24, exact in a float.
static float from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
    if (exponent == 31) return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) {
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

void el_to_f32(enum el_dtype dtype, const void *from, int64_t count, float *to) {
    const uint16_t *halves = from;
    switch (dtype) {
    case EL_F32:
        memcpy(to, from, (size_t)count * sizeof *to);
        return;
    case EL_F16:
        for (int64_t i = 0; i < count; i++)
            to[i] = from_f16(halves[i]);
        return;
    case EL_BF16:
        for (int64_t i = 0; i < count; i++)
            to[i] = from_bits((uint32_t)halves[i] << 16);
        return;
    case EL_I8:
    case EL_U8:
    case EL_I32:
        assert(!"not a float type");
    }
}

static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The upper half of a float, rounded to nearest even; a NaN stays one.
static uint16_t to_bf16(float value) {
    uint32_t bits = to_bits(value);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// IEEE 754 binary16. Adding a power of two leaves the mantissa that a subnormal half keeps, rounded.
static uint16_t to_f16(float value) {
    uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (value != value) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00); // 65520 and above round to infinity
    if (magnitude < 0x38800000)                                    // below 2^-14
        return (uint16_t)(sign | (to_bits(from_bits(magnitude) + 0.5f) - 0x3f000000));
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - 0x38000000) >> 13);
}

void el_from_f32(enum el_dtype dtype, const float *from, int64_t count, void *to) {
    uint16_t *halves = to;
    switch (dtype) {
    case EL_F32:
        memcpy(to, from, (size_t)count * sizeof *from);
        return;
    case EL_F16:
        for (int64_t i = 0; i < count; i++)
            halves[i] = to_f16(from[i]);
        return;
    case EL_BF16:
        for (int64_t i = 0; i < count; i++)
            halves[i] = to_bf16(from[i]);
        return;
    case EL_I8:
    case EL_U8:
    case EL_I32:
        assert(!"not a float type");
    }
}
