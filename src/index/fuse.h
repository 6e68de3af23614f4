// SPDX-License-Identifier: Apache-2.0
// Two ranked lists as one, by reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): a row's
// score is the sum of 1 / (60 + its rank, from 1) over the lists it is in.
#ifndef EL_INDEX_FUSE_H
#define EL_INDEX_FUSE_H

#include "vectors/exact.h"

// Both lists go as deep at least, for what is second in each may be the best of all.
enum { EL_FUSE_DEPTH = 100 };

struct el_ranking {
    const struct el_hit *hits; // [count], best first
    int count;
};

// The k best, best first; equal sums go by the lower row. EL_ENOMEM.
int el_fuse(const struct el_ranking *a, const struct el_ranking *b, int k, struct el_hit *ret_hits /* [k] */,
            int *ret_count);

#endif
