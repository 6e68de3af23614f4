// SPDX-License-Identifier: Apache-2.0
// Vectors as JSON: an array of decimals that read back as the same floats, or a base64 string of their bytes.
#ifndef EL_SERVE_VECTOR_TEXT_H
#define EL_SERVE_VECTOR_TEXT_H

#include <stddef.h>

#include "base/str.h"

// Appends "[0.1,-2.5]": each the shortest decimal that reads back as the same float (as a float, or as a
// double and then a float); NaN and infinities as null. EL_ENOMEM.
int el_vector_put_json(struct el_str *str, const float *vector, size_t dim);

// Appends "\"AACAPw==\"": little-endian IEEE floats in base64 with padding. EL_ENOMEM.
int el_vector_put_base64(struct el_str *str, const float *vector, size_t dim);

// The bytes that it takes at most, to reserve.
size_t el_vector_base64_bound(size_t dim);

#endif
