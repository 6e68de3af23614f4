// SPDX-License-Identifier: Apache-2.0
// The storage of low precisions, in plain C.
#include "ops/encode.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "ops/filling.h"

enum { UNIT = 4 }; // bytes

const uint32_t el_int8_signs[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};

static int64_t blocks_of(int64_t depth) {
    return el_divide_up(depth, EL_INT8_BLOCK);
}

int64_t el_input_units(enum el_precision precision, int64_t depth) {
    switch (precision) {
    case EL_PRECISION_BF16:
        return (depth + 1) / 2;
    case EL_PRECISION_INT8:
        return blocks_of(depth) * EL_INT8_BLOCK_UNITS;
    case EL_PRECISION_BYTES:
        return el_divide_up(depth, UNIT);
    default:
        return depth;
    }
}

int64_t el_weight_units(enum el_precision precision, int64_t depth, int terms) {
    const int64_t ends = precision == EL_PRECISION_BYTES ? EL_BYTES_ENDS : 0;
    return el_input_units(precision, depth) * terms + ends;
}

int64_t el_seen_depth(enum el_precision precision, int64_t depth) {
    return precision == EL_PRECISION_INT8 ? blocks_of(depth) * EL_INT8_BLOCK : depth;
}

// ---- bf16 ----

void el_encode_bf16(const float *row, int64_t depth, void *ret_units) {
    uint16_t *halves = ret_units;
    el_from_f32(EL_BF16, row, depth, halves);
    if (depth % 2) halves[depth] = 0;
}

// ---- int8 ----

// A block as it lies in memory.
struct block {
    union {
        uint8_t bytes[EL_INT8_BLOCK];
        int8_t terms[EL_INT8_BLOCK];
    };
    float scale;
    float zero; // of weights: scale x sum of the terms
};
_Static_assert(sizeof(struct block) == EL_INT8_BLOCK_UNITS * 4, "a block is whole units");

// The signs, then the Hadamard transform (Sylvester's, not normalised) as butterflies of falling stride.
static void rotate(const float *row, int64_t count, float *out /* [EL_INT8_BLOCK] */) {
    for (int i = 0; i < EL_INT8_BLOCK; i++) {
        float x = i < count ? row[i] : 0;
        out[i] = el_int8_signs[i / 32] >> i % 32 & 1 ? -x : x;
    }
    for (int stride = EL_INT8_BLOCK / 2; stride > 0; stride /= 2)
        for (int first = 0; first < EL_INT8_BLOCK; first += 2 * stride)
            for (int i = first; i < first + stride; i++) {
                float a = out[i], b = out[i + stride];
                out[i] = a + b;
                out[i + stride] = a - b;
            }
}

