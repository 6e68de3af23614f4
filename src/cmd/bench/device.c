// SPDX-License-Identifier: Apache-2.0
// `eleanor bench device`: what each device really does. Every device that can be used is measured, or those
// that --device names.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/bench/bench.h"
#include "cmd/measure.h"
#include "device/manager/candidates.h"
#include "serve/device_settings.h"

enum { LEAST_MS = 200 }; // of each figure

static void print_rates(const char *id, const char *name, const struct el_rates *rates) {
    printf("%-10s %s\n", id, name);
    printf("  copies    up %.1f, down %.1f, on the device %.1f GB/s\n", rates->upload * 1e-9,
           rates->download * 1e-9, rates->copy * 1e-9);
    if (rates->launch_ns > 0)
        printf("  launches  %.2f us behind others, %.2f us with its wait\n", rates->launch_ns * 1e-3,
               rates->round_trip_ns * 1e-3);
    fputs("  products ", stdout);
    for (int p = 0; p < EL_PRECISION_COUNT; p++)
        if (rates->matmul[p] > 0)
            printf(" %s %.3g", el_precision_text((enum el_precision)p), rates->matmul[p] * 1e-12);
    puts(" TFLOP/s");
    fflush(stdout);
}

// A run over devices: `rows` is NULL when lines are printed at once. The first failure stands.
struct bench {
    json_t *rows;
    int status;
    char detail[512];
};

static void note_failure(struct bench *bench, int status) {
    if (bench->status < 0) return;
    bench->status = status;
    snprintf(bench->detail, sizeof bench->detail, "%s", el_error_detail());
}

// What goes wrong on a device is part of the result.
static void report(struct bench *bench, const struct el_device *device, int status,
                   const struct el_rates *rates) {
    if (status < 0) note_failure(bench, el_fail_in(status, "%s", device->id));
    if (!bench->rows) {
        if (status == 0) print_rates(device->id, device->facts.name, rates);
        return;
    }
    json_t *row = json_pack("{s:s, s:s}", "id", device->id, "name", device->facts.name);
    if (status < 0)
        json_object_set_new(row, "error", json_string(el_error_detail()));
    else
        json_object_update_new(row, el_rates_json(rates));
    json_array_append_new(bench->rows, row);
}

// The devices of `options`, by one manager.
static void measure_all(struct bench *bench, const struct el_manager_options *options) {
    struct el_manager *manager;
    int status = el_manager_open(options, &manager);
    if (status < 0) {
        note_failure(bench, status);
        return;
    }
    for (int i = 0; i < el_manager_count(manager); i++) {
        struct el_rates rates = {0};
        struct el_device *device = el_manager_device(manager, i);
        status = el_measure(device, LEAST_MS, &rates);
        report(bench, device, status, &rates);
    }
    el_manager_close(manager);
}

// Every device that can be used, by a manager of its own, so that one that does not open hides no other.
static void measure_each(struct bench *bench) {
    struct el_candidates *candidates = NULL;
    struct el_manager_options options = {0};
    int status = el_zalloc(1, sizeof *candidates, &candidates);
    if (status == 0) status = el_candidates_find(&options, NULL, candidates);
    if (status < 0) note_failure(bench, status);
    for (int i = 0; status == 0 && i < candidates->count; i++) {
        if (!candidates->all[i].usable) continue;
        options.devices = candidates->all[i].id;
        measure_all(bench, &options);
    }
    el_free(candidates);
}

int el_bench_devices(const struct el_config *config, bool json) {
    struct bench bench = {.rows = json ? json_array() : NULL};
    struct el_device_settings settings;
    EL_TRY(el_device_settings_read(config, &settings));
    if (el_streq(config->device, "auto"))
        measure_each(&bench);
    else
        measure_all(&bench, &settings.options);
    if (json) {
        json_t *root = json_pack("{s:o}", "devices", bench.rows);
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(root);
    }
    return bench.status < 0 ? el_fail_copy(bench.status, bench.detail) : 0;
}
