// SPDX-License-Identifier: Apache-2.0
// How rows of weights and activations are stored in each precision, in units of 4 bytes. This is the
// definition: a product of encoded rows is what `linear` means in that precision, and vector code must give
// the same bits.
//
// int8: a row is cut into blocks of 128, the last one filled up with zeros. Each block is multiplied with one
// fixed orthogonal matrix of +-1 (signs, then a Hadamard transform), which leaves products as they are and
// spreads what single large elements hold over the block (as in Ashkboos et al. 2024, QuaRot). Then
//   activations become (byte - zero) x scale with a byte of 0 .. 255 and a scale and zero per block, and
//   weights become term x scale with terms of -127 .. 127 and a scale per block; a second set of terms, where
//   there is one, holds what the first left over, 254 times as fine.
//
// bytes: inputs are bytes, 128 more than the whole numbers they stand for; a row of weights becomes -127 ..
// 127 times one scale. Behind its bytes stand 128 times their sum, an int32_t, and the scale.
#ifndef EL_OPS_ENCODE_H
#define EL_OPS_ENCODE_H

#include <stdint.h>

#include "ops/ops.h"

enum {
    EL_INT8_BLOCK = 128,      // elements
    EL_INT8_BLOCK_UNITS = 34, // 32 units of bytes, then two floats: of activations scale and zero, of weights
                              // scale and scale times the sum of the terms
    EL_BYTES_ZERO = 128,
    EL_BYTES_ENDS = 2, // units behind a row of weights in bytes
};

// Units of an encoded row of activations; of a row of weights in `terms` terms (1 but for int8).
int64_t el_input_units(enum el_precision precision, int64_t depth);
int64_t el_weight_units(enum el_precision precision, int64_t depth, int terms);

// Bytes are encoded already.
void el_encode_input(enum el_precision precision, const float *row, int64_t depth, void *ret_units);
void el_encode_weights(enum el_precision precision, const float *row, int64_t depth, int terms,
                       void *ret_units);

// Back to the floats that a product sees, el_seen_depth() of them: their dot products are those of the rows.
int64_t el_seen_depth(enum el_precision precision, int64_t depth);
void el_decode_input(enum el_precision precision, const void *units, int64_t depth, float *ret_row);
void el_decode_weights(enum el_precision precision, const void *units, int64_t depth, int terms,
                       float *ret_row);

// bf16: the upper half of a float, rounded to nearest even; two to a unit, an odd depth ends in a zero.
void el_encode_bf16(const float *row, int64_t depth, void *ret_units);

// One rotated block of activations, from up to 128 floats. What is not finite makes the whole block NaN.
void el_encode_int8_block(const float *row, int64_t count, void *ret_units);

// A row as whole numbers, the largest magnitude as 127; returns what one of them stands for. NAN, and nothing
// written, for a row whose largest is not between 2^-40 and 2^40 (or 0): its products might not be normal.
float el_encode_bytes(const float *row, int64_t depth, int8_t *ret_bytes /* [depth] */);

// Rows of floats as inputs of EL_PRECISION_BYTES, and what a search has to know of each.
struct el_byte_rows {
    uint8_t *bytes; // [rows][el_input_units() x 4]; the bytes of el_encode_bytes, 128 more
    float *scales;  // [rows]; NAN where el_encode_bytes says so: the bytes are zeros (128)
    float *squares; // [rows]: |row|^2, summed in floats; 0 where there is no scale
    float *errors;  // [rows]: at least the distance of a row from scale x bytes; 0 where there is no scale
};
void el_encode_byte_rows(const struct el_ops *ops, const float *rows, int64_t count, int64_t depth,
                         const struct el_byte_rows *ret_rows);

// The signs of the rotation, one bit per element: the first 128 bits of the fraction of pi.
extern const uint32_t el_int8_signs[4];

#endif
