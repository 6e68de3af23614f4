// SPDX-License-Identifier: Apache-2.0
// Settings: defaults, precedence whatever the order of calls, origins, and errors that help.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "fixture.h"

static int read_yaml(struct el_config *config, const char *text) {
    return el_config_read_yaml(config, "eleanor.yaml", text, strlen(text));
}

static void defaults_hold(void **state) {
    struct el_config *config = *state;
    assert_string_equal(config->host, "127.0.0.1");
    assert_int_equal(config->port, 8080);
    assert_int_equal(config->max_body, 33554432);
    assert_int_equal(config->model.count, 1);
    assert_string_equal(config->model.item[0], "all-MiniLM-L6-v2");
    assert_null(config->api_key);
    assert_false(config->pin);
}

static void file_sets_every_kind(void **state) {
    struct el_config *config = *state;
    assert_int_equal(read_yaml(config, "# a comment\n"
                                       "host: 0.0.0.0\n"
                                       "port: 0\n"
                                       "model: [one, 'two']\n"
                                       "precision: int8\n"
                                       "pin: yes\n"
                                       "max_body: 2MiB\n"
                                       "api_key: \"k#1\"\n"
                                       "tls_cert: null\n"),
                     0);
    assert_string_equal(config->host, "0.0.0.0");
    assert_int_equal(config->port, 0);
    assert_int_equal(config->model.count, 2);
    assert_string_equal(config->model.item[1], "two");
    assert_string_equal(config->precision, "int8");
    assert_true(config->pin);
    assert_int_equal(config->max_body, 2 << 20);
    assert_string_equal(config->api_key, "k#1");
    assert_null(config->tls_cert);
}

static void an_empty_file_sets_nothing(void **state) {
    assert_int_equal(read_yaml(*state, ""), 0);
    assert_int_equal(read_yaml(*state, "# only a comment\n"), 0);
    assert_int_equal(read_yaml(*state, "---\n"), 0);
    defaults_hold(state);
}

static void flag_beats_env_beats_file(void **state) {
    struct el_config *config = *state;
    char *const environment[] = {"PATH=/bin", "ELEANOR_THREADS=2", "ELEANOR_PORT=2", "ELEANOR_HOST=", NULL};
    // Highest first, on purpose: precedence is by source, not by order.
    assert_int_equal(el_config_set_flag(config, "threads", "3"), 0);
    assert_int_equal(el_config_read_env(config, environment), 0);
    assert_int_equal(read_yaml(config, "threads: 1\nport: 1\nmax_inputs: 1\n"), 0);
    assert_int_equal(config->threads, 3);
    assert_int_equal(config->port, 2);
    assert_int_equal(config->max_inputs, 1);
    assert_string_equal(config->host, "127.0.0.1"); // an empty variable is not set
}

static void first_list_flag_replaces_the_next_append(void **state) {
    struct el_config *config = *state;
    assert_int_equal(read_yaml(config, "model: [a, b]\n"), 0);
    assert_int_equal(el_config_set_flag(config, "model", "c"), 0);
    assert_int_equal(el_config_set_flag(config, "model", "d"), 0);
    assert_int_equal(config->model.count, 2);
    assert_string_equal(config->model.item[0], "c");
    assert_string_equal(config->model.item[1], "d");
}

static void flags_take_dashes(void **state) {
    struct el_config *config = *state;
    assert_int_equal(el_config_set_flag(config, "max-body", "1MB"), 0);
    assert_int_equal(config->max_body, 1000000);
    assert_int_equal(el_config_set_flag(config, "pin", NULL), 0);
    assert_true(config->pin);
}

struct refusal {
    const char *yaml;
    int status;
    const char *says[3]; // all of these
};

