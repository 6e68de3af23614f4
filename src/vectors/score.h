// SPDX-License-Identifier: Apache-2.0
// The score of one row, exactly as it is told: what defines the order of a search.
#ifndef EL_VECTORS_SCORE_H
#define EL_VECTORS_SCORE_H

#include "vectors/exact.h"

// The same bits on every processor and instruction set: element i goes into sum i modulo 8, in double; the
// eight are added in pairs.
float el_exact_score(enum el_metric metric, const float *query, const float *row, int dim);

#endif
