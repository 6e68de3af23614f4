// SPDX-License-Identifier: Apache-2.0
// The PostgreSQL store: the suite of all stores, and what is its own, on the server that EL_POSTGRES_URL
// names.
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "postgres/postgres.h"
#include "postgres_suite.h"

static int create_as(const char *url, int dim, enum el_metric metric) {
    const struct el_vector_facts facts = {.dim = dim, .metric = metric, .model = "tiny"};
    return el_postgres_store.create(suite_folder, url, &facts);
}

static void expect_refused(int status, int wanted, const char *says) {
    assert_int_equal(status, wanted);
    if (!strstr(el_error_detail(), says)) fail_msg("\"%s\" does not say \"%s\"", el_error_detail(), says);
}

static void urls(void **state) {
    (void)state;
    expect_refused(create_as("postgres://u:geheim@localhost/x", 4, EL_METRIC_IP), EL_EINVAL, "PGPASSWORD");
    assert_null(strstr(el_error_detail(), "geheim"));
    expect_refused(create_as("postgres://localhost/x?password=geheim", 4, EL_METRIC_IP), EL_EINVAL,
                   "PGPASSWORD");
    expect_refused(create_as("postgres://u:geheim@localhost/%zz", 4, EL_METRIC_IP), EL_EINVAL,
                   "can't be read");
    assert_null(strstr(el_error_detail(), "geheim"));
    expect_refused(create_as("postgres://u@127.0.0.1:9/x", 4, EL_METRIC_IP), EL_ENET, "127.0.0.1");
    assert_int_not_equal(access(suite_folder, F_OK), 0);
}

// What one machine has made another joins, when it wants the same.
static void an_index_is_joined(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    char moved[96];
    assert_int_equal(suite_put(index, 1, 2), 0);
    expect_refused(create_as(suite.url, SUITE_DIM, EL_METRIC_IP), EL_EINVAL, "there already");
    snprintf(moved, sizeof moved, "%s-away", suite_folder);
    assert_int_equal(rename(suite_folder, moved), 0);
    expect_refused(create_as(suite.url, SUITE_DIM + 1, EL_METRIC_IP), EL_EINVAL, "of 4 dimensions, ip, tiny");
    expect_refused(create_as(suite.url, SUITE_DIM, EL_METRIC_L2), EL_EINVAL, "of 4 dimensions, ip, tiny");
    assert_int_equal(create_as(suite.url, SUITE_DIM, EL_METRIC_IP), 0);
    struct el_index *joined = suite_open(false);
    suite_expect_found(joined, suite_by_number, 5, "1.1 1.0");
    el_index_close(joined);
    assert_int_equal(suite_remove_index(NULL), 0);
    assert_int_equal(rename(moved, suite_folder), 0);
    expect_refused(suite_put(index, 2, 1), EL_EFORMAT, "not in this database any more");
    el_index_close(index);
    expect_refused(suite.store->open(suite_folder, suite.url, false, &index), EL_EFORMAT, "any more");
}

struct creating {
    int dim, status;
    char detail[256]; // of the thread's error
};

static void *create_there(void *context) {
    struct creating *creating = context;
    creating->status = create_as(suite.url, creating->dim, EL_METRIC_IP);
    if (creating->status < 0) snprintf(creating->detail, sizeof creating->detail, "%s", el_error_detail());
    return NULL;
}

