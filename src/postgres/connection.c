// SPDX-License-Identifier: Apache-2.0
// A connection to a PostgreSQL server: its making, statements on it, and what their errors mean.
#include "postgres/connection.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"

// Seconds for which a connection is waited for, unless the URL says them; a lost one is sought as long, at
// these distances.
#define PATIENCE "10"
enum { FIRST_PAUSE_MS = 50, LONGEST_PAUSE_MS = 2000 };

// ---- errors ----

// By the beginning of the SQLSTATE (PostgreSQL's Appendix A).
static const struct meaning {
    const char *state;
    int status;
    bool again;
    const char *advice;
} meanings[] = {
    {"08", EL_ENET, true, ""},     // connection
    {"57P", EL_ENET, true, ""},    // the server goes down or comes up
    {"40", EL_EBUSY, true, ""},    // serialization, deadlock
    {"23P01", EL_EBUSY, true, ""}, // another writer has put the same id
    {"23505", EL_EBUSY, true, ""}, // another has made the same schema or extension at this moment,
    {"42P06", EL_EBUSY, true, ""}, // or since we looked
    {"42710", EL_EBUSY, true, ""},
    {"22", EL_EINVAL, false, ""}, // data
    {"53", EL_EIO, false, ""},    // disk, memory, connections
    {"54", EL_ETOOBIG, false, ""},
    {"42501", EL_EINVAL, false, "; ask the database's owner for the right, as docs/postgres.md says"},
    {"42P01", EL_EFORMAT, false, "; the index is not in this database any more"},
};

static void hang_up(struct el_pg *pg) {
    PQfinish(pg->connection);
    pg->connection = NULL;
}

static int fail_state(struct el_pg *pg, const char *state, const char *message) {
    const struct meaning *meaning = NULL;
    for (size_t i = 0; state && i < EL_COUNT(meanings) && !meaning; i++)
        if (el_starts_with(state, meanings[i].state)) meaning = &meanings[i];
    // What has no SQLSTATE is libpq's own trouble: it may still call the connection good when writing failed.
    const bool lost = !state || PQstatus(pg->connection) != CONNECTION_OK;
    pg->again = lost || (meaning && meaning->again);
    const int length = (int)strcspn(message, "\n"); // the rest tells where in our SQL
    const int status = lost ? EL_ENET : meaning ? meaning->status : EL_EIO;
    el_fail(status, "%s: %.*s%s", pg->url, length, message, meaning ? meaning->advice : "");
    if (lost) hang_up(pg);
    return status;
}

static int fail_result(struct el_pg *pg, const PGresult *result) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return fail_state(pg, state, primary ? primary : PQerrorMessage(pg->connection));
}

// ---- connecting ----

int el_pg_url_check(const char *url) {
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);
    PQfreemem(message); // not shown: it may quote a password
    if (!options)
        return el_fail(EL_EINVAL, "the store's URL can't be read; it looks like "
                                  "postgres://USER@HOST:PORT/DATABASE, with %%20 for what URLs can't hold");
    bool secret = false;
    for (const PQconninfoOption *option = options; option->keyword; option++)
        if (el_ends_with(option->keyword, "password") && option->val) secret = true;
    PQconninfoFree(options);
    if (!secret) return 0;
    return el_fail(EL_EINVAL, "the store's URL has a password in it, and would be kept in a file; give it as "
                              "PGPASSWORD, or in ~/.pgpass or a service file");
}

static void ignore_notice(void *context, const char *message) {
    (void)context;
    (void)message;
}

int el_pg_set_schema(struct el_pg *pg) {
    PGresult *result el_auto_result = NULL;
    const struct el_pg_value schema = {pg->schema, strlen(pg->schema)};
    EL_TRY(
        el_pg_query(pg,
                    "SELECT set_config('search_path', quote_ident($1::text), false),"
                    "  (SELECT quote_ident(nspname) FROM pg_catalog.pg_extension e"
                    "   JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector')",
                    &schema, 1, &result));
    el_free(pg->vectors);
    pg->vectors = NULL;
    return PQgetisnull(result, 0, 1) ? 0 : el_strdup(PQgetvalue(result, 0, 1), &pg->vectors);
}

// What stands before the URL may be changed by it, what stands behind it may not.
static PGconn *dial(const char *url) {
    const char *const keywords[] = {"fallback_application_name", "connect_timeout",
                                    "tcp_user_timeout",          "dbname",
                                    "client_encoding",           NULL};
    const char *const values[] = {"eleanor", PATIENCE, "30000", url, "UTF8", NULL};
    return PQconnectdbParams(keywords, values, 1);
}

// The URL's connect_timeout, or ours.
static int find_patience(PGconn *connection) {
    enum { LONGEST = 3600 };
    int64_t seconds = 0;
    PQconninfoOption *options = PQconninfo(connection);
    for (const PQconninfoOption *option = options; option && option->keyword; option++)
        if (el_streq(option->keyword, "connect_timeout") && option->val &&
            el_parse_i64(option->val, 0, LONGEST, &seconds) < 0)
            seconds = LONGEST;
    PQconninfoFree(options);
    return (int)seconds;
}

static int connect_once(struct el_pg *pg) {
    hang_up(pg);
    pg->connection = dial(pg->url);
    pg->view = 0;
    if (!pg->connection) return el_fail(EL_ENOMEM, "%s: no memory for a connection", pg->url);
    if (PQstatus(pg->connection) != CONNECTION_OK)
        return fail_state(pg, NULL, PQerrorMessage(pg->connection));
    PQsetNoticeProcessor(pg->connection, ignore_notice, NULL);
    return el_pg_set_schema(pg);
}

