// SPDX-License-Identifier: Apache-2.0
// Histograms with geometric bounds and relaxed atomic counters.
#include "engine/histogram.h"

#include <stdbool.h>
#include <string.h>

void el_histogram_init(struct el_histogram *histogram, double first, double factor) {
    memset(histogram, 0, sizeof *histogram);
    for (int i = 0; i < EL_HISTOGRAM_BUCKETS - 1; i++, first *= factor)
        histogram->bound[i] = first;
}

void el_histogram_add(struct el_histogram *histogram, double value) {
    int i = 0;
    while (i < EL_HISTOGRAM_BUCKETS - 1 && value > histogram->bound[i])
        i++;
    __atomic_fetch_add(&histogram->bucket[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&histogram->count, 1, __ATOMIC_RELAXED);
    double sum, more;
    __atomic_load(&histogram->sum, &sum, __ATOMIC_RELAXED);
    do
        more = sum + value;
    while (
        !__atomic_compare_exchange(&histogram->sum, &sum, &more, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void el_histogram_read(const struct el_histogram *histogram, struct el_histogram *ret_copy) {
    memcpy(ret_copy->bound, histogram->bound, sizeof ret_copy->bound);
    for (int i = 0; i < EL_HISTOGRAM_BUCKETS; i++)
        ret_copy->bucket[i] = __atomic_load_n(&histogram->bucket[i], __ATOMIC_RELAXED);
    ret_copy->count = __atomic_load_n(&histogram->count, __ATOMIC_RELAXED);
    __atomic_load(&histogram->sum, &ret_copy->sum, __ATOMIC_RELAXED);
}
