// SPDX-License-Identifier: Apache-2.0
// A search in the database.
#ifndef EL_POSTGRES_SEARCH_H
#define EL_POSTGRES_SEARCH_H

#include "index/index.h"
#include "postgres/connection.h"

// As el_index_store's search.
int el_pg_search(struct el_pg *pg, const struct el_vector_facts *facts, const struct el_index_query *query,
                 struct el_index_answer *answer);

#endif
