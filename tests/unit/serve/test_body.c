// SPDX-License-Identifier: Apache-2.0
// The body of POST /v1/embeddings: every form of input, and for each member every type that it may not have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/body.h"

static const struct el_body_limits limits = {.max_inputs = 4, .max_ids = 16};

static int parse(const char *text, size_t length, struct el_embeddings_body *body, struct el_fault *fault) {
    // A copy of the exact size, so that a sanitizer sees a read past its end.
    char *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    int status = el_embeddings_body_parse(copy, length, &limits, body, fault);
    free(copy);
    return status;
}

static void accept(const char *text, struct el_embeddings_body *body) {
    struct el_fault fault = {0};
    if (parse(text, strlen(text), body, &fault) < 0) fail_msg("%s: %s", text, fault.message);
}

static void refuse(const char *text, enum el_fault_kind kind, const char *param) {
    struct el_embeddings_body body;
    struct el_fault fault = {0};
    if (parse(text, strlen(text), &body, &fault) == 0) {
        el_embeddings_body_done(&body);
        fail_msg("%s was accepted", text);
    }
    if (fault.kind != kind)
        fail_msg("%s: \"%s\" of code %s", text, fault.message, el_fault_rows[fault.kind].code);
    assert_true(el_streq(fault.param, param));
    assert_true(fault.message[0] != '\0');
}

static void expect_text(const struct el_embed_input *input, const char *text, size_t length) {
    assert_null(input->ids);
    assert_int_equal(input->text.length, length);
    assert_memory_equal(input->text.data, text, length);
}

static void forms_of_input(void **state) {
    (void)state;
    struct el_embeddings_body body;
    accept("{\"input\":\"hello\"}", &body);
    assert_int_equal(body.count, 1);
    expect_text(body.inputs, "hello", 5);
    el_embeddings_body_done(&body);

    accept("{\"input\":[\"a\",\"bc\"]}", &body);
    assert_int_equal(body.count, 2);
    expect_text(&body.inputs[1], "bc", 2);
    el_embeddings_body_done(&body);

    accept("{\"input\":[101,7592,102]}", &body);
    assert_int_equal(body.count, 1);
    assert_int_equal(body.inputs->id_count, 3);
    assert_memory_equal(body.inputs->ids, ((int32_t[]){101, 7592, 102}), 12);
    el_embeddings_body_done(&body);

    accept("{\"input\":[101.0,2e2]}", &body); // whole numbers, too
    assert_memory_equal(body.inputs->ids, ((int32_t[]){101, 200}), 8);
    el_embeddings_body_done(&body);

    accept("{\"input\":[[1],[2,3],[4,5,6]]}", &body);
    assert_int_equal(body.count, 3);
    assert_int_equal(body.inputs[2].id_count, 3);
    assert_memory_equal(body.inputs[2].ids, ((int32_t[]){4, 5, 6}), 12);
    el_embeddings_body_done(&body);
}

static void options(void **state) {
    (void)state;
    struct el_embeddings_body body;
    accept("{\"input\":\"x\"}", &body);
    assert_true(!body.model && !body.base64 && !body.refuse_too_long && !body.dimensions &&
                !body.prompt_name);
    el_embeddings_body_done(&body);

    accept(
        "{\"input\":\"x\",\"model\":\"m\",\"encoding_format\":\"base64\",\"dimensions\":7,\"truncate\":false,"
        "\"prompt_name\":\"query\",\"user\":\"me\",\"unknown\":{\"a\":[1,\"b\"]}}",
        &body);
    assert_string_equal(body.model, "m");
    assert_string_equal(body.prompt_name, "query");
    assert_true(body.base64 && body.refuse_too_long);
    assert_int_equal(body.dimensions, 7);
    el_embeddings_body_done(&body);

    accept("{\"input\":\"x\",\"model\":null,\"encoding_format\":null,\"dimensions\":null,\"truncate\":null,"
           "\"prompt_name\":null,\"user\":null}",
           &body);
    assert_true(!body.model && !body.base64 && !body.refuse_too_long && !body.dimensions &&
                !body.prompt_name);
    el_embeddings_body_done(&body);
}

