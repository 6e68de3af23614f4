// SPDX-License-Identifier: Apache-2.0
// K-means (Lloyd 1982): centroids of rows, so that lists of the rows nearest to each hold what lies together.
#ifndef EL_VECTORS_KMEANS_H
#define EL_VECTORS_KMEANS_H

#include <stdint.h>

#include "vectors/partition.h"

// Centroids of `lists` <= source->count lists, [lists][dim]. The same rows, lists and seed give the same
// centroids, for any number of threads, on the processor; on source->device those that its rounding gives
// (assigner.h). Centroids whose list ran empty take half of the largest. EL_ENOMEM.
int el_kmeans(const struct el_row_source *source, int lists, int iterations, uint64_t seed,
              struct el_team *team, float *ret_centroids);

// The next number below `limit` > 0 of the sequence that *state has (splitmix64).
int64_t el_draw(uint64_t *state, int64_t limit);

#endif
