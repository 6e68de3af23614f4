// SPDX-License-Identifier: Apache-2.0
// Sorting numbers.
#include "base/sort.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void el_sort_f64(double *values, size_t count) {
    if (count > 0) qsort(values, count, sizeof *values, by_value);
}
