// SPDX-License-Identifier: Apache-2.0
// Counts of values by size, as Prometheus histograms want them. Any number of threads may add at once.
#ifndef EL_ENGINE_HISTOGRAM_H
#define EL_ENGINE_HISTOGRAM_H

#include <stdint.h>

#define EL_HISTOGRAM_BUCKETS 16

struct el_histogram {
    double bound[EL_HISTOGRAM_BUCKETS - 1]; // upper bounds, rising
    uint64_t bucket[EL_HISTOGRAM_BUCKETS];  // values <= bound[i] and over bound[i - 1]; the last has the rest
    double sum;
    uint64_t count;
};

// Bounds first, first * factor, first * factor^2, ...
void el_histogram_init(struct el_histogram *histogram, double first, double factor);
void el_histogram_add(struct el_histogram *histogram, double value);
// A copy while others add: each field is whole, their sums may be one value apart.
void el_histogram_read(const struct el_histogram *histogram, struct el_histogram *ret_copy);

#endif
