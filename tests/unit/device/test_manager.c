// SPDX-License-Identifier: Apache-2.0
// The manager on a machine without a GPU: what it chooses, what it says, and what it says of the processor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "device/manager.h"
#include "eleanor/status.h"

static struct el_health health;

static struct el_manager *open_manager(const struct el_manager_options *options) {
    struct el_manager *manager = NULL;
    int status = el_manager_open(options, &manager);
    if (status < 0) fail_msg("%s: %s", el_status_text(status), el_error_detail());
    return manager;
}

static const char *reason_of(const struct el_manager *manager, const char *id) {
    const struct el_manager_report *report = el_manager_report(manager);
    for (int i = 0; i < report->candidate_count; i++)
        if (!strcmp(report->candidates[i].id, id)) return report->candidates[i].reason;
    return "";
}

static void contains(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" says nothing of \"%s\"", text, part);
}

// ---- without any driver ----

static void none_the_processor_is_left(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(NULL);
    const struct el_manager_report *report = el_manager_report(manager);
    assert_string_equal(report->mode, "cpu");
    contains(report->fallback, "cuda: libcuda.so.1 was not found");
    contains(reason_of(manager, "cuda"), "libcuda.so.1 was not found");
    contains(reason_of(manager, "mps"), "Apple's Metal is not available on Linux");
    contains(report->nvml_problem, "libnvidia-ml.so.1 was not found");
    assert_int_equal(el_manager_count(manager), 1);
    assert_string_equal(el_manager_device(manager, 0)->id, "cpu:0");
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy && health.devices[0].canary_right && !health.devices[0].has_reading);
    assert_true(health.devices[0].memory.available);
    el_manager_close(manager);
}

static void none_the_processor_may_be_asked_for(void **state) {
    (void)state;
    const char *const preference[] = {"cpu", "cuda", NULL};
    struct el_manager *manager = open_manager(&(struct el_manager_options){.preference = preference});
    assert_string_equal(el_manager_report(manager)->fallback, ""); // it is what was wanted
    el_manager_close(manager);
    manager = open_manager(&(struct el_manager_options){.devices = "cpu=3"});
    assert_int_equal(el_manager_count(manager), 3);
    assert_string_equal(el_manager_device(manager, 2)->id, "cpu:2");
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy && health.count == 3);
    el_manager_close(manager);
}

static void none_a_bad_index_falls_to_the_default(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.devices = "cpu:7"});
    assert_int_equal(el_manager_count(manager), 1);
    assert_int_equal(el_manager_report(manager)->warning_count, 1);
    contains(el_manager_report(manager)->warnings[0], "there is no cpu:7; cpu:0 is used instead");
    struct el_memory_stats stats;
    assert_int_equal(el_manager_memory_stats(manager, 0, &stats), 0);
    assert_int_equal(el_manager_memory_stats(manager, 1, &stats), EL_ENOENT);
    el_manager_close(manager);
}

static void refuses(const char *devices, int status, const char *why) {
    struct el_manager *manager = NULL;
    assert_int_equal(el_manager_open(&(struct el_manager_options){.devices = devices}, &manager), status);
    assert_null(manager);
    contains(el_error_detail(), why);
}

static void none_what_is_named_must_be_there(void **state) {
    (void)state;
    refuses("cuda:0", EL_ENOENT, "no cuda device: libcuda.so.1 was not found");
    refuses("cpu,mps", EL_ENOENT, "Metal is not available");
    refuses("", EL_EINVAL, "names no device");
    refuses("cuda:", EL_EINVAL, "\"cuda:\" names no device");
    refuses("cpu=0", EL_EINVAL, "into 1 to 32");
    refuses("cuda=2", EL_EINVAL, "cpu alone can be split");
    refuses("cpu,tpu:0", EL_EINVAL, "\"tpu:0\"");
    const char *const preference[] = {"gpu", NULL};
    struct el_manager *manager = NULL;
    assert_int_equal(el_manager_open(&(struct el_manager_options){.preference = preference}, &manager),
                     EL_EINVAL);
    contains(el_error_detail(), "\"gpu\" is none of");
}

static void none_health_as_json(void **state) {
    (void)state;
    struct el_str json = {0};
    struct el_manager *manager = open_manager(NULL);
    el_manager_health_check(manager, 0, &health);
    assert_int_equal(el_health_put_json(&health, &json), 0);
    contains(json.data, "{\"healthy\": true, \"mode\": \"cpu\", \"devices\": [{\"device_id\": 0, ");
    contains(json.data, "\"nvml\": null}]}");
    el_str_done(&json);
    el_manager_close(manager);
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_the_processor_is_left),
        cmocka_unit_test(none_the_processor_may_be_asked_for),
        cmocka_unit_test(none_a_bad_index_falls_to_the_default),
        cmocka_unit_test(none_what_is_named_must_be_there),
        cmocka_unit_test(none_health_as_json),
    };
    if (count == 2) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
