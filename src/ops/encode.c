// SPDX-License-Identifier: Apache-2.0
// The storage of low precisions, in plain C.
#include "ops/encode.h"

#include <string.h>

int64_t el_row_units(enum el_precision precision, int64_t depth) {
    return precision == EL_PRECISION_BF16 ? (depth + 1) / 2 : depth;
}

// A NaN stays one: its quiet bit is set before the lower half is cut off.
static uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void el_encode_bf16(const float *row, int64_t depth, void *ret_units) {
    uint16_t *halves = ret_units;
    for (int64_t k = 0; k < depth; k++)
        halves[k] = to_bf16(row[k]);
    if (depth % 2) halves[depth] = 0;
}

void el_encode(enum el_precision precision, const float *row, int64_t depth, void *ret_units) {
    if (precision == EL_PRECISION_BF16)
        el_encode_bf16(row, depth, ret_units);
    else
        memcpy(ret_units, row, (size_t)depth * sizeof *row);
}

void el_decode(enum el_precision precision, const void *units, int64_t depth, float *ret_row) {
    el_to_f32(precision == EL_PRECISION_BF16 ? EL_BF16 : EL_F32, units, depth, ret_row);
}
