// SPDX-License-Identifier: Apache-2.0
// How much of the truth lists hold: a sample of rows is held out of training, then each asks for its nearest
// rows as a query would. Since a search misses no row of the lists that it looks at, the recall of so many
// lists is the share of those neighbours that lie in the query's first so many.
#ifndef EL_VECTORS_IVF_RECALL_H
#define EL_VECTORS_IVF_RECALL_H

#include "vectors/ivf_file.h"

struct el_ivf_sample {
    int64_t *rows; // [count], ascending; owned
    int64_t count;
};

// Some of the set's first `rows` that it allows. EL_ENOMEM.
int el_ivf_sample_draw(const struct el_vector_set *set, int64_t rows, uint64_t seed,
                       struct el_ivf_sample *ret_sample);
void el_ivf_sample_done(struct el_ivf_sample *sample);
bool el_ivf_sample_has(const struct el_ivf_sample *sample, int64_t row);

// Fills ivf->curves, by exact search in the set for the sample; `list_of` says where rows are. EL_ENOMEM.
int el_ivf_measure_recall(const struct el_ivf_sample *sample, const struct el_vector_set *set,
                          const int32_t *list_of, struct el_team *team, struct el_ivf *ivf);

#endif
