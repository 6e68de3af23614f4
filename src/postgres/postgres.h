// SPDX-License-Identifier: Apache-2.0
// The PostgreSQL store: an index is a schema of a database, its vectors a column of pgvector's type. Any
// number of processes, on any number of machines, may write to it at once. docs/postgres.md.
#ifndef EL_POSTGRES_POSTGRES_H
#define EL_POSTGRES_POSTGRES_H

#include "index/store.h"

extern const struct el_index_store el_postgres_store;

#endif
