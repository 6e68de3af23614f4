// SPDX-License-Identifier: Apache-2.0
// The inventory: of a saved machine's /proc and /sys, of this one, and of the GPUs of a machine file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/thread.h"
#include "topo/inventory.h"

static struct el_inventory inventory;

// ---- a machine of two sockets, written here ----

static char root[] = "/tmp/inventory-XXXXXX";

static void put(const char *path, const char *text) {
    char whole[256], folder[256];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(whole, '/') - whole), whole);
    assert_int_equal(el_mkdirs(folder), 0);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int write_machine(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    put("/proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7742\nmodel name\t: other\n");
    put("/proc/meminfo", "MemTotal:       2000 kB\nMemFree:  1 kB\nMemAvailable:   500 kB\n");
    put("/sys/devices/system/cpu/present", "0,1-8\n"); // of which the last is off
    for (int cpu = 0; cpu < 8; cpu++) {                // two sockets of two cores of two threads
        char path[128], text[16];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        snprintf(text, sizeof text, "%d\n", cpu / 2 % 2);
        put(path, text);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        snprintf(text, sizeof text, "%d\n", cpu % 2);
        put(path, text);
    }
    put("/sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
    put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       1200 kB\nNode 0 MemFree: 1 kB\n");
    put("/sys/devices/system/node/node2/cpulist", "2-3,6-7\n");
    put("/sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:       800 kB\n");
    put("/sys/bus/pci/devices/0000:c1:00.0/numa_node", "2\n");
    return 0;
}

static int remove_machine(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void none_saved_machine(void **state) {
    (void)state;
    el_inventory_read(root, NULL, &inventory);
    const struct el_processors *processors = &inventory.processors;
    assert_string_equal(processors->name, "AMD EPYC 7742");
    assert_int_equal(processors->threads, el_cpu_count());
    assert_int_equal(processors->online, 8);
    assert_int_equal(processors->cores, 4);
    assert_int_equal(processors->sockets, 2);
    assert_int_equal(processors->memory, 2000 * 1024);
    assert_int_equal(processors->memory_available, 500 * 1024);
    assert_int_equal(processors->node_count, 2);
    assert_int_equal(processors->nodes[1].id, 2);
    assert_int_equal(processors->nodes[1].memory, 800 * 1024);
    assert_string_equal(processors->nodes[0].processors, "0-1,4-5");
    assert_int_equal(el_pci_numa(root, "00000000:C1:00.0"), 2); // as NVML writes it
    assert_int_equal(el_pci_numa(root, "00000000:C2:00.0"), -1);
    assert_int_equal(el_pci_numa(root, ""), -1);
}

// ---- this machine ----

static json_t *as_json(void) {
    struct el_str text = {0};
    json_t *json = NULL;
    assert_int_equal(el_inventory_put_json(&inventory, &text), 0);
    assert_int_equal(el_json_parse("inventory", text.data, text.length, &json), 0);
    el_str_done(&text);
    return json;
}

static void none_this_machine(void **state) {
    (void)state;
    el_inventory_read("", NULL, &inventory);
    assert_true(inventory.processors.memory > 1 << 20);
    assert_true(inventory.processors.memory_available <= inventory.processors.memory);
    assert_int_equal(inventory.gpu_count, 0);
    json_t *json = as_json();
    assert_true(json_is_null(json_object_get(json, "driver")));
    assert_int_equal(json_array_size(json_object_get(json, "gpus")), 0);
    json_decref(json);
}

static void gpus_and_links(void **state) {
    (void)state;
    struct el_nvml *nvml = NULL;
    assert_int_equal(el_nvml_open(&nvml), 0);
    el_inventory_read("", nvml, &inventory);
    el_nvml_close(nvml);
    json_t *json = as_json();
    assert_string_equal(json_string_value(json_object_get(json, "cuda")), "12.4");
    const json_t *gpu = json_array_get(json_object_get(json, "gpus"), 4);
    assert_string_equal(json_string_value(json_object_get(gpu, "capability")), "8.0");
    assert_int_equal(json_integer_value(json_object_get(gpu, "numa")), 7);
    const json_t *row = json_array_get(json_object_get(json, "links"), 1);
    assert_int_equal(json_array_size(row), 8);
    assert_string_equal(json_string_value(json_array_get(row, 0)), "NV12");
    assert_string_equal(json_string_value(json_array_get(row, 1)), "X");
    json_decref(json);
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_saved_machine),
        cmocka_unit_test(none_this_machine),
        cmocka_unit_test(gpus_and_links),
    };
    if (count == 2) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests_name("inventory", tests, write_machine, remove_machine);
}
