// SPDX-License-Identifier: Apache-2.0
// Forks, sets the environment that the fake driver reads, runs the program and reads the report.
#include "fake_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int run_exit_code(int status) {
    return -status;
}

static void set(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void enter_machine(const struct fake_run *run, const char *report) {
    const char *name = run->machine ? run->machine : "h200";
    char path[512];
    snprintf(path, sizeof path, EL_SOURCE_DIR "/tests/machines/%s.yaml", name);
    set("EL_MACHINE", name[0] == '/' ? name : path);
    set("EL_FAKE_FAIL", run->fail);
    set("EL_FAKE_STREAMS", run->streams);
    set("EL_FAKE_TRIP", run->trip);
    set("EL_FAKE_REPORT", report);
    set("CUDA_VISIBLE_DEVICES", run->visible);
    set("CUDA_DEVICE_ORDER", run->order);
}

int run_on_fake(const struct fake_run *run, int (*program)(void), json_t **ret_report) {
    char report[] = "/tmp/el-fake-report-XXXXXX";
    int file = mkstemp(report), state = 0;
    if (file < 0) return RUN_BAD_CHECK;
    close(file);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        enter_machine(run, report);
        exit(program());
    }
    if (child < 0 || waitpid(child, &state, 0) != child) return RUN_BAD_CHECK;
    if (ret_report) *ret_report = json_load_file(report, 0, NULL);
    unlink(report);
    return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

long run_left(const json_t *report) {
    const char *kind;
    json_t *count;
    long sum = 0;
    json_object_foreach(json_object_get(report, "left"), kind, count) sum += json_integer_value(count);
    return sum;
}

long run_calls(const json_t *report, const char *function) {
    return json_integer_value(json_object_get(json_object_get(report, "calls"), function));
}
