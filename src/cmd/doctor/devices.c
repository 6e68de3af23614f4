// SPDX-License-Identifier: Apache-2.0
// Doctor's look at devices: what the manager chooses by the settings and why, and every device that can be
// used, chosen or not: its health, its kernels, its speed.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/doctor/doctor.h"
#include "cmd/measure.h"
#include "device/manager/candidates.h"
#include "serve/device_settings.h"

enum { LEAST_MS = 20 }; // of each figure that is measured

// ---- one device ----

// Checks what NVML read: 80 C is warm, 83 C is where an A100 slows down.
static void check_reading(struct el_doctor *doctor, const char *id, const struct el_gpu_reading *reading) {
    const uint64_t *value = reading->value;
    if (el_gpu_knows(reading, EL_GPU_TEMPERATURE) && value[EL_GPU_TEMPERATURE] >= 80)
        el_doctor_check(doctor, value[EL_GPU_TEMPERATURE] >= 83 ? EL_CHECK_FAIL : EL_CHECK_WARN,
                        "see to its cooling", "%s has %d C", id, (int)value[EL_GPU_TEMPERATURE]);
    if (el_gpu_knows(reading, EL_GPU_ECC_UNCORRECTED) && value[EL_GPU_ECC_UNCORRECTED] > 0)
        el_doctor_check(doctor, EL_CHECK_WARN, "reset the GPU; if they come back, replace it",
                        "%s has %d memory errors beyond repair", id, (int)value[EL_GPU_ECC_UNCORRECTED]);
    char throttle[128] = "";
    if (el_gpu_knows(reading, EL_GPU_THROTTLE))
        el_throttle_text(value[EL_GPU_THROTTLE], throttle, sizeof throttle);
    if (*throttle)
        el_doctor_check(doctor, EL_CHECK_WARN, "see to its power and cooling", "%s is held down: %s", id,
                        throttle);
    if (!el_gpu_knows(reading, EL_GPU_MEMORY_USED) || !el_gpu_knows(reading, EL_GPU_MEMORY_TOTAL)) return;
    const int64_t limit = doctor->config->alert_threshold_pct;
    const double used =
        100.0 * (double)value[EL_GPU_MEMORY_USED] / (double)EL_MAX(value[EL_GPU_MEMORY_TOTAL], 1);
    if (limit > 0 && used >= (double)limit)
        el_doctor_check(doctor, EL_CHECK_WARN, "end other programs on it, or use another GPU",
                        "%.0f %% of the memory of %s is used", used, id);
}

// What the health check says of device i, as a JSON object.
static json_t *health_row(const struct el_health *health, int i) {
    struct el_str text el_auto(el_str_done) = {0};
    if (el_health_put_json(health, &text) < 0) return NULL;
    json_t *root = json_loadb(text.data, text.length, 0, NULL);
    json_t *row = json_incref(json_array_get(json_object_get(root, "devices"), (size_t)i));
    json_decref(root);
    return row;
}

static void examine_device(struct el_doctor *doctor, struct el_manager *manager,
                           const struct el_health *health, int i, json_t *rows) {
    struct el_device *device = el_manager_device(manager, i);
    const struct el_device_health *own = &health->devices[i];
    const struct el_device_facts facts = device ? device->facts : el_manager_candidate(manager, i)->facts;
    json_t *row = health_row(health, i);
    json_object_set_new(row, "name", json_string(facts.name));
    if (facts.build_ns) json_object_set_new(row, "kernels_ms", json_real((double)facts.build_ns * 1e-6));
    json_array_append_new(rows, row);
    if (own->has_reading) check_reading(doctor, own->id, &own->reading);
    if (!own->healthy) {
        el_doctor_check(doctor, EL_CHECK_FAIL, "take it out of device_ids; see what the driver logged",
                        "%s is not healthy: %s", own->id, own->error);
        return;
    }
    struct el_rates rates;
    if (el_measure(device, LEAST_MS, &rates) < 0) {
        json_object_set_new(row, "healthy", json_false());
        json_object_set_new(row, "error", json_string(el_error_detail()));
        el_doctor_check(doctor, EL_CHECK_FAIL, "take it out of device_ids; see what the driver logged",
                        "%s failed while it was measured: %s", own->id, el_error_detail());
        return;
    }
    json_object_set_new(row, "rates", el_rates_json(&rates));
    el_doctor_check(doctor, EL_CHECK_PASS, NULL, "%s (%s) is healthy", own->id, facts.name);
}

static void examine_all(struct el_doctor *doctor, struct el_manager *manager, bool is_chosen, json_t *rows) {
    struct el_health *health = NULL;
    if (el_zalloc(1, sizeof *health, &health) < 0) return;
    el_manager_health_check(manager, 0, health);
    for (int i = 0; i < health->count; i++)
        examine_device(doctor, manager, health, i, rows);
    if (is_chosen) el_doctor_info(doctor, manager, health);
    el_free(health);
}

