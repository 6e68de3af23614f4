// SPDX-License-Identifier: Apache-2.0
// The tables of an index's documents.db, and how those of earlier versions become those of today.
#ifndef EL_INDEX_SCHEMA_H
#define EL_INDEX_SCHEMA_H

#include "index/sql.h"

enum {
    EL_SCHEMA_VERSION = 3,
    EL_SCHEMA_WITH_WORDS = 2, // the first that has them: earlier ones have no text search
};

// Makes the tables, in the caller's transaction.
int el_schema_make(const struct el_sql *sql);
// EL_EFORMAT: it is no database of an index; EL_EUNSUPPORTED: of a later version than this program knows.
int el_schema_check(const struct el_sql *sql, int64_t *ret_version);
// Brings the tables up to date, in one transaction, which is the caller's to end when that fails.
int el_schema_upgrade(const struct el_sql *sql);

#endif
