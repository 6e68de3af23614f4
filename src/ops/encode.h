// SPDX-License-Identifier: Apache-2.0
// How rows of weights and activations are stored in each precision, in units of 4 bytes. This is the
// definition: a product of encoded rows is what `linear` means in that precision, and vector code must give
// the same bits.
#ifndef EL_OPS_ENCODE_H
#define EL_OPS_ENCODE_H

#include <stdint.h>

#include "ops/ops.h"

// Units that a row of `depth` floats takes.
int64_t el_row_units(enum el_precision precision, int64_t depth);

// A row of weights, or of activations, as units; and back, as the floats that the product sees.
void el_encode(enum el_precision precision, const float *row, int64_t depth, void *ret_units);
void el_decode(enum el_precision precision, const void *units, int64_t depth, float *ret_row);

// bf16: the upper half of a float, rounded to nearest even; two to a unit, an odd depth ends in a zero.
void el_encode_bf16(const float *row, int64_t depth, void *ret_units);

#endif