// A device that the settings do not choose.
static void examine_other(struct el_doctor *doctor, const char *id, json_t *rows) {
    const struct el_manager_options options = {.devices = id};
    struct el_manager *manager;
    if (el_manager_open(&options, &manager) < 0) {
        el_doctor_check(doctor, EL_CHECK_FAIL, "see what the driver logged", "%s does not open: %s", id,
                        el_error_detail());
        return;
    }
    examine_all(doctor, manager, false, rows);
    el_manager_close(manager);
}

// ---- the choice ----

static void put_text(json_t *object, const char *name, const char *text) {
    if (*text) json_object_set_new(object, name, json_string(text));
}

static json_t *candidate_row(const struct el_candidate *candidate) {
    const struct el_device_facts *facts = &candidate->facts;
    json_t *row =
        json_pack("{s:s, s:s, s:b, s:b, s:s}", "id", candidate->id, "kind", candidate->kind, "usable",
                  candidate->usable, "chosen", candidate->chosen, "reason", candidate->reason);
    put_text(row, "name", facts->name);
    put_text(row, "driver", facts->driver);
    put_text(row, "uuid", facts->uuid);
    put_text(row, "pci", facts->pci);
    if (facts->memory) json_object_set_new(row, "memory_bytes", json_integer((json_int_t)facts->memory));
    if (facts->capability) json_object_set_new(row, "capability", json_real(facts->capability / 10.0));
    if (facts->units) json_object_set_new(row, "units", json_integer(facts->units));
    return row;
}

static void put_candidates(struct el_doctor *doctor, const struct el_candidate *candidates, int count) {
    json_t *rows = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(rows, candidate_row(&candidates[i]));
    json_object_set_new(doctor->root, "candidates", rows);
}

static void put_manager(struct el_doctor *doctor, struct el_manager *manager) {
    const struct el_manager_report *report = el_manager_report(manager);
    json_t *warnings = json_array();
    for (int i = 0; i < report->warning_count; i++) {
        json_array_append_new(warnings, json_string(report->warnings[i]));
        el_doctor_check(doctor, EL_CHECK_WARN, "see to the settings of devices", "%s", report->warnings[i]);
    }
    const char *first = el_manager_candidate(manager, 0)->id;
    json_object_set_new(doctor->root, "manager",
                        json_pack("{s:s, s:s, s:i, s:s, s:o, s:s?, s:s?}", "mode", report->mode,
                                  "default_device", first, "devices_available", el_manager_count(manager),
                                  "fallback", report->fallback, "warnings", warnings, "cuda_visible_devices",
                                  report->cuda_visible_devices, "cuda_device_order",
                                  report->cuda_device_order));
    const struct el_config *config = doctor->config;
    json_object_set_new(json_object_get(doctor->root, "manager"), "rejoin",
                        json_pack("{s:I, s:I, s:I}", "first_s", (json_int_t)config->rejoin_s, "longest_s",
                                  (json_int_t)config->rejoin_longest_s, "probes",
                                  (json_int_t)config->rejoin_probes));
    if (*report->fallback && el_streq(doctor->config->device, "auto"))
        el_doctor_check(doctor, EL_CHECK_PASS, NULL, "%s", report->fallback);
    else
        el_doctor_check(doctor, EL_CHECK_PASS, NULL, "the settings choose %s%s", first,
                        el_manager_count(manager) > 1 ? " and others" : "");
    put_candidates(doctor, report->candidates, report->candidate_count);
}

// The devices that the settings ask for are not there: what is there is listed all the same.
static int find_without_manager(struct el_doctor *doctor, struct el_candidates *candidates) {
    const struct el_manager_options any = {0};
    struct el_nvml *nvml = NULL;
    if (el_nvml_open(&nvml) < 0) nvml = NULL;
    int status = el_candidates_find(&any, nvml, candidates);
    el_nvml_close(nvml);
    if (status == 0) put_candidates(doctor, candidates->all, candidates->count);
    return status;
}

static int examine_choice(struct el_doctor *doctor, struct el_candidates *candidates, json_t *rows) {
    struct el_device_settings settings;
    struct el_manager *manager = NULL;
    int status = el_device_settings_read(doctor->config, &settings);
    if (status == 0) status = el_manager_open(&settings.options, &manager);
    if (status < 0) {
        el_doctor_check(doctor, EL_CHECK_FAIL, "see to the settings of devices", "%s", el_error_detail());
        return find_without_manager(doctor, candidates);
    }
    put_manager(doctor, manager);
    const struct el_manager_report *report = el_manager_report(manager);
    candidates->count = report->candidate_count;
    memcpy(candidates->all, report->candidates, (size_t)report->candidate_count * sizeof *report->candidates);
    examine_all(doctor, manager, true, rows);
    el_manager_close(manager);
    return 0;
}

void el_doctor_devices(struct el_doctor *doctor) {
    struct el_candidates *candidates = NULL;
    json_t *rows = json_array();
    if (el_zalloc(1, sizeof *candidates, &candidates) < 0) return;
    if (examine_choice(doctor, candidates, rows) < 0) candidates->count = 0;
    for (int i = 0; i < candidates->count; i++)
        if (candidates->all[i].usable && !candidates->all[i].chosen)
            examine_other(doctor, candidates->all[i].id, rows);
    json_object_set_new(doctor->root, "devices", rows);
    el_free(candidates);
}
