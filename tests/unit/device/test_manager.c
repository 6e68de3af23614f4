// SPDX-License-Identifier: Apache-2.0
// The manager: what it chooses and says, and how it sees devices that are lost, hang or compute wrong. Each
// group of cases runs on a machine of its own (CMakeLists.txt says which), by the fake drivers of
// tests/fake/.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "device/manager/manager.h"
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

static void count_unhealthy(void *context, const struct el_health *look) {
    if (!look->healthy) (*(atomic_int *)context)++;
}

static void *ask_often(void *manager) {
    static _Thread_local struct el_health seen;
    for (int i = 0; i < 50; i++) {
        struct el_memory_stats stats;
        el_manager_health_check(manager, 0, &seen);
        assert_true(seen.healthy);
        assert_int_equal(el_manager_memory_stats(manager, i % 2, &stats), 0);
    }
    return NULL;
}

static void none_many_ask_at_once(void **state) {
    (void)state;
    atomic_int unhealthy = 0;
    pthread_t threads[3];
    struct el_manager *manager = open_manager(&(struct el_manager_options){.devices = "cpu=2"});
    assert_int_equal(el_manager_watch(manager, 1, count_unhealthy, &unhealthy), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, manager), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(el_manager_reopen(manager, i % 2), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    el_manager_unwatch(manager);
    assert_int_equal(unhealthy, 0);
    el_manager_close(manager);
}

// ---- eight GPUs ----

static void eight_are_used(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true, .budget = 1 << 30});
    assert_int_equal(el_manager_count(manager), 8);
    assert_string_equal(el_manager_report(manager)->mode, "cuda");
    assert_string_equal(el_manager_report(manager)->fallback, "");
    assert_int_equal(el_manager_device(manager, 3)->options.budget, 1 << 30);
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy && health.count == 8);
    for (int i = 0; i < 8; i++) {
        const struct el_device_health *device = &health.devices[i];
        assert_true(device->canary_right && device->canary_ns > 0);
        assert_true(device->has_reading && el_gpu_knows(&device->reading, EL_GPU_TEMPERATURE));
        assert_true(device->memory.available && device->memory.total_mb == 81920);
    }
    el_manager_close(manager);
}

static void eight_one_is_the_default(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(NULL);
    assert_int_equal(el_manager_count(manager), 1);
    assert_string_equal(el_manager_device(manager, 0)->id, "cuda:0");
    contains(reason_of(manager, "cuda:1"), "multi_gpu is off");
    contains(reason_of(manager, "cpu:0"), "cuda comes before it");
    el_manager_close(manager);
    const char *const preference[] = {"mps", "cpu", NULL};
    manager = open_manager(&(struct el_manager_options){.preference = preference});
    assert_string_equal(el_manager_report(manager)->mode, "cpu");
    contains(reason_of(manager, "cuda:1"), "not in device_preference");
    el_manager_close(manager);
}

static void eight_preferred(void **state) {
    (void)state;
    const int indices[] = {5, 2, 9};
    struct el_manager *manager =
        open_manager(&(struct el_manager_options){.indices = indices, .index_count = 3});
    const struct el_manager_report *report = el_manager_report(manager);
    assert_int_equal(el_manager_count(manager), 3);
    assert_string_equal(el_manager_device(manager, 0)->id,
                        "cuda:5"); // in their order, the first is the default
    assert_string_equal(el_manager_device(manager, 1)->id, "cuda:2");
    assert_string_equal(el_manager_device(manager, 2)->id, "cuda:0");
    assert_int_equal(report->warning_count, 1);
    contains(report->warnings[0], "there is no cuda:9; cuda:0 is used instead");
    contains(reason_of(manager, "cuda:1"), "not among the preferred devices");
    el_manager_close(manager);
}

static void eight_named(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.devices = "cuda:7,cuda:0,cpu"});
    assert_int_equal(el_manager_count(manager), 3);
    assert_string_equal(el_manager_device(manager, 0)->id, "cuda:7");
    assert_string_equal(el_manager_device(manager, 2)->id, "cpu:0");
    contains(reason_of(manager, "cuda:1"), "not asked for");
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy);
    el_manager_close(manager);
}

static void some_are_hidden(void **state) {
    (void)state;
    setenv("CUDA_VISIBLE_DEVICES", "6,1", 1);
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    const struct el_manager_report *report = el_manager_report(manager);
    int hidden = 0;
    assert_int_equal(el_manager_count(manager), 2);
    assert_string_equal(report->cuda_visible_devices, "6,1");
    assert_int_equal(el_manager_candidate(manager, 0)->gpu, 6); // CUDA's 0 is NVML's 6
    for (int i = 0; i < report->candidate_count; i++)
        hidden += strstr(report->candidates[i].reason, "not in CUDA_VISIBLE_DEVICES (\"6,1\")") != NULL;
    assert_int_equal(hidden, 6);
    el_manager_close(manager);
}

