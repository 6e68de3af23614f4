// SPDX-License-Identifier: Apache-2.0
// NVML through the fake libnvidia-ml.so.1: each test is a machine of its own, in a process of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eleanor/status.h"
#include "topo/nvml.h"

static struct el_nvml *nvml;
static struct el_gpu_reading reading;

static void open_nvml(void) {
    int status = el_nvml_open(&nvml);
    if (status < 0) fail_msg("%s: %s", el_status_text(status), el_error_detail());
}

static void check_link(int one, int other, enum el_gpu_path path, int nvlinks) {
    const struct el_gpu_link link = el_nvml_link(nvml, one, other);
    assert_int_equal(link.path, path);
    assert_int_equal(link.nvlinks, nvlinks);
}

static void says(enum el_gpu_field field, uint64_t value) {
    if (!el_gpu_knows(&reading, field)) fail_msg("%s is unknown", el_gpu_fields[field].name);
    assert_int_equal(reading.value[field], value);
}

// ---- a machine each ----

static void eight_by_nvlink(void **state) {
    (void)state;
    open_nvml();
    assert_int_equal(el_nvml_count(nvml), 8);
    assert_string_equal(el_nvml_driver(nvml), "550.54.15");
    assert_int_equal(el_nvml_cuda(nvml), 12040);
    const struct el_gpu *gpu = el_nvml_gpu(nvml, 7);
    assert_string_equal(gpu->name, "NVIDIA A100-SXM4-80GB");
    assert_string_equal(gpu->pci, "00000000:BD:00.0");
    assert_int_equal(gpu->memory, 85899345920);
    assert_int_equal(gpu->capability, 80);
    assert_int_equal(gpu->numa, 5);
    check_link(0, 7, EL_PATH_NODE, 12);
    check_link(3, 3, EL_PATH_SELF, 0);
    assert_int_equal(el_nvml_find(nvml, gpu->uuid, ""), 7);
    assert_int_equal(el_nvml_find(nvml, "", "0000:bd:00.0"), 7); // as CUDA writes it
    assert_int_equal(el_nvml_find(nvml, "GPU-none", "0000:be:00.0"), -1);
    el_nvml_read(nvml, 7, &reading);
    assert_false(reading.is_lost);
    says(EL_GPU_MEMORY_TOTAL, 85899345920);
    says(EL_GPU_MEMORY_USED, 618 << 20);
    says(EL_GPU_POWER_LIMIT, 400000);
    says(EL_GPU_TEMPERATURE, 31);
    says(EL_GPU_ECC_UNCORRECTED, 0);
    says(EL_GPU_XID, 0);
    says(EL_GPU_NVLINKS, 12);
    assert_int_equal(reading.valid, (1u << EL_GPU_FIELD_COUNT) - 1); // an A100 tells everything
    el_nvml_close(nvml);
}

static void eight_by_pcie(void **state) {
    (void)state;
    open_nvml();
    check_link(0, 1, EL_PATH_PIX, 0);
    check_link(0, 3, EL_PATH_NODE, 0);
    check_link(0, 4, EL_PATH_SYS, 0);
    el_nvml_read(nvml, 0, &reading);
    says(EL_GPU_NVLINKS, 0); // it has links, of which none is up
    el_nvml_close(nvml);
}

static void two_by_a_bridge(void **state) {
    (void)state;
    open_nvml();
    check_link(0, 1, EL_PATH_NODE, 4);
    el_nvml_read(nvml, 1, &reading);
    assert_false(el_gpu_knows(&reading, EL_GPU_ECC_UNCORRECTED)); // a GeForce does not count them
    assert_int_equal(el_nvml_gpu(nvml, 0)->numa, -1);
    says(EL_GPU_NVLINKS, 4);
    struct el_str json = {0};
    assert_int_equal(el_gpu_reading_put_json(&reading, &json), 0);
    assert_non_null(strstr(json.data, "\"temperature\": 41, "));
    assert_non_null(strstr(json.data, "\"ecc_uncorrected\": null, ")); // not 0
    el_str_done(&json);
    el_nvml_close(nvml);
}

static void one_falls_off_the_bus(void **state) {
    (void)state;
    char path[] = "/tmp/trip-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    open_nvml();
    setenv("EL_FAKE_TRIP", path, 1);
    el_nvml_read(nvml, 0, &reading);
    assert_false(reading.is_lost);
    assert_int_equal(write(file, "0 off-the-bus\n", 14), 14);
    el_nvml_read(nvml, 0, &reading);
    assert_true(reading.is_lost);
    assert_false(el_gpu_knows(&reading, EL_GPU_MEMORY_USED) || el_gpu_knows(&reading, EL_GPU_TEMPERATURE));
    says(EL_GPU_XID, 79);
    says(EL_GPU_XID_COUNT, 1);
    struct el_nvml *late = NULL; // who comes now finds it, lost
    assert_int_equal(el_nvml_open(&late), 0);
    assert_int_equal(el_nvml_count(late), 1);
    el_nvml_read(late, 0, &reading);
    assert_true(reading.is_lost);
    el_nvml_close(late);
    el_nvml_close(nvml);
    unlink(path);
    close(file);
}

static void none_is_there(void **state) {
    (void)state;
    assert_int_equal(el_nvml_open(&nvml), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "libnvidia-ml.so.1 was not found"));
}

static void throttling_has_names(void **state) {
    (void)state;
    char text[64];
    el_throttle_text(0x1, text, sizeof text); // idle
    assert_string_equal(text, "");
    el_throttle_text(0x25, text, sizeof text);
    assert_string_equal(text, "power cap, thermal");
    el_throttle_text(0x24, text, 8);
    assert_string_equal(text, "power c");
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_by_nvlink), cmocka_unit_test(eight_by_pcie),
        cmocka_unit_test(two_by_a_bridge), cmocka_unit_test(one_falls_off_the_bus),
        cmocka_unit_test(none_is_there),   cmocka_unit_test(throttling_has_names),
    };
    if (count == 2) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests_name("nvml", tests, NULL, NULL);
}
