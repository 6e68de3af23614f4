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

static void none_this_machine(void **state) {
    (void)state;
    el_inventory_read("", NULL, &inventory);
    assert_true(inventory.processors.memory > 1 << 20);
    assert_true(inventory.processors.memory_available <= inventory.processors.memory);
    assert_int_equal(inventory.gpu_count, 0);
    assert_string_equal(inventory.driver, "");

    struct el_str text = {0};
    json_t *json = NULL;
    assert_int_equal(el_processors_put_json(&inventory.processors, &text), 0);
    assert_int_equal(el_json_parse("processors", text.data, text.length, &json), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "threads")), el_cpu_count());
    assert_int_equal(json_array_size(json_object_get(json, "nodes")), inventory.processors.node_count);
    json_decref(json);
    el_str_done(&text);
}

static void gpus_and_links(void **state) {
    (void)state;
    struct el_nvml *nvml = NULL;
    assert_int_equal(el_nvml_open(&nvml), 0);
    el_inventory_read("", nvml, &inventory);
    el_nvml_close(nvml);
    assert_int_equal(inventory.cuda, 12040);
    assert_int_equal(inventory.gpu_count, 8);
    assert_int_equal(inventory.gpus[4].capability, 80);
    assert_int_equal(inventory.gpus[4].numa, 7);
    char text[16];
    el_gpu_link_text(inventory.links[1][0], text, sizeof text);
    assert_string_equal(text, "NV12");
    el_gpu_link_text(inventory.links[1][1], text, sizeof text);
    assert_string_equal(text, "X");
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