static void characters(void **state) {
    (void)state;
    struct el_embeddings_body body;
    accept("{\"input\":\"a\\u0000b\"}", &body); // a NUL is a character like others
    expect_text(body.inputs, "a\0b", 3);
    el_embeddings_body_done(&body);
    accept("{\"input\":\"\\ud83d\\ude00\"}", &body);
    expect_text(body.inputs, "\xF0\x9F\x98\x80", 4);
    el_embeddings_body_done(&body);

    refuse("{\"input\":\"\\ud83d\"}", EL_FAULT_INVALID_JSON, NULL);        // half a surrogate pair
    refuse("{\"input\":\"\\ude00\\ud83d\"}", EL_FAULT_INVALID_JSON, NULL); // the wrong way round
    refuse("{\"input\":\"\xFF\"}", EL_FAULT_INVALID_JSON, NULL);
    refuse("{\"input\":\"\xED\xA0\x80\"}", EL_FAULT_INVALID_JSON, NULL); // a surrogate in UTF-8
    refuse("{\"input\":\"\xC0\x80\"}", EL_FAULT_INVALID_JSON, NULL);     // a long form
    refuse("{\"input\":\"a\nb\"}", EL_FAULT_INVALID_JSON, NULL);         // a control character
    refuse("{\"input\":\"x\",\"model\":\"a\\u0000b\"}", EL_FAULT_INVALID_VALUE, "model");
}

static void not_json(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{\"input\":",
                                        "{\"input\":\"x\"",
                                        "{'input':'x'}",
                                        "nope",
                                        "{\"a\"}",
                                        "[1,]",
                                        "{\"input\":\"x\"} x",
                                        "{\"input\":\"x\",\"input\":\"y\"}",
                                        "{\"input\":\"\\x\"}",
                                        "{\"input\":[1e999]}",
                                        "{\"input\":\"x"};
    for (size_t i = 0; i < EL_COUNT(texts); i++)
        refuse(texts[i], EL_FAULT_INVALID_JSON, NULL);
    static const char *const roots[] = {"[]", "\"x\"", "1", "null", "true"};
    for (size_t i = 0; i < EL_COUNT(roots); i++)
        if (roots[i][0] == '[') refuse(roots[i], EL_FAULT_INVALID_TYPE, NULL);
}

static void wrong_inputs(void **state) {
    (void)state;
    static const char *const types[] = {
        "1",       "1.5",       "true",      "{}",          "{\"a\":\"b\"}", "[1.5]",       "[null]",
        "[true]",  "[{}]",      "[\"a\",1]", "[\"a\",[1]]", "[1,\"a\"]",     "[[1],\"a\"]", "[[1],2]",
        "[1,[2]]", "[[\"a\"]]", "[[1.5]]",   "[[[1]]]",     "[\"a\",null]"};
    for (size_t i = 0; i < EL_COUNT(types); i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"input\":%s}", types[i]);
        refuse(text, EL_FAULT_INVALID_TYPE, "input");
    }
    refuse("{}", EL_FAULT_MISSING_PARAMETER, "input");
    refuse("{\"input\":null}", EL_FAULT_MISSING_PARAMETER, "input");
    refuse("{\"input\":\"\"}", EL_FAULT_INVALID_VALUE, "input");
    refuse("{\"input\":[]}", EL_FAULT_INVALID_VALUE, "input");
    refuse("{\"input\":[\"a\",\"\"]}", EL_FAULT_INVALID_VALUE, "input");
    refuse("{\"input\":[[]]}", EL_FAULT_INVALID_VALUE, "input");
    refuse("{\"input\":[-1]}", EL_FAULT_INVALID_VALUE, "input");
    refuse("{\"input\":[4294967296]}", EL_FAULT_INVALID_VALUE, "input");
}

