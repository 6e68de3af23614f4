// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor doctor`: facts are gathered into one JSON object, checks into a list of it, and both
// are printed at the end.
#ifndef EL_CMD_DOCTOR_DOCTOR_H
#define EL_CMD_DOCTOR_DOCTOR_H

#include <jansson.h>

#include "config/config.h"

enum el_check { EL_CHECK_PASS, EL_CHECK_WARN, EL_CHECK_FAIL };

struct el_doctor {
    const struct el_config *config;
    json_t *root;   // facts; json functions take what NULL without memory makes of it
    json_t *checks; // of root
    int count[EL_CHECK_FAIL + 1];
};

// Adds a line to the checks; `advice` says what to do, NULL when there is nothing to do.
void el_doctor_check(struct el_doctor *doctor, enum el_check result, const char *advice, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

// The processor, drivers, kernels of this build and models: system.c.
void el_doctor_system(struct el_doctor *doctor);
// The manager's choice, and every device measured: devices.c.
void el_doctor_devices(struct el_doctor *doctor);
// get_info() of requirement 4, as "info": info.c.
struct el_manager;
struct el_health;
void el_doctor_info(struct el_doctor *doctor, struct el_manager *manager, const struct el_health *health);
// What NVML knows of the GPUs and how they are joined: gpus.c.
void el_doctor_gpus(struct el_doctor *doctor);

// All of it for people: text.c.
void el_doctor_print(const struct el_doctor *doctor);

#endif
