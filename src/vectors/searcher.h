// SPDX-License-Identifier: Apache-2.0
// What an index that is searched often has beside its rows: copies of them on devices, or as bytes in the
// processor's memory. They are made with the first search, follow rows that were appended, and are made anew
// when a compaction has moved rows. Whatever has no room or is lost, the processor searches the rows
// themselves: the lists are those of el_search_exact always.
#ifndef EL_VECTORS_SEARCHER_H
#define EL_VECTORS_SEARCHER_H

#include <stdbool.h>

#include "device/manager/manager.h"
#include "vectors/exact.h"

struct el_searcher_options {
    struct el_manager *manager; // whose GPUs share the rows, where they fit into half of what is free there;
                                // NULL: none do
    bool bytes;                 // keep the rows as bytes (codes.h) while no device has them
};

// For one index and one caller at a time.
struct el_searcher;

int el_searcher_open(const struct el_searcher_options *options,
                     struct el_searcher **ret_searcher); // EL_ENOMEM
void el_searcher_close(struct el_searcher *searcher);

// As el_search_exact; NULL has nothing beside the rows. Sets of one generation begin with the same rows.
int el_searcher_search(struct el_searcher *searcher, const struct el_vector_set *set, int64_t generation,
                       const float *queries, int count, int k, struct el_team *team,
                       struct el_hit *ret_hits /* [count][k] */);

struct el_searcher_stats {
    int64_t on_devices; // rows
    int64_t as_bytes;   // rows
};
struct el_searcher_stats el_searcher_stats(const struct el_searcher *searcher);

#endif
