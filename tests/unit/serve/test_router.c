// SPDX-License-Identifier: Apache-2.0
// Routing: every row of the table, 404, 405, HEAD, OPTIONS, and what Allow says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "serve/router.h"

static enum el_match find(const char *method, const char *path, const char **ret_name, const char **ret_id) {
    const struct el_route *route = NULL;
    enum el_match match = el_router_find(method, path, &route, ret_id);
    *ret_name = route ? route->name : NULL;
    return match;
}

static void expect(const char *method, const char *path, enum el_match match, const char *name,
                   const char *id) {
    const char *found_name, *found_id = NULL;
    assert_int_equal(find(method, path, &found_name, &found_id), match);
    if (match != EL_MATCH) return;
    assert_string_equal(found_name, name);
    assert_true(id ? found_id && strcmp(found_id, id) == 0 : !found_id);
}

static void every_route_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++) {
        if (strchr(el_routes[i].path, '{')) continue;
        expect(el_routes[i].method, el_routes[i].path, EL_MATCH, el_routes[i].name, NULL);
        expect("OPTIONS", el_routes[i].path, EL_MATCH_OPTIONS, NULL, NULL);
        expect("BREW", el_routes[i].path, EL_MATCH_WRONG_METHOD, NULL, NULL);
    }
}

static void ids(void **state) {
    (void)state;
    expect("GET", "/v1/models/all-MiniLM-L6-v2", EL_MATCH, "get_model", "all-MiniLM-L6-v2");
    expect("GET", "/v1/models/sentence-transformers/all-MiniLM-L6-v2", EL_MATCH, "get_model",
           "sentence-transformers/all-MiniLM-L6-v2");
    expect("HEAD", "/v1/models/x", EL_MATCH, "get_model", "x");
    expect("GET", "/v1/models/", EL_MATCH_NONE, NULL, NULL);
    expect("DELETE", "/v1/models/x", EL_MATCH_WRONG_METHOD, NULL, NULL);
}

static void names_within_a_path(void **state) {
    (void)state;
    expect("GET", "/v1/indexes/notes", EL_MATCH, "get_index", "notes");
    expect("DELETE", "/v1/indexes/notes", EL_MATCH, "delete_index", "notes");
    expect("POST", "/v1/indexes/notes/query", EL_MATCH, "query_index", "notes/query"); // up to the slash
    expect("POST", "/v1/indexes/query/query", EL_MATCH, "query_index", "query/query");
    expect("POST", "/v1/indexes/notes/documents", EL_MATCH, "add_documents", "notes/documents");
    expect("GET", "/v1/indexes/notes/query", EL_MATCH_WRONG_METHOD, NULL, NULL);
    expect("PUT", "/v1/indexes/notes", EL_MATCH_WRONG_METHOD, NULL, NULL);
    static const char *const paths[] = {
        "/v1/indexes/",          "/v1/indexes//query",   "/v1/indexes/a/",      "/v1/indexes/a/b",
        "/v1/indexes/a/b/query", "/v1/indexes/a/query/", "/v1/indexes/a/queryx"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect("POST", paths[i], EL_MATCH_NONE, NULL, NULL);
}

static void nothing_there(void **state) {
    (void)state;
    static const char *const paths[] = {"",         "/v1", "/v1/embeddings/", "/V1/embeddings", "//",
                                        "/healthz", "*"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect("GET", paths[i], EL_MATCH_NONE, NULL, NULL);
    expect("POST", "/v1/completions", EL_MATCH_NONE, NULL, NULL);
}

static void allow(void **state) {
    (void)state;
    char text[64];
    el_router_allow(&el_routes[EL_ROUTE_create_embeddings], text, sizeof text);
    assert_string_equal(text, "POST, OPTIONS");
    el_router_allow(&el_routes[EL_ROUTE_health], text, sizeof text);
    assert_string_equal(text, "GET, HEAD, OPTIONS");
    el_router_allow(&el_routes[EL_ROUTE_get_index], text, sizeof text);
    assert_string_equal(text, "GET, HEAD, DELETE, OPTIONS");
}

static void only_health_is_open(void **state) {
    (void)state;
    for (size_t i = 0; i < EL_ROUTE_COUNT; i++) {
        bool health = strcmp(el_routes[i].path, "/health") == 0 || strcmp(el_routes[i].path, "/livez") == 0 ||
                      strcmp(el_routes[i].path, "/readyz") == 0;
        assert_int_equal(el_routes[i].needs_key, !health);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_route_is_found),
                                       cmocka_unit_test(ids),
                                       cmocka_unit_test(names_within_a_path),
                                       cmocka_unit_test(nothing_there),
                                       cmocka_unit_test(allow),
                                       cmocka_unit_test(only_health_is_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
