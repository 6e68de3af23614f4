// SPDX-License-Identifier: Apache-2.0
// The tests of all stores are of the PostgreSQL one, on the server that EL_POSTGRES_URL names.
#include "postgres_suite.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "postgres/postgres.h"

int64_t postgres_ask(const char *sql) {
    int64_t value = -1;
    PGconn *connection = PQconnectdb(suite.url);
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s", PQerrorMessage(connection));
    if (PQntuples(result)) assert_int_equal(el_parse_i64(PQgetvalue(result, 0, 0), 0, INT64_MAX, &value), 0);
    PQclear(result);
    PQfinish(connection);
    return value;
}

// A killed client's server process may still be committing.
static void wait_for_backends(void) {
    for (int tries = 0;
         postgres_ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'eleanor'"); tries++) {
        assert_true(tries < 10000);
        usleep(1000);
    }
}

struct suite suite = {.store = &el_postgres_store, .metadata = "{\"a\": 1}", .settle = wait_for_backends};

bool suite_begin(void) {
    suite.url = getenv("EL_POSTGRES_URL");
    if (!suite.url) printf("SKIPPED: EL_POSTGRES_URL names no server\n");
    return suite.url != NULL;
}