// The range of a block, 0 included; false when something in it is not finite.
static bool find_range(const float *x, float *ret_low, float *ret_high) {
    float low = 0, high = 0;
    bool finite = true;
    for (int i = 0; i < EL_INT8_BLOCK; i++) {
        finite = finite && isfinite(x[i]);
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    *ret_low = low;
    *ret_high = high;
    return finite && isfinite(high - low);
}

void el_encode_int8_block(const float *row, int64_t count, void *ret_units) {
    struct block block = {.scale = 0};
    float x[EL_INT8_BLOCK], low, high;
    rotate(row, count, x);
    if (!find_range(x, &low, &high)) {
        block.scale = NAN;
    } else if (high - low > 1e-30f) { // less is nothing, and its inverse might be infinite
        block.scale = (high - low) / 255;
        float inverse = 1 / block.scale;
        int zero = (int)lrintf(-low * inverse);
        block.zero = (float)zero;
        for (int i = 0; i < EL_INT8_BLOCK; i++)
            block.bytes[i] = (uint8_t)EL_MAX(EL_MIN((int)lrintf(x[i] * inverse) + zero, 255), 0);
    }
    memcpy(ret_units, &block, sizeof block);
}

static void encode_int8(const float *row, int64_t depth, void *ret_units) {
    struct block *blocks = ret_units;
    for (int64_t k = 0; k < depth; k += EL_INT8_BLOCK)
        el_encode_int8_block(row + k, depth - k, &blocks[k / EL_INT8_BLOCK]);
}

// x -> terms x scale, and what that leaves over.
static void encode_terms(float *x, float scale, struct block *ret_block) {
    struct block block = {.scale =
                              scale / EL_INT8_BLOCK}; // as the transform of both rows magnifies their product
    int sum = 0;
    float inverse = 1 / scale;
    for (int i = 0; i < EL_INT8_BLOCK && scale > 0; i++) {
        block.terms[i] = (int8_t)lrintf(x[i] * inverse);
        x[i] -= (float)block.terms[i] * scale;
        sum += block.terms[i];
    }
    block.zero = block.scale * (float)sum;
    *ret_block = block;
}

static void encode_int8_weights(const float *row, int64_t depth, int terms, void *ret_units) {
    int64_t count = blocks_of(depth);
    struct block *blocks = ret_units; // [terms][count]
    for (int64_t b = 0; b < count; b++) {
        float x[EL_INT8_BLOCK], low, high;
        rotate(row + b * EL_INT8_BLOCK, depth - b * EL_INT8_BLOCK, x);
        float scale = find_range(x, &low, &high) ? EL_MAX(high, -low) / 127 : NAN;
        for (int t = 0; t < terms; t++, scale /= 254)
            encode_terms(x, scale > 1e-30f || isnan(scale) ? scale : 0, &blocks[t * count + b]);
    }
}

static void decode_int8(const void *units, int64_t depth, float *ret_row) {
    const struct block *block = units;
    for (int64_t b = 0; b < blocks_of(depth); b++, block++)
        for (int i = 0; i < EL_INT8_BLOCK; i++)
            *ret_row++ = ((float)block->bytes[i] - block->zero) * block->scale;
}

static void decode_int8_weights(const void *units, int64_t depth, int terms, float *ret_row) {
    const struct block *block = units;
    int64_t seen = blocks_of(depth) * EL_INT8_BLOCK;
    memset(ret_row, 0, (size_t)seen * sizeof *ret_row);
    for (int t = 0; t < terms; t++)
        for (int64_t k = 0; k < seen; k += EL_INT8_BLOCK, block++)
            for (int i = 0; i < EL_INT8_BLOCK; i++)
                ret_row[k + i] += (float)block->terms[i] * block->scale;
}

// ---- bytes ----

float el_encode_bytes(const float *row, int64_t depth, int8_t *ret_bytes) {
    float largest = 0;
    bool finite = true;
    for (int64_t i = 0; i < depth; i++) {
        finite = finite && isfinite(row[i]);
        largest = EL_MAX(largest, fabsf(row[i]));
    }
    if (!finite || (largest != 0 && !(largest >= 0x1p-40f && largest <= 0x1p40f))) return NAN;
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (int64_t i = 0; i < depth; i++)
        ret_bytes[i] = (int8_t)lrintf(row[i] * inverse);
    return largest / 127;
}

static void encode_weights_of_bytes(const float *row, int64_t depth, void *ret_units) {
    int8_t *bytes = ret_units;
    const int64_t size = el_input_units(EL_PRECISION_BYTES, depth) * UNIT;
    int32_t sum = 0;
    memset(bytes, 0, (size_t)size);
    const float scale = el_encode_bytes(row, depth, bytes);
    for (int64_t i = 0; i < depth; i++)
        sum += EL_BYTES_ZERO * bytes[i];
    memcpy(bytes + size, &sum, sizeof sum);
    memcpy(bytes + size + UNIT, &scale, sizeof scale);
}

static void decode_weights_of_bytes(const void *units, int64_t depth, float *ret_row) {
    const int8_t *bytes = units;
    float scale;
    memcpy(&scale, bytes + (el_input_units(EL_PRECISION_BYTES, depth) + 1) * UNIT, sizeof scale);
    for (int64_t i = 0; i < depth; i++)
        ret_row[i] = (float)bytes[i] * scale;
}

static void decode_bytes(const uint8_t *bytes, int64_t depth, float *ret_row) {
    for (int64_t i = 0; i < depth; i++)
        ret_row[i] = (float)(bytes[i] - EL_BYTES_ZERO);
}

// ---- rows as bytes ----

float el_byte_row_error(double rest, float largest, int64_t depth) {
    const double sum = sqrt(rest) * (1 + (double)depth * 0x1p-23);
    return (float)(sum + (double)largest * sqrt((double)depth) * 0x1p-22);
}

static void encode_byte_row(const float *row, int64_t depth, uint8_t *bytes, struct el_byte_row *ret_row) {
    const float scale = el_encode_bytes(row, depth, (int8_t *)bytes);
    double square = 0, rest = 0;
    for (int64_t i = 0; i < depth && !isnan(scale); i++) {
        const double left = row[i] - (double)scale * (int8_t)bytes[i];
        square += (double)row[i] * row[i];
        rest += left * left;
        bytes[i] ^= EL_BYTES_ZERO; // as adding it
    }
    const float error = isnan(scale) ? 0 : el_byte_row_error(rest, 127 * scale, depth);
    *ret_row = (struct el_byte_row){scale, (float)square, error};
}

void el_encode_byte_rows(const struct el_ops *ops, const float *rows, int64_t count, int64_t depth,
                         const struct el_byte_rows *ret_rows) {
    const struct el_filling *filling = (const struct el_filling *)ops;
    const int64_t size = el_input_units(EL_PRECISION_BYTES, depth) * UNIT;
    el_encode_byte_row_fn *encode = filling->encode_byte_row ? filling->encode_byte_row : encode_byte_row;
    for (int64_t r = 0; r < count; r++) {
        uint8_t *bytes = ret_rows->bytes + r * size;
        struct el_byte_row row;
        encode(rows + r * depth, depth, bytes, &row);
        const int64_t written = isnan(row.scale) ? 0 : depth;
        memset(bytes + written, EL_BYTES_ZERO, (size_t)(size - written));
        ret_rows->scales[r] = row.scale;
        ret_rows->squares[r] = row.square;
        ret_rows->errors[r] = row.error;
    }
}

// ---- any precision ----

void el_encode_input(enum el_precision precision, const float *row, int64_t depth, void *ret_units) {
    switch (precision) {
    case EL_PRECISION_BF16:
        el_encode_bf16(row, depth, ret_units);
        return;
    case EL_PRECISION_INT8:
        encode_int8(row, depth, ret_units);
        return;
    default:
        memcpy(ret_units, row, (size_t)depth * sizeof *row);
    }
}

void el_encode_weights(enum el_precision precision, const float *row, int64_t depth, int terms,
                       void *ret_units) {
    if (precision == EL_PRECISION_INT8)
        encode_int8_weights(row, depth, terms, ret_units);
    else if (precision == EL_PRECISION_BYTES)
        encode_weights_of_bytes(row, depth, ret_units);
    else
        el_encode_input(precision, row, depth, ret_units);
}

void el_decode_input(enum el_precision precision, const void *units, int64_t depth, float *ret_row) {
    if (precision == EL_PRECISION_INT8)
        decode_int8(units, depth, ret_row);
    else if (precision == EL_PRECISION_BYTES)
        decode_bytes(units, depth, ret_row);
    else
        el_to_f32(precision == EL_PRECISION_BF16 ? EL_BF16 : EL_F32, units, depth, ret_row);
}

void el_decode_weights(enum el_precision precision, const void *units, int64_t depth, int terms,
                       float *ret_row) {
    if (precision == EL_PRECISION_INT8)
        decode_int8_weights(units, depth, terms, ret_row);
    else if (precision == EL_PRECISION_BYTES)
        decode_weights_of_bytes(units, depth, ret_row);
    else
        el_decode_input(precision, units, depth, ret_row);
}
