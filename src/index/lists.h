// SPDX-License-Identifier: Apache-2.0
// The inverted lists of an index in the embedded store, in a file beside its vectors (ivf.h): when they are
// made, when they are used, and what stands in for them. They hold nothing that the vectors don't, so where
// they are missing or damaged every row is searched.
#ifndef EL_INDEX_LISTS_H
#define EL_INDEX_LISTS_H

#include <sys/stat.h>

#include "index/index.h"
#include "vectors/ivf.h"

struct el_embedded;
struct el_vector_set;

struct el_lists {
    struct el_ivf *ivf; // or NULL
    int64_t generation; // of the vectors that were looked for
    struct stat file;   // what was found
};

void el_lists_done(struct el_lists *lists);

// The k best rows by each of the query's vectors, in the lists that its recall needs, or all rows: where
// there are no lists; where nothing is known of so large a k, or of a filter that leaves so few. As
// el_search_exact.
int el_lists_search(struct el_embedded *index, const struct el_vector_set *set,
                    const struct el_index_query *query, int k, struct el_query_stats *ret_stats,
                    struct el_hit *ret_hits /* [count][k] */);

// After rows have come: makes lists anew when a third of all rows is in none. What fails is only
// debug-logged.
void el_lists_keep_up(struct el_embedded *index);
// Makes them, where there are rows enough. EL_EIO, EL_ENOMEM.
int el_lists_make(struct el_embedded *index);
// Checks all of them; 0 also when there are none. EL_ECHECKSUM, EL_EFORMAT.
int el_lists_verify(struct el_embedded *index);
void el_lists_tell(struct el_embedded *index, struct el_index_stats *stats);

#endif
