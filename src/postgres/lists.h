// SPDX-License-Identifier: Apache-2.0
// Ranked lists of chunks, as the database finds them: the nearest vectors, or the texts that share most
// words.
#ifndef EL_POSTGRES_LISTS_H
#define EL_POSTGRES_LISTS_H

#include <stdbool.h>

#include "index/index.h"
#include "postgres/connection.h"

struct el_pg_hit {
    float score;
    int64_t document, part; // equal scores go by these
    const PGresult *result; // that it is a row of
    int row;
};

// For qsort and bsearch of hits.
int el_pg_by_place(const void *a, const void *b);

// The columns of `result` that a caller may want.
enum el_pg_column { EL_PG_ID, EL_PG_PART, EL_PG_TEXT, EL_PG_METADATA };

struct el_pg_list {
    PGresult *result;
    struct el_pg_hit *hits; // [count], best first; more than k, so that the order is sure
    int count;
};
void el_pg_list_done(struct el_pg_list *list);

// Both take a query of one question.
// The k chunks that are nearest to its vector, by HNSW where it is there and query->recall and a filter let
// it.
int el_pg_find_nearest(struct el_pg *pg, const struct el_vector_facts *facts,
                       const struct el_index_query *query, int k, struct el_pg_list *list);
// The k chunks that hold any word of its text, by ts_rank_cd.
int el_pg_find_words(struct el_pg *pg, const struct el_index_query *query, int k, struct el_pg_list *list);

#endif