// Creates while another machine's index appears: between the look for it and the making of one.
static void create_beside_another(struct creating *creating) {
    postgres_ask("ALTER SCHEMA eleanor_docs RENAME TO elsewhere");
    PGconn *other = PQconnectdb(suite.url);
    pthread_t thread;
    PQclear(PQexec(other, "BEGIN; ALTER SCHEMA elsewhere RENAME TO eleanor_docs"));
    assert_int_equal(pthread_create(&thread, NULL, create_there, creating), 0);
    while (postgres_ask("SELECT count(*) FROM pg_stat_activity"
                        " WHERE application_name = 'eleanor' AND wait_event_type = 'Lock'") == 0)
        usleep(1000);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void two_create_at_once(void **state) {
    (void)state;
    struct creating other = {.dim = SUITE_DIM + 1}, same = {.dim = SUITE_DIM};
    char moved[96];
    snprintf(moved, sizeof moved, "%s-away", suite_folder);
    assert_int_equal(rename(suite_folder, moved), 0);
    create_beside_another(&other);
    assert_int_equal(other.status, EL_EINVAL);
    assert_non_null(strstr(other.detail, "an index of this name already, of 4 dimensions"));
    create_beside_another(&same);
    if (same.status < 0) fail_msg("%s", same.detail);
    assert_int_equal(suite_remove_index(NULL), 0);
    assert_int_equal(rename(moved, suite_folder), 0);
}

// In the schema behind ours nothing is touched, be its tables called as ours are.
static void other_tables_are_left_alone(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    int64_t removed = 0;
    postgres_ask("CREATE TABLE public.documents AS SELECT 'x'::text AS id");
    postgres_ask("DROP SCHEMA eleanor_docs CASCADE");
    assert_int_equal(el_index_remove(index, &(const char *){"x"}, 1, &removed), EL_EFORMAT);
    assert_int_equal(postgres_ask("SELECT count(*) FROM public.documents"), 1);
    postgres_ask("DROP TABLE public.documents");
    el_index_close(index);
}

static void dimensions(void **state) {
    (void)state;
    expect_refused(create_as(suite.url, 16001, EL_METRIC_IP), EL_EUNSUPPORTED, "16000");
    float vector[2001] = {1};
    assert_int_equal(create_as(suite.url, 2001, EL_METRIC_L2), 0); // more than HNSW takes
    struct el_index *index = suite_open(true);
    assert_int_equal(el_index_put(index, &(struct el_index_document){.id = "x", .chunks = 1}, 1, vector), 0);
    assert_int_equal(el_index_compact(index), 0);
    struct el_index_answer answer;
    const struct el_index_query query = {.count = 1, .vectors = vector, .k = 3};
    assert_int_equal(el_index_search(index, &query, &answer), 0);
    assert_int_equal(answer.lists[0].count, 1);
    el_index_answer_done(&answer);
    el_index_close(index);
}

// Texts that PostgreSQL can't take are refused whole; all others come back as they are, whatever they look
// like.
static void texts(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    static const char id[] = "'; DROP TABLE documents; --\\\"$1%s\xc3\xa9\n";
    struct el_text text = {id, sizeof id - 1};
    struct el_index_document documents[] = {{.id = "other"}, {.id = id, .chunks = 1, .texts = &text}};
    assert_int_equal(el_index_put(index, documents, 2, suite_by_number), 0);
    suite_expect_found(index, suite_by_number, 9, id);
    struct el_hash128 hash;
    assert_int_equal(el_index_find(index, id, &hash), 1);
    suite_expect_stats(index, 2, 1, 0);
    documents[0].id = "new";
    text = (struct el_text){"a\0b", 3};
    expect_refused(el_index_put(index, documents, 2, suite_by_number), EL_EINVAL, "UTF8");
    text = (struct el_text){"\xff", 1};
    expect_refused(el_index_put(index, documents, 2, suite_by_number), EL_EINVAL, "UTF8");
    documents[0].metadata = "{";
    expect_refused(el_index_put(index, documents, 1, NULL), EL_EINVAL, "json");
    suite_expect_stats(index, 2, 1, 0);
    suite_expect_found(index, suite_by_number, 9, id);
    el_index_close(index);
}

static void expect_mode(struct el_index *index, enum el_query_mode mode, const char *question,
                        const char *ids) {
    struct el_index_answer answer;
    struct el_str found el_auto(el_str_done) = {0};
    const struct el_index_query query = {.mode = mode,
                                         .count = 1,
                                         .vectors = suite_by_number,
                                         .texts = &(struct el_text){question, strlen(question)},
                                         .k = 5};
    if (el_index_search(index, &query, &answer) < 0) fail_msg("%s", el_error_detail());
    for (size_t i = 0; i < answer.lists[0].count; i++)
        assert_int_equal(el_str_puts(&found, answer.lists[0].hits[i].id), 0);
    assert_string_equal(found.data ? found.data : "", ids);
    el_index_answer_done(&answer);
}

// Any word will do, more are better, a short text before a long one. Nothing is syntax.
static void by_words(void **state) {
    (void)state;
    static const char *const contents[] = {"a pear", "an apple and another apple", "an apple and a plum too",
                                           NULL, "apple pear"};
    struct el_index *index = suite_open(true);
    for (size_t i = 0; i < EL_COUNT(contents); i++) {
        const struct el_text text = {contents[i], contents[i] ? strlen(contents[i]) : 0};
        const struct el_index_document document = {
            .id = (char[]){(char)('a' + i), '\0'}, .chunks = 1, .texts = &text};
        assert_int_equal(el_index_put(index, &document, 1, (float[SUITE_DIM]){(float)i}), 0);
    }
    expect_mode(index, EL_QUERY_VECTOR, "apple", "edcba");
    expect_mode(index, EL_QUERY_TEXT, "apple", "bec");
    expect_mode(index, EL_QUERY_TEXT, "APPLE pear", "ebac");
    expect_mode(index, EL_QUERY_TEXT, "plum & !apple | (", "bce");
    expect_mode(index, EL_QUERY_TEXT, "'; DROP TABLE chunks; --", "");
    expect_mode(index, EL_QUERY_TEXT, "", "");
    expect_mode(index, EL_QUERY_HYBRID, "apple pear", "ebcad"); // d by its vector alone
    expect_mode(index, EL_QUERY_HYBRID, "", "edcba");
    el_index_close(index);
}

static void an_id_twice_in_a_batch(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    const struct el_text a = {"a", 1}, b = {"b", 1};
    const struct el_index_document documents[] = {{.id = "x", .chunks = 1, .texts = &a},
                                                  {.id = "y", .chunks = 1, .texts = &a},
                                                  {.id = "x", .chunks = 1, .texts = &b}};
    const float vectors[3 * SUITE_DIM] = {1, 0, 0, 0, 2, 0, 0, 0, 3};
    assert_int_equal(el_index_put(index, documents, 3, vectors), 0);
    suite_expect_stats(index, 2, 2, 0);
    suite_expect_found(index, suite_by_number, 9, "b a");
    el_index_close(index);
}

// Rows that tie: the first that came are in the list, also when HNSW is asked.
static void ties(void **state) {
    (void)state;
    enum { COUNT = 200, K = 7 };
    struct el_index *index = suite_open(true);
    for (int n = 0; n < COUNT; n++) {
        char id[16];
        snprintf(id, sizeof id, "%d", n);
        const struct el_index_document document = {.id = id, .chunks = 1};
        assert_int_equal(el_index_put(index, &document, 1, suite_by_number), 0);
    }
    for (int round = 0; round < 2; round++) {
        struct el_index_answer answer;
        const struct el_index_query query = {.count = 1, .vectors = suite_by_number, .k = K};
        assert_int_equal(el_index_search(index, &query, &answer), 0);
        assert_int_equal(answer.lists[0].count, K);
        for (int i = 0; i < K; i++) {
            int64_t n = -1;
            assert_int_equal(el_parse_i64(answer.lists[0].hits[i].id, 0, COUNT, &n), 0);
            assert_int_equal(n, i);
        }
        el_index_answer_done(&answer);
        assert_int_equal(el_index_compact(index), 0);
    }
    el_index_close(index);
}

int main(void) {
    if (!suite_begin()) return SUITE_SKIPPED;
    const struct CMUnitTest tests[] = {
        SUITE_TESTS,
        cmocka_unit_test(urls),
        ON_AN_INDEX(an_index_is_joined),
        ON_AN_INDEX(two_create_at_once),
        ON_AN_INDEX(other_tables_are_left_alone),
        cmocka_unit_test_teardown(dimensions, suite_remove_index),
        ON_AN_INDEX(texts),
        ON_AN_INDEX(by_words),
        ON_AN_INDEX(an_id_twice_in_a_batch),
        ON_AN_INDEX(ties),
    };
    return cmocka_run_group_tests(tests, suite_make_root, suite_remove_root);
}