static void all_are_hidden(void **state) {
    (void)state;
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    struct el_manager *manager = open_manager(NULL);
    assert_string_equal(el_manager_report(manager)->mode, "cpu");
    contains(el_manager_report(manager)->fallback, "CUDA_VISIBLE_DEVICES is set, and leaves no device");
    el_manager_close(manager);
}

static void mixed_refuses_the_old_one(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    assert_int_equal(el_manager_count(manager), 2);
    contains(reason_of(manager, "cuda:2"), "compute capability 6.0; 7.0 is needed");
    el_manager_close(manager);
    refuses("cuda:2", EL_EUNSUPPORTED, "compute capability 6.0; 7.0 is needed");
}

// ---- PoCL ----

static void pocl_is_used_when_named(void **state) {
    (void)state;
    int count;
    if (el_backend_find("opencl")->count(&count) < 0) skip();
    struct el_manager *manager = open_manager(NULL);
    assert_string_equal(el_manager_report(manager)->mode, "cpu");
    contains(reason_of(manager, "opencl:0"), "it is the processor itself");
    el_manager_close(manager);
    const char *const preference[] = {"cuda", "opencl", "cpu", NULL};
    manager = open_manager(&(struct el_manager_options){.preference = preference});
    assert_string_equal(el_manager_report(manager)->mode, "opencl");
    el_manager_health_check(manager, 60000, &health); // its kernels may have to be built
    assert_true(health.healthy && health.devices[0].canary_right);
    el_manager_close(manager);
}

// ---- failures ----

// A file of failures that holds while the process runs (machine.h).
static char trip_path[] = "/tmp/trip-XXXXXX";

