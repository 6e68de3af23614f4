// SPDX-License-Identifier: Apache-2.0
// `eleanor doctor`: what this machine has, what eleanor makes of it, how fast it is, and what to do about
// what is wrong. It needs no GPU and no driver.
#include "cmd/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "eleanor/eleanor.h"

static const char *const result_text[] = {"PASS", "WARN", "FAIL"};

void el_doctor_check(struct el_doctor *doctor, enum el_check result, const char *advice, const char *format,
                     ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->count[result]++;
    json_array_append_new(doctor->checks, json_pack("{s:s, s:s, s:s?}", "result", result_text[result], "what",
                                                    text, "do", advice));
}

static int examine(struct el_doctor *doctor) {
    doctor->root = json_pack("{s:s}", "version", EL_VERSION);
    doctor->checks = json_array();
    if (!doctor->root || !doctor->checks) return el_fail(EL_ENOMEM, "no memory for the findings");
    el_doctor_system(doctor);
    el_doctor_devices(doctor);
    el_doctor_gpus(doctor);
    json_object_set(doctor->root, "checks", doctor->checks);
    json_object_set_new(doctor->root, "healthy", json_boolean(doctor->count[EL_CHECK_FAIL] == 0));
    return 0;
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    struct el_doctor doctor = {.config = &config};
    bool json = false;
    struct el_args walk = *args;
    for (const char *flag, *value; el_args_next(&walk, &flag, &value) > 0;)
        json |= el_streq(flag, "json");
    if (el_args_config(args, &config) < 0) return el_cmd_usage(args);
    int status = examine(&doctor);
    if (status == 0 && json) {
        json_dumpf(doctor.root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else if (status == 0) {
        el_doctor_print(&doctor);
    }
    json_decref(doctor.checks);
    json_decref(doctor.root);
    if (status < 0) return el_cmd_failed(args);
    return doctor.count[EL_CHECK_FAIL] ? EL_EXIT_FAILED : EL_EXIT_DONE;
}

const struct el_verb el_verb_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "examine this machine: drivers, devices, speed, health",
    .details =
        "Says which devices there are, which of them the settings choose and why, and how they are: a\n"
        "kernel whose bits are known runs on each, copies and matrix products are timed. Lines of PASS,\n"
        "WARN and FAIL say what to do. Exit status 1 when there is a FAIL.",
    .flags = (const struct el_flag[]){{"json", 0, NULL, "print a JSON object"}, {0}},
    .settings = (const char *const[]){"device", "model", "gpu_enabled", "device_preference", "device_ids",
                                      "multi_gpu", "alert_threshold_pct", "log_level", "log_format", NULL},
    .run = run,
};
