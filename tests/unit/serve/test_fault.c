// SPDX-License-Identifier: Apache-2.0
// Faults: OpenAI's envelope around any message, and the row of every status.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/fault.h"

// The "error" member of the envelope; the caller frees *ret_root.
static json_t *written(const struct el_fault *fault, json_t **ret_root) {
    struct el_str str el_auto(el_str_done) = {0};
    assert_int_equal(el_fault_write(fault, &str), 0);
    *ret_root = json_loadb(str.data, str.length, 0, NULL);
    assert_non_null(*ret_root);
    return json_object_get(*ret_root, "error");
}

static void envelope(void **state) {
    (void)state;
    json_t *root;
    for (int kind = 1; kind < EL_FAULT_COUNT; kind++) {
        struct el_fault fault;
        const struct el_fault_row *row = &el_fault_rows[kind];
        assert_int_equal(
            el_fault_set(&fault, (enum el_fault_kind)kind, kind % 2 ? "input" : NULL, "say \"%s\"\n", "so"),
            EL_EINVAL);
        json_t *error = written(&fault, &root);
        assert_int_equal(json_object_size(error), 4);
        assert_string_equal(json_string_value(json_object_get(error, "message")), "say \"so\"\n");
        assert_string_equal(json_string_value(json_object_get(error, "type")), row->type);
        assert_string_equal(json_string_value(json_object_get(error, "code")), row->code);
        assert_true(kind % 2 ? json_is_string(json_object_get(error, "param"))
                             : json_is_null(json_object_get(error, "param")));
        assert_true(row->status >= 400 && row->status < 600);
        json_decref(root);
    }
}

static void long_messages_are_cut_between_characters(void **state) {
    (void)state;
    char text[2048];
    json_t *root;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        struct el_fault fault;
        el_fault_set(&fault, EL_FAULT_INVALID_VALUE, NULL, "%s", text);
        const char *message = json_string_value(json_object_get(written(&fault, &root), "message"));
        assert_null(strstr(message, "\xEF\xBF\xBD")); // no replacement character
        assert_true(strlen(message) > 500);
        json_decref(root);
    }
}

static void of_statuses(void **state) {
    (void)state;
    static const struct {
        int status, http;
    } rows[] = {{EL_EINVAL, 400}, {EL_ETOOBIG, 413}, {EL_EBUSY, 429},     {EL_ECANCELED, 499},
                {EL_ENOMEM, 503}, {EL_ELOST, 500},   {EL_ESHUTDOWN, 503}, {EL_EIO, 500}};
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        struct el_fault fault;
        el_fail(rows[i].status, "detail %zu", i);
        el_fault_from_status(&fault, rows[i].status, "input");
        assert_int_equal(el_fault_rows[fault.kind].status, rows[i].http);
        assert_int_equal(strncmp(fault.message, "detail ", 7), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(envelope),
                                       cmocka_unit_test(long_messages_are_cut_between_characters),
                                       cmocka_unit_test(of_statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