static void wrong_options(void **state) {
    (void)state;
    static const char *const members[] = {"model",           "user",       "prompt_name",
                                          "encoding_format", "dimensions", "truncate"};
    static const char *const values[] = {"1", "1.5", "true", "\"x\"", "[]", "{}"};
    static const char *const fine[] = {"\"x\"", "\"x\"", "\"x\"", "", "1", "true"};
    for (size_t m = 0; m < EL_COUNT(members); m++)
        for (size_t v = 0; v < EL_COUNT(values); v++) {
            struct el_str text el_auto(el_str_done) = {0};
            if (strcmp(fine[m], values[v]) == 0) continue;
            bool format = strcmp(members[m], "encoding_format") == 0 && strcmp(values[v], "\"x\"") == 0;
            assert_int_equal(el_str_printf(&text, "{\"input\":\"x\",\"%s\":%s}", members[m], values[v]), 0);
            refuse(text.data, format ? EL_FAULT_INVALID_VALUE : EL_FAULT_INVALID_TYPE, members[m]);
        }
    refuse("{\"input\":\"x\",\"dimensions\":0}", EL_FAULT_INVALID_VALUE, "dimensions");
    refuse("{\"input\":\"x\",\"dimensions\":-5}", EL_FAULT_INVALID_VALUE, "dimensions");
    refuse("{\"input\":\"x\",\"dimensions\":99999999999}", EL_FAULT_INVALID_VALUE, "dimensions");
}

static void over_the_limits(void **state) {
    (void)state;
    struct el_embeddings_body body;
    accept("{\"input\":[\"1\",\"2\",\"3\",\"4\"]}", &body);
    el_embeddings_body_done(&body);
    accept("{\"input\":[\"],[\",\"\\\",\\\"\",\"{\",\",,,,,,,,,,,,,,,,,,,,\"]}",
           &body); // within strings none count
    el_embeddings_body_done(&body);
    refuse("{\"input\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", EL_FAULT_TOO_MANY_INPUTS, "input");
    refuse("{\"input\":[[1],[1],[1],[1],[1]]}", EL_FAULT_TOO_MANY_INPUTS, "input");
    refuse("{\"\\u0069nput\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", EL_FAULT_TOO_MANY_INPUTS, "input");
    accept("{\"user\":null,\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\"],\"input\":\"x\"}",
           &body); // others don't count
    el_embeddings_body_done(&body);
    refuse("{\"input\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]}", EL_FAULT_TOO_MANY_TOKENS,
           "input");
}

static void a_million_inputs(void **state) {
    (void)state;
    struct el_str text el_auto(el_str_done) = {0};
    assert_int_equal(el_str_puts(&text, "{\"input\":[\"a\""), 0);
    for (int i = 1; i < 1000000; i++)
        assert_int_equal(el_str_puts(&text, ",\"a\""), 0);
    assert_int_equal(el_str_puts(&text, "]}"), 0);
    struct el_embeddings_body body;
    struct el_fault fault = {0};
    assert_true(el_embeddings_body_parse(text.data, text.length, &limits, &body, &fault) < 0);
    assert_int_equal(fault.kind, EL_FAULT_TOO_MANY_INPUTS);
    assert_non_null(strstr(fault.message, "1000000 inputs"));
}

// Every prefix of a body is refused, and no byte beyond it is read (parse gives it its exact size).
static void every_prefix(void **state) {
    (void)state;
    static const char text[] = "{\"input\":[\"a\\\"\\u00e9\",\"b\"],\"dimensions\":3,\"truncate\":false}";
    for (size_t length = 0; length < sizeof text - 1; length++) {
        struct el_embeddings_body body;
        struct el_fault fault = {0};
        assert_true(parse(text, length, &body, &fault) < 0);
        assert_int_equal(fault.kind, EL_FAULT_INVALID_JSON);
    }
}

static void deep_nesting(void **state) {
    (void)state;
    struct el_str text el_auto(el_str_done) = {0};
    assert_int_equal(el_str_puts(&text, "{\"input\":"), 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(el_str_putc(&text, '['), 0);
    refuse(text.data, EL_FAULT_INVALID_JSON, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms_of_input),  cmocka_unit_test(options),
                                       cmocka_unit_test(characters),      cmocka_unit_test(not_json),
                                       cmocka_unit_test(wrong_inputs),    cmocka_unit_test(wrong_options),
                                       cmocka_unit_test(over_the_limits), cmocka_unit_test(a_million_inputs),
                                       cmocka_unit_test(every_prefix),    cmocka_unit_test(deep_nesting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