static void bad_files_are_refused_with_line_and_help(void **state) {
    static const struct refusal refusals[] = {
        {"host: a\n\nthread: 2\n", EL_EINVAL, {"eleanor.yaml:3: ", "\"thread\"", "did you mean threads?"}},
        {"zzzzzzzzzz: 2\n", EL_EINVAL, {"eleanor.yaml:1: ", "There are: host, port", "log_format"}},
        {"max-body: 2\n", EL_EINVAL, {"did you mean max_body?"}},
        {"threads: many\n", EL_EINVAL, {"eleanor.yaml:1: threads: ", "\"many\"", "from 0 to 1024"}},
        {"threads: 1025\n", EL_EINVAL, {"from 0 to 1024"}},
        {"precision: fp23\n",
         EL_EINVAL,
         {"precision: ", "auto|fp32|tf32|fp16|bf16|int8", "did you mean \"fp32\"?"}},
        {"max_body: 5\n", EL_EINVAL, {"from 1024 to 4294967296"}},
        {"max_body: much\n", EL_EINVAL, {"10MB"}},
        {"pin: perhaps\n", EL_EINVAL, {"neither true nor false"}},
        {"port: [1, 2]\n", EL_EINVAL, {"one value, not a list"}},
        {"port: []\n", EL_EINVAL, {"one value, not a list"}},
        {"port: {a: 1}\n", EL_EINVAL, {"eleanor.yaml:1: port: ", "not a mapping"}},
        {"model: [[a]]\n", EL_EINVAL, {"nested list"}},
        {"model: ['']\n", EL_EINVAL, {"empty"}},
        {"port: 1\nhost: a\nport: 2\n", EL_EINVAL, {"eleanor.yaml:3: ", "twice", "eleanor.yaml:1"}},
        {"- a\n- b\n", EL_EINVAL, {"eleanor.yaml:1: ", "setting: value"}},
        {"port: 1\n---\nport: 2\n", EL_EINVAL, {"second document"}},
        {"host: \"a\\0b\"\n", EL_EINVAL, {"NUL"}},
        {"host: a\nport: [1\n", EL_EFORMAT, {"eleanor.yaml:"}},
        {"host: \xff\xfe\xfd\n", EL_EFORMAT, {"eleanor.yaml: byte "}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct el_config config;
        assert_int_equal(el_config_init(&config), 0);
        assert_int_equal(read_yaml(&config, refusals[i].yaml), refusals[i].status);
        for (size_t j = 0; j < 3 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
        el_config_done(&config);
    }
}

static void bad_variables_are_refused_with_the_nearest(void **state) {
    char *const unknown[] = {"ELEANOR_THREAD=2", NULL}, *const lower[] = {"ELEANOR_threads=2", NULL};
    char *const bad[] = {"ELEANOR_PORT=x", NULL}, *const foreign[] = {"ELEANOR_HOME=/x", "ELEANOR_SIMD=ref",
                                                                      NULL};
    assert_int_equal(el_config_read_env(*state, unknown), EL_EINVAL);
    assert_detail_has("\"ELEANOR_THREAD\"");
    assert_detail_has("did you mean ELEANOR_THREADS?");
    assert_int_equal(el_config_read_env(*state, lower), EL_EINVAL);
    assert_detail_has("There are: ELEANOR_HOST, ELEANOR_PORT");
    assert_int_equal(el_config_read_env(*state, bad), EL_EINVAL);
    assert_detail_has("ELEANOR_PORT: port: \"x\"");
    assert_int_equal(el_config_read_env(*state, foreign), 0);
}

static void bad_flags_are_refused(void **state) {
    assert_int_equal(el_config_set_flag(*state, "max-bodi", "1"), EL_EINVAL);
    assert_detail_has("did you mean --max-body?");
    assert_int_equal(el_config_set_flag(*state, "port", "65536"), EL_EINVAL);
    assert_detail_has("--port: port: \"65536\" is not a whole number from 0 to 65535");
    assert_int_equal(el_config_set_flag(*state, "port", NULL), EL_EINVAL);
    assert_detail_has("needs a value");
}

static void a_failed_setting_changes_nothing(void **state) {
    struct el_config *config = *state;
    assert_int_equal(read_yaml(config, "model: [a, [b]]\n"), EL_EINVAL);
    assert_int_equal(read_yaml(config, "precision: no\n"), EL_EINVAL);
    defaults_hold(state);
    assert_string_equal(config->precision, "auto");
}

static void print_says_value_and_origin_and_hides_secrets(void **state) {
    struct el_config *config = *state, again;
    struct el_str text = {0}, json = {0};
    char *const environment[] = {"ELEANOR_THREADS=2", NULL};
    assert_int_equal(read_yaml(config, "host: 0.0.0.0\napi_key: hush\n"), 0);
    assert_int_equal(el_config_read_env(config, environment), 0);
    assert_int_equal(el_config_set_flag(config, "port", "9"), 0);
    assert_int_equal(el_config_print(config, false, &text), 0);
    assert_non_null(strstr(text.data, "host: \"0.0.0.0\"  # from eleanor.yaml:1\n"));
    assert_non_null(strstr(text.data, "threads: 2  # from ELEANOR_THREADS\n"));
    assert_non_null(strstr(text.data, "port: 9  # from --port\n"));
    assert_non_null(strstr(text.data, "api_key: \"***\"  # from eleanor.yaml:2\n"));
    assert_non_null(strstr(text.data, "max_inputs: 2048  # default\n"));
    assert_null(strstr(text.data, "hush"));

    // What it prints is a config file with the same meaning.
    assert_int_equal(el_config_init(&again), 0);
    assert_int_equal(read_yaml(&again, text.data), 0);
    assert_string_equal(again.host, "0.0.0.0");
    assert_int_equal(again.port, 9);
    el_config_done(&again);

    assert_int_equal(el_config_print(config, true, &json), 0);
    assert_non_null(
        strstr(json.data, "\"port\": {\"value\": 9, \"source\": \"flag\", \"place\": \"--port\"}"));
    assert_null(strstr(json.data, "hush"));
    el_str_done(&text);
    el_str_done(&json);
}

static void a_missing_file_names_its_path(void **state) {
    assert_int_equal(el_config_read_file(*state, "/nonexistent/eleanor.yaml"), EL_ENOENT);
    assert_detail_has("/nonexistent/eleanor.yaml");
}

static void the_sample_file_is_valid(void **state) {
    if (el_config_read_file(*state, EL_SOURCE_DIR "/config/eleanor.yaml") != 0)
        fail_msg("%s", el_error_detail());
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_config, close_config)
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold),
        TEST(file_sets_every_kind),
        TEST(an_empty_file_sets_nothing),
        TEST(flag_beats_env_beats_file),
        TEST(first_list_flag_replaces_the_next_append),
        TEST(flags_take_dashes),
        TEST(bad_files_are_refused_with_line_and_help),
        TEST(bad_variables_are_refused_with_the_nearest),
        TEST(bad_flags_are_refused),
        TEST(a_failed_setting_changes_nothing),
        TEST(print_says_value_and_origin_and_hides_secrets),
        TEST(a_missing_file_names_its_path),
        TEST(the_sample_file_is_valid),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
