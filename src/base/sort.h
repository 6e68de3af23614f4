// SPDX-License-Identifier: Apache-2.0
// Sorting numbers.
#ifndef EL_BASE_SORT_H
#define EL_BASE_SORT_H

#include <stddef.h>

// Smallest first. No value may be NaN.
void el_sort_f64(double *values, size_t count);

#endif