static void trip(const char *text) {
    if (strstr(trip_path, "XXXXXX")) {
        close(mkstemp(trip_path));
        setenv("EL_FAKE_TRIP", trip_path, 1);
    }
    FILE *file = fopen(trip_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int untrip(void **state) {
    (void)state;
    unlink(trip_path);
    return 0;
}

// What the watch has told of one device.
struct told {
    _Atomic uint64_t lost_ns, back_ns; // of el_now_ns
    char error[256];
};

static void hear(void *context, const struct el_health *look) {
    for (int i = 0; i < look->count; i++) {
        const struct el_device_health *device = &look->devices[i];
        struct told *told = (struct told *)context + i;
        if (device->healthy == (told->lost_ns == 0) || told->back_ns) continue;
        if (!device->healthy) memcpy(told->error, device->error, sizeof told->error);
        atomic_store(device->healthy ? &told->back_ns : &told->lost_ns, el_now_ns());
    }
}

// False when it has not come within ten seconds.
static bool comes(_Atomic uint64_t *when) {
    for (int i = 0; i < 2000 && *when == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return *when > 0;
}

static void gone_is_seen_within_a_second(void **state) {
    (void)state;
    struct told told[2] = {0};
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    trip("");
    assert_int_equal(el_manager_watch(manager, 0, hear, told), 0);
    assert_int_equal(el_manager_watch(manager, 0, hear, told), EL_EINVAL);
    nanosleep(&(struct timespec){.tv_nsec = 700000000}, NULL);
    assert_int_equal(told[0].lost_ns + told[1].lost_ns, 0);
    const uint64_t begin = el_now_ns();
    trip("1 off-the-bus\n");
    assert_true(comes(&told[1].lost_ns));
    assert_true(told[1].lost_ns - begin < 1000000000u);
    contains(told[1].error, "fallen off the bus");
    el_manager_health_check(manager, 0, &health);
    assert_true(!health.healthy && health.devices[0].healthy && !health.devices[1].healthy);
    assert_true(health.devices[1].reading.is_lost && !health.devices[1].memory.available);

    assert_int_equal(el_manager_reopen(manager, 1), EL_ELOST); // it stays away
    assert_null(el_manager_device(manager, 1));
    el_manager_health_check(manager, 0, &health);
    contains(health.devices[1].error, "does not open again");
    trip("");
    assert_int_equal(el_manager_reopen(manager, 1), 0);
    assert_true(comes(&told[1].back_ns));
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy);
    assert_int_equal(told[0].lost_ns, 0);
    el_manager_unwatch(manager);
    el_manager_close(manager);
}

static void sticky_is_reopened(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(NULL);
    int runs = 0;
    do
        el_manager_health_check(manager, 0, &health);
    while (health.healthy && ++runs < 60);
    assert_int_equal(runs, 49); // it dies of its 50th launch
    contains(health.devices[0].error, "CUDA_ERROR_LAUNCH_FAILED");
    el_manager_health_check(manager, 0, &health);
    contains(health.devices[0].error, "cuda:0 is lost: cuda:0: cu"); // and tells later what of
    assert_false(health.devices[0].memory.available);
    assert_int_equal(el_manager_reopen(manager, 0), 0);
    el_manager_health_check(manager, 0, &health);
    assert_true(health.healthy && health.devices[0].memory.available);
    el_manager_close(manager);
}

static void hung_does_not_keep_who_asks(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    trip("1 hang\n");
    for (int i = 0; i < 2; i++) {
        const uint64_t begin = el_now_ns();
        el_manager_health_check(manager, 200, &health);
        assert_true(el_now_ns() - begin < 400000000u);
        assert_true(health.devices[0].healthy && !health.devices[1].healthy);
        assert_int_equal(health.devices[1].canary_ns, 0);
        contains(health.devices[1].error, "cuda:1 has not answered for");
    }
    trip("");
    el_manager_health_check(manager, 0, &health); // it was slow, not dead
    assert_true(health.healthy);
    trip("1 hang\n");
    el_manager_health_check(manager, 100, &health);
    assert_int_equal(el_manager_reopen(manager, 1), EL_ELOST);
    contains(el_error_detail(), "hangs");
    assert_null(el_manager_device(manager, 1));
    trip("");
    el_manager_close(manager); // leaves what hung as it is
}

static void count_looks(void *context, const struct el_health *look) {
    assert_true(look->healthy); // one that is slow is not yet lost
    (*(atomic_int *)context)++;
}

static void hung_does_not_stop_the_watch(void **state) {
    (void)state;
    atomic_int looks = 0;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    assert_int_equal(el_manager_watch(manager, 50, count_looks, &looks), 0);
    trip("1 hang\n");
    const uint64_t begin = el_now_ns();
    looks = 0;
    while (looks < 5 && el_now_ns() - begin < 4000000000u)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_true(looks >= 5);
    trip("");
    el_manager_unwatch(manager);
    el_manager_close(manager);
}

static void wrong_bits_are_seen(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(&(struct el_manager_options){.multi = true});
    el_manager_health_check(manager, 0, &health);
    for (int i = 0; i < 8; i++)
        assert_true(health.devices[i].healthy == (i != 3));
    assert_false(health.devices[3].canary_right);
    contains(health.devices[3].error, "cuda:3 computes wrong");
    el_manager_close(manager);
}

static void ecc_is_told(void **state) {
    (void)state;
    struct el_manager *manager = open_manager(NULL);
    do
        el_manager_health_check(manager, 0, &health);
    while (health.healthy);
    contains(health.devices[0].error, "ECC");
    assert_int_equal(health.devices[0].reading.value[EL_GPU_ECC_UNCORRECTED], 1);
    assert_int_equal(health.devices[0].reading.value[EL_GPU_XID], 48);
    assert_int_equal(health.devices[0].reading.value[EL_GPU_XID_COUNT], 1);
    el_manager_close(manager);
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_the_processor_is_left),
        cmocka_unit_test(none_the_processor_may_be_asked_for),
        cmocka_unit_test(none_a_bad_index_falls_to_the_default),
        cmocka_unit_test(none_what_is_named_must_be_there),
        cmocka_unit_test(none_health_as_json),
        cmocka_unit_test(none_many_ask_at_once),
        cmocka_unit_test(eight_are_used),
        cmocka_unit_test(eight_one_is_the_default),
        cmocka_unit_test(eight_preferred),
        cmocka_unit_test(eight_named),
        cmocka_unit_test(some_are_hidden),
        cmocka_unit_test(all_are_hidden),
        cmocka_unit_test(mixed_refuses_the_old_one),
        cmocka_unit_test(pocl_is_used_when_named),
        cmocka_unit_test_teardown(gone_is_seen_within_a_second, untrip),
        cmocka_unit_test(sticky_is_reopened),
        cmocka_unit_test_teardown(hung_does_not_keep_who_asks, untrip),
        cmocka_unit_test_teardown(hung_does_not_stop_the_watch, untrip),
        cmocka_unit_test(wrong_bits_are_seen),
        cmocka_unit_test(ecc_is_told),
    };
    if (count == 2) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
