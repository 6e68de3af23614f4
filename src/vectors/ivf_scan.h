// SPDX-License-Identifier: Apache-2.0
// The rows of one list, for the queries that look at it: bytes say which rows may be among a query's best,
// and those are scored.
#ifndef EL_VECTORS_IVF_SCAN_H
#define EL_VECTORS_IVF_SCAN_H

#include "vectors/best.h"
#include "vectors/bound.h"
#include "vectors/ivf_file.h"

// What all scans of a search share.
struct el_ivf_scan {
    const struct el_ivf *ivf;
    const struct el_vector_set *set;
    const struct el_reach *reach;
    struct el_bound bound;
    const float *queries;                       // [count][dim], as they were given
    const struct el_quantised_query *quantised; // [count]: of queries less the origin
    const struct el_query_bound *bounds;        // [count]: likewise
};

// A query that looks at a list.
struct el_ivf_visit {
    int32_t query;
    float rating; // el_ivf_rate_lists
};

// What a thread needs for it.
struct el_ivf_scratch {
    struct el_reach_query *coded; // [queries]
    uint16_t *reached;            // [queries]
};

// Offers each visit's best rows to best[query]; rows that don't reach floor[query]'s least are left out.
void el_ivf_scan_list(const struct el_ivf_scan *scan, int list, const struct el_ivf_visit *visits, int count,
                      const struct el_best *floor, const struct el_ivf_scratch *scratch,
                      struct el_best *best);

#endif
