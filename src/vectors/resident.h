// SPDX-License-Identifier: Apache-2.0
// Exact search on a device: the rows lie in its memory as the weights of linear layers, so that a search is
// an operation per part, top_products, which leaves no products there. The candidates' scores are computed
// again in double from the rows that the processor has; where the device's fp32 can't prove that no other row
// belongs to a list (many ties, a filter that leaves few rows, NaN), the processor searches that query. So
// the lists are those of el_search_exact.
#ifndef EL_VECTORS_RESIDENT_H
#define EL_VECTORS_RESIDENT_H

#include <stddef.h>

#include "device/device.h"
#include "vectors/exact.h"

struct el_resident;

// Copies the rows to the device, which is borrowed until the close. EL_EINVAL (dimensions), EL_ENOMEM,
// EL_ELOST, EL_EUNSUPPORTED.
int el_resident_open(struct el_device *device, const struct el_vector_set *set,
                     struct el_resident **ret_resident);
void el_resident_close(struct el_resident *resident);
size_t el_resident_bytes(const struct el_resident *resident); // of the device's memory

// Bytes that vectors may take of a device: half of what is free, so that models and what a search takes have
// the rest.
uint64_t el_resident_room(struct el_device *device);

// As el_search_exact; one caller at a time. `set` has the rows that were copied, wherever they lie now. The
// team serves the queries that the processor has to search. EL_ELOST: the device is gone, its rows with it;
// el_search_exact still answers.
int el_resident_search(struct el_resident *resident, const struct el_vector_set *set, const float *queries,
                       int count, int k, struct el_team *team, struct el_hit *ret_hits /* [count][k] */);

// Queries so far that the processor had to search.
int64_t el_resident_left_over(const struct el_resident *resident);

#endif
