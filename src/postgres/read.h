// SPDX-License-Identifier: Apache-2.0
// Reading documents one after another, with all that belongs to them, out of the database.
#ifndef EL_POSTGRES_READ_H
#define EL_POSTGRES_READ_H

#include "index/index.h"
#include "postgres/connection.h"

// As the store's `read`: each page sees one state of the database. EL_EFORMAT: a vector of another dimension.
int el_pg_read(struct el_pg *pg, int dim, struct el_index_page *page);

#endif
