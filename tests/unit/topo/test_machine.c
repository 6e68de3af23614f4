// SPDX-License-Identifier: Apache-2.0
// Machine files: each of tests/machines/ loads, a broken one says where and why, and failures trip when they
// should.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

static struct machine machine;
static char problem[512];

static void load(const char *name) {
    char path[512];
    snprintf(path, sizeof path, EL_SOURCE_DIR "/tests/machines/%s.yaml", name);
    if (!machine_load(path, &machine, problem, sizeof problem)) fail_msg("%s", problem);
}

static void every_file_loads(void **state) {
    (void)state;
    glob_t files;
    assert_int_equal(glob(EL_SOURCE_DIR "/tests/machines/*.yaml", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 20);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!machine_load(files.gl_pathv[i], &machine, problem, sizeof problem)) fail_msg("%s", problem);
        assert_true(machine.gpu_count > 0 && machine.driver[0] && machine.cuda >= 12000);
        for (int k = 0; k < machine.gpu_count; k++)
            assert_true(machine.gpus[k].memory_used < machine.gpus[k].memory);
    }
    globfree(&files);
}

static void facts_are_read(void **state) {
    (void)state;
    load("8xa100-nvlink");
    assert_int_equal(machine.gpu_count, 8);
    assert_int_equal(machine.cuda, 12040);
    assert_true(machine.nvswitch);
    assert_string_equal(machine.gpus[7].pci, "00000000:BD:00.0");
    assert_int_equal(machine.gpus[7].memory, 85899345920);
    assert_int_equal(machine.gpus[7].power_limit, 400000);
    assert_int_equal(machine.gpus[7].numa, 5);
    assert_int_equal(machine.links[2][5].nvlinks, 12);
    load("8xa100-pcie");
    assert_int_equal(machine.links[0][1].path, MACHINE_PIX);
    assert_int_equal(machine.links[0][2].path, MACHINE_NODE);
    assert_int_equal(machine.links[0][7].path, MACHINE_SYS);
    load("mixed-lost"); // like mixed, with a failure
    assert_int_equal(machine.gpu_count, 3);
    assert_int_equal(machine.order[0], 2);
    assert_int_equal(machine.gpus[1].ecc_uncorrected, -1); // a GeForce does not say
    assert_int_equal(machine.failure_count, 1);
}

// Writes a machine file of its own; the caller unlinks it.
static void write_file(char *path, const char *text) {
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static void refuses(const char *text, const char *why) {
    char path[] = "/tmp/machine-XXXXXX";
    write_file(path, text);
    bool good = machine_load(path, &machine, problem, sizeof problem);
    unlink(path);
    assert_false(good);
    if (!strstr(problem, why)) fail_msg("\"%s\" says nothing of \"%s\"", problem, why);
    assert_int_equal(problem[0], '/'); // begins with the place
}

#define ONE_GPU "gpus: [{name: a, uuid: b, pci: c, memory: 1, capability: 80}]\n"

static void broken_files_are_refused(void **state) {
    (void)state;
    refuses("", "empty");
    refuses("gpus: [", ":2:");
    refuses("driver: x\n", "needs gpus");
    refuses("gpus: [{name: a}]\n", ":1: a GPU needs");
    refuses("driver: x\ngpus: [{nmae: a}]\n", ":2: a GPU has no \"nmae\"");
    refuses("gpus: [{memory: many}]\n", "a number");
    refuses("gpus: [{memory: 5 kg}]\n", "units");
    refuses(ONE_GPU "wheels: 4\n", ":2: a machine has no \"wheels\"");
    refuses(ONE_GPU "links: NV4\n", "row 0 has \"NV4\"");
    refuses(ONE_GPU "links: X X\n", "more than 1 x 1");
    refuses(ONE_GPU "order: [0, 1]\n", "order: names each GPU once");
    refuses(ONE_GPU "order: [1]\n", "order: names each GPU once");
    refuses(ONE_GPU "failures: [{gpu: 1, outcome: lost}]\n", "there are 1");
    refuses(ONE_GPU "failures: [{outcome: tired}]\n", "is none of: lost, off-the-bus");
    refuses(ONE_GPU "failures: [{gpu: 0}]\n", "needs an outcome");
    refuses("like: no-such\n", "cannot be opened");
}

static void a_sticky_failure_trips_once(void **state) {
    (void)state;
    load("8xa100-nvlink-ecc");
    for (int i = 1; i < 50; i++) {
        assert_int_equal(machine_call(&machine, 3, MACHINE_SYNC, 0), MACHINE_OK);
        assert_int_equal(machine_call(&machine, 2, MACHINE_LAUNCH, 0), MACHINE_OK);
        assert_int_equal(machine_call(&machine, 3, MACHINE_LAUNCH, 0), MACHINE_OK);
    }
    assert_int_equal(machine_call(&machine, 2, MACHINE_LAUNCH, 0), MACHINE_OK);
    assert_int_equal(machine_call(&machine, 3, MACHINE_LAUNCH, 0), MACHINE_ECC);
    assert_int_equal(machine.gpus[3].ecc_more, 1);
    assert_int_equal(machine.gpus[3].xid, 48);
    assert_int_equal(machine_call(&machine, 3, MACHINE_LAUNCH, 0), MACHINE_OK); // of a new context
}

static void off_the_bus_stays(void **state) {
    (void)state;
    load("rtx4090-off-the-bus");
    for (int i = 1; i < 50; i++)
        assert_int_equal(machine_call(&machine, 0, MACHINE_LAUNCH, 0), MACHINE_OK);
    assert_false(machine_gpu_gone(&machine, 0));
    assert_int_equal(machine_call(&machine, 0, MACHINE_LAUNCH, 0), MACHINE_OFF_THE_BUS);
    assert_int_equal(machine_call(&machine, 0, MACHINE_OPEN, 0), MACHINE_OFF_THE_BUS);
    assert_true(machine_gpu_gone(&machine, 0));
}

static void memory_ends_at_its_bytes(void **state) {
    (void)state;
    load("8xa100-nvlink-oom");
    machine.gpus[3].allocated = 200 << 20;
    assert_int_equal(machine_call(&machine, 3, MACHINE_ALLOC, 56 << 20), MACHINE_OK);
    assert_int_equal(machine_call(&machine, 3, MACHINE_ALLOC, 57 << 20), MACHINE_OOM);
    assert_int_equal(machine_call(&machine, 4, MACHINE_ALLOC, 57 << 20), MACHINE_OK);
}

static void a_test_trips_by_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/machine-XXXXXX";
    load("dual-3090-nvlink");
    write_file(path, "1 off-the-bus\n");
    setenv("EL_FAKE_TRIP", path, 1);
    assert_int_equal(machine_call(&machine, 0, MACHINE_COPY, 0), MACHINE_OK);
    assert_int_equal(machine_call(&machine, 1, MACHINE_COPY, 0), MACHINE_OFF_THE_BUS);
    assert_true(machine_gpu_gone(&machine, 1));
    unlink(path);
    assert_int_equal(machine_call(&machine, 1, MACHINE_COPY, 0), MACHINE_OK); // it is back
    assert_false(machine_gpu_gone(&machine, 1));
    unsetenv("EL_FAKE_TRIP");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_loads),         cmocka_unit_test(facts_are_read),
        cmocka_unit_test(broken_files_are_refused), cmocka_unit_test(a_sticky_failure_trips_once),
        cmocka_unit_test(off_the_bus_stays),        cmocka_unit_test(memory_ends_at_its_bytes),
        cmocka_unit_test(a_test_trips_by_a_file),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
