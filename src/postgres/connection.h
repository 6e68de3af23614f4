// SPDX-License-Identifier: Apache-2.0
// A connection to a PostgreSQL server that comes back when it was lost, and what is run on it. All that users
// give travels as parameters in binary form, never within SQL.
#ifndef EL_POSTGRES_CONNECTION_H
#define EL_POSTGRES_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct el_pg {
    char *url;     // without a password
    char *schema;  // where the tables are, and all names of tables in our SQL: no other is looked into
    char *vectors; // the schema of pgvector, as an identifier in SQL; NULL: it is not in the database
    PGconn *connection;
    int view;     // hnsw.ef_search as it was set last; 0: it was not
    int patience; // seconds for which a lost server is sought
    bool again;   // what failed last may succeed another time
};

// EL_EINVAL: `url` is none of PostgreSQL's, or has a password in it, which would be kept in a file.
int el_pg_url_check(const char *url);

// Connects once. EL_ENET: the server can't be reached or does not let us in.
int el_pg_open(const char *url, const char *schema, struct el_pg *ret_pg);
void el_pg_close(struct el_pg *pg);

// Looks for pgvector again, as el_pg_open has done; for one that has made it.
int el_pg_set_schema(struct el_pg *pg);

// A parameter in PostgreSQL's binary form; data NULL: SQL's NULL.
struct el_pg_value {
    const void *data;
    size_t size;
};

// What a call does on a connection that is there.
typedef int el_pg_work(struct el_pg *pg, void *context);
// Runs `work` within a transaction: all of it holds, or on failure nothing. A connection that is lost, or a
// collision with another writer, rolls back and runs it again, at growing distances, for pg->patience.
// EL_ENET, EL_EBUSY.
int el_pg_transact(struct el_pg *pg, el_pg_work *work, void *context);
// The same for a single statement, which needs no transaction.
int el_pg_attempt(struct el_pg *pg, el_pg_work *work, void *context);

// Runs a statement; *ret_result holds its rows, with values in binary form. EL_EINVAL: a value that the
// server can't take; EL_EFORMAT: the tables are not there; EL_EIO, EL_ENOMEM, and those above.
int el_pg_query(struct el_pg *pg, const char *sql, const struct el_pg_value *values, size_t count,
                PGresult **ret_result);
// For statements without rows. el_pg_script runs several, without parameters, or begins a COPY.
int el_pg_run(struct el_pg *pg, const char *sql, const struct el_pg_value *values, size_t count);
int el_pg_script(struct el_pg *pg, const char *sql);

// COPY ... FROM STDIN, once it has begun: takes bytes, ends.
int el_pg_copy(struct el_pg *pg, const void *bytes, size_t size);
int el_pg_copy_end(struct el_pg *pg);

void el_pg_clear(PGresult **result);
#define el_auto_result el_auto(el_pg_clear)

#endif
