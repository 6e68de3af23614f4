// SPDX-License-Identifier: Apache-2.0
// The tables of an index in a database, their making and removal, and the facts that they keep of it.
#ifndef EL_POSTGRES_FACTS_H
#define EL_POSTGRES_FACTS_H

#include "index/index.h"
#include "postgres/connection.h"

enum {
    EL_PG_MOST_DIM = 16000,     // of pgvector's `vector`
    EL_PG_MOST_NEAR_DIM = 2000, // of its HNSW index
};

struct el_pg_facts {
    struct el_vector_facts vectors;
    struct el_siphash_key key;
};

// Makes schema and tables, and pgvector's extension where it is missing. Where the index is there already it
// is joined: EL_EINVAL when it has other facts, or is something else. EL_EUNSUPPORTED: no pgvector.
int el_pg_make(struct el_pg *pg, const struct el_vector_facts *facts);
// EL_EFORMAT: there is no index; EL_EUNSUPPORTED: a newer version.
int el_pg_facts(struct el_pg *pg, struct el_pg_facts *ret_facts);
// What is not there is no failure.
int el_pg_drop(struct el_pg *pg);

// Makes the HNSW index, or makes it anew beside the old one, which searches go on with; none over
// EL_PG_MOST_NEAR_DIM dimensions. Not within a transaction.
int el_pg_make_near(struct el_pg *pg, const struct el_vector_facts *facts);

#endif