void el_pg_close(struct el_pg *pg) {
    PQfinish(pg->connection);
    el_free(pg->url);
    el_free(pg->schema);
    el_free(pg->vectors);
    *pg = (struct el_pg){0};
}

int el_pg_open(const char *url, const char *schema, struct el_pg *ret_pg) {
    struct el_pg pg el_auto(el_pg_close) = {0};
    EL_TRY(el_strdup(url, &pg.url));
    EL_TRY(el_strdup(schema, &pg.schema));
    EL_TRY(connect_once(&pg));
    pg.patience = find_patience(pg.connection);
    *ret_pg = pg;
    pg = (struct el_pg){0};
    return 0;
}

// ---- statements ----

void el_pg_clear(PGresult **result) {
    PQclear(*result);
    *result = NULL;
}

static int check_result(struct el_pg *pg, PGresult *result) {
    const ExecStatusType status = PQresultStatus(result); // of NULL: a fatal error
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN) return 0;
    return fail_result(pg, result);
}

// The columns of PQexecParams.
struct parameters {
    const char **data;
    int *sizes, *formats;
};

static void parameters_done(struct parameters *parameters) {
    el_free(parameters->data);
    el_free(parameters->sizes);
    el_free(parameters->formats);
}

int el_pg_query(struct el_pg *pg, const char *sql, const struct el_pg_value *values, size_t count,
                PGresult **ret_result) {
    enum { BINARY = 1 };
    struct parameters parameters el_auto(parameters_done) = {0};
    EL_TRY(el_alloc(count, sizeof *parameters.data, &parameters.data));
    EL_TRY(el_alloc(count, sizeof *parameters.sizes, &parameters.sizes));
    EL_TRY(el_alloc(count, sizeof *parameters.formats, &parameters.formats));
    for (size_t i = 0; i < count; i++) {
        if (values[i].size > INT_MAX) return el_fail(EL_ETOOBIG, "%s: a value of over 2 GiB", pg->url);
        parameters.data[i] = values[i].data;
        parameters.sizes[i] = (int)values[i].size;
        parameters.formats[i] = BINARY;
    }
    PGresult *result el_auto_result = PQexecParams(pg->connection, sql, (int)count, NULL, parameters.data,
                                                   parameters.sizes, parameters.formats, BINARY);
    EL_TRY(check_result(pg, result));
    *ret_result = el_steal(result);
    return 0;
}

int el_pg_run(struct el_pg *pg, const char *sql, const struct el_pg_value *values, size_t count) {
    PGresult *result el_auto_result = NULL;
    return el_pg_query(pg, sql, values, count, &result);
}

int el_pg_script(struct el_pg *pg, const char *sql) {
    PGresult *result el_auto_result = PQexec(pg->connection, sql);
    return check_result(pg, result);
}

// ---- COPY ----

int el_pg_copy(struct el_pg *pg, const void *bytes, size_t size) {
    const char *rest = bytes;
    while (size) {
        const int some = (int)EL_MIN(size, INT_MAX);
        if (PQputCopyData(pg->connection, rest, some) != 1)
            return fail_state(pg, NULL, PQerrorMessage(pg->connection));
        rest += some;
        size -= (size_t)some;
    }
    return 0;
}

int el_pg_copy_end(struct el_pg *pg) {
    if (PQputCopyEnd(pg->connection, NULL) != 1) return fail_state(pg, NULL, PQerrorMessage(pg->connection));
    PGresult *result el_auto_result = PQgetResult(pg->connection);
    EL_TRY(check_result(pg, result));
    PQclear(PQgetResult(pg->connection)); // the NULL that ends it
    return 0;
}

// ---- again and again ----

static int run_work(struct el_pg *pg, el_pg_work *work, void *context) {
    if (!pg->connection) EL_TRY(connect_once(pg));
    return work(pg, context);
}

static void pause_ms(int ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

int el_pg_attempt(struct el_pg *pg, el_pg_work *work, void *context) {
    for (int pause = FIRST_PAUSE_MS, waited = 0;; pause = EL_MIN(2 * pause, LONGEST_PAUSE_MS)) {
        pg->again = false;
        int status = run_work(pg, work, context);
        if (status >= 0 || !pg->again) return status;
        if (waited >= 1000 * pg->patience)
            return el_fail_in(status, "given up after %d seconds", pg->patience);
        pause_ms(pause);
        waited += pause;
    }
}

struct transaction {
    el_pg_work *work;
    void *context;
};

static int transact(struct el_pg *pg, void *context) {
    const struct transaction *transaction = context;
    EL_TRY(el_pg_script(pg, "BEGIN"));
    int status = transaction->work(pg, transaction->context);
    if (status >= 0) {
        const int committed = el_pg_script(pg, "COMMIT");
        return committed < 0 ? committed : status;
    }
    if (PQtransactionStatus(pg->connection) == PQTRANS_ACTIVE) // in the middle of a COPY
        PQputCopyEnd(pg->connection, "given up");
    PQclear(PQexec(pg->connection, "ROLLBACK"));
    return status;
}

int el_pg_transact(struct el_pg *pg, el_pg_work *work, void *context) {
    struct transaction transaction = {work, context};
    return el_pg_attempt(pg, transact, &transaction);
}
