// SPDX-License-Identifier: Apache-2.0
// Prints what doctor found, from the same JSON object that --json prints.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/doctor/doctor.h"

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

// "fp32 bf16 int8"
static void print_words(const json_t *list) {
    const json_t *value;
    size_t i;
    json_array_foreach(list, i, value) {
        if (json_is_string(value))
            printf("%s%s", i ? " " : "", json_string_value(value));
        else
            printf("%s%.1f", i ? " " : "", json_number_value(value));
    }
}

static void print_machine(const json_t *machine) {
    static const char *const parts[][2] = {
        {"online", "hardware threads"}, {"cores", "cores"}, {"sockets", "sockets"}};
    printf("  %s", *text_of(machine, "name") ? text_of(machine, "name") : "a processor without a name");
    for (size_t i = 0; i < EL_COUNT(parts); i++)
        if (json_object_get(machine, parts[i][0]))
            printf(", %s %d", parts[i][1], (int)number_of(machine, parts[i][0]));
    printf(", NUMA nodes %zu", json_array_size(json_object_get(machine, "nodes")));
    printf(", memory %.2f GB\n", number_of(machine, "memory") / (1 << 30));
}

static void print_system(const json_t *root) {
    const json_t *processor = json_object_get(root, "processor"), *kernels = json_object_get(root, "kernels"),
                 *models = json_object_get(root, "models");
    printf("eleanor %s\n\nProcessor\n", text_of(root, "version"));
    print_machine(json_object_get(root, "machine"));
    printf("  %d processors, %s (of ", (int)number_of(processor, "processors"), text_of(processor, "simd"));
    print_words(json_object_get(processor, "simd_available"));
    fputs("), precisions ", stdout);
    print_words(json_object_get(processor, "precisions"));
    printf("\n\nKernels\n  %d; PTX by %s, for capability ", (int)number_of(kernels, "count"),
           *text_of(kernels, "ptx_compiler") ? text_of(kernels, "ptx_compiler") : "no compiler");
    print_words(json_object_get(kernels, "capabilities"));
    printf("; OpenCL C, %d bytes\n\nModels\n  %s: %d installed\n", (int)number_of(kernels, "opencl_bytes"),
           text_of(models, "folder"), (int)number_of(models, "installed"));
}

static void print_driver(const char *kind, const json_t *driver, const char *what) {
    const char *problem = text_of(driver, "problem");
    printf("  %-7s %s\n", kind, *problem ? problem : what);
    if (*text_of(driver, "path")) printf("          %s\n", text_of(driver, "path"));
}

static void print_drivers(const json_t *root) {
    const json_t *driver, *nvml = json_object_get(root, "nvml");
    size_t i;
    char what[128];
    puts("\nDrivers");
    json_array_foreach(json_object_get(root, "drivers"), i, driver) {
        const int count = (int)number_of(driver, "devices");
        snprintf(what, sizeof what, "%d device%s", count, count == 1 ? "" : "s");
        print_driver(text_of(driver, "kind"), driver, what);
    }
    const int cuda = (int)number_of(nvml, "cuda");
    snprintf(what, sizeof what, "driver %s, CUDA up to %d.%d, %zu GPUs", text_of(nvml, "driver"), cuda / 1000,
             cuda % 1000 / 10, json_array_size(json_object_get(nvml, "gpus")));
    print_driver("nvml", nvml, what);
}

static void print_candidates(const json_t *root) {
    const json_t *row, *manager = json_object_get(root, "manager");
    size_t i;
    puts("\nDevices");
    json_array_foreach(json_object_get(root, "candidates"), i, row) {
        printf("  %-8s %s  %s", text_of(row, "id"),
               json_is_true(json_object_get(row, "chosen")) ? "used    " : "not used", text_of(row, "name"));
        if (number_of(row, "memory_bytes") > 0) printf(", %.2f GB", number_of(row, "memory_bytes") / 0x1p30);
        if (number_of(row, "capability") > 0) printf(", capability %.1f", number_of(row, "capability"));
        printf("%s%s\n", *text_of(row, "name") ? "\n                     " : "", text_of(row, "reason"));
    }
    if (!manager) return;
    printf("\nManager\n  mode %s, default device %s, devices in use: %d\n", text_of(manager, "mode"),
           text_of(manager, "default_device"), (int)number_of(manager, "devices_available"));
    const json_t *rejoin = json_object_get(manager, "rejoin");
    if (number_of(rejoin, "first_s") > 0)
        printf("  a device that is lost for good is tried again after %.0f s, then at distances of up to "
               "%.0f s\n",
               number_of(rejoin, "first_s"), number_of(rejoin, "longest_s"));
    else
        puts("  a device that is lost for good is not tried again (rejoin_s is 0)");
}

// What NVML read and knows.
static void print_reading(const json_t *reading) {
    static const struct {
        const char *name, *label, *unit;
        double scale;
    } rows[] = {
        {"utilization", "busy", "%", 1},
        {"memory_used", "memory in use", "MB", 0x1p-20},
        {"temperature", "", "C", 1},
        {"power", "", "W", 1e-3},
        {"power_limit", "of at most", "W", 1e-3},
        {"sm_clock", "", "MHz", 1},
        {"ecc_uncorrected", "ECC errors", "", 1},
        {"xid_count", "Xid errors", "", 1},
        {"nvlinks", "NVLinks", "", 1},
    };
    const char *comma = "  NVML: ";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *value = json_object_get(reading, rows[i].name);
        if (!json_is_number(value)) continue;
        printf("%s%s%s%.0f%s%s", comma, rows[i].label, *rows[i].label ? " " : "",
               json_number_value(value) * rows[i].scale, *rows[i].unit ? " " : "", rows[i].unit);
        comma = ", ";
    }
    if (*comma == ',') putchar('\n');
}

static void print_rates(const json_t *rates) {
    const json_t *value;
    const char *name;
    if (!rates) return;
    printf("  copies: up %.1f, down %.1f, on the device %.1f GB/s\n", number_of(rates, "upload_gb_s"),
           number_of(rates, "download_gb_s"), number_of(rates, "copy_gb_s"));
    if (json_object_get(rates, "launch_us"))
        printf("  launches: %.2f us behind others, %.2f us with its wait\n", number_of(rates, "launch_us"),
               number_of(rates, "round_trip_us"));
    fputs("  matrix products:", stdout);
    json_object_foreach(json_object_get(rates, "matmul_tflop_s"), name, value) {
        printf(" %s %.3g", name, json_number_value(value));
    }
    puts(" TFLOP/s");
}

static void print_devices(const json_t *root) {
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(root, "devices"), i, row) {
        const json_t *memory = json_object_get(row, "memory_stats"),
                     *canary = json_object_get(row, "canary_us");
        printf("\n%s  %s\n", text_of(row, "id"), text_of(row, "name"));
        if (json_is_true(json_object_get(row, "healthy")))
            fputs("  healthy", stdout);
        else
            printf("  not healthy: %s", text_of(row, "error"));
        if (json_is_number(canary)) printf("; canary in %.0f us", json_number_value(canary));
        if (json_object_get(row, "kernels_ms"))
            printf("; kernels made ready in %.0f ms", number_of(row, "kernels_ms"));
        printf("\n  memory: %.0f MB / %.0f MB, utilization %.1f %%\n", number_of(memory, "allocated_mb"),
               number_of(memory, "total_mb"), number_of(memory, "utilization_pct"));
        print_reading(json_object_get(row, "nvml"));
        print_rates(json_object_get(row, "rates"));
    }
}

static void print_links(const json_t *root) {
    const json_t *row, *links = json_object_get(json_object_get(root, "nvml"), "links");
    size_t i;
    if (json_array_size(links) < 2) return;
    fputs("\nLinks\n        ", stdout);
    for (i = 0; i < json_array_size(links); i++)
        printf("GPU%-4zu", i);
    putchar('\n');
    json_array_foreach(links, i, row) {
        printf("  GPU%-3zu", i);
        for (size_t j = 0; j < json_array_size(row); j++)
            printf("%-7s", json_string_value(json_array_get(row, j)));
        putchar('\n');
    }
}

void el_doctor_print(const struct el_doctor *doctor) {
    const json_t *root = doctor->root, *check;
    size_t i;
    print_system(root);
    print_drivers(root);
    print_candidates(root);
    print_devices(root);
    print_links(root);
    puts("\nChecks");
    json_array_foreach(doctor->checks, i, check) {
        printf("  %s  %s\n", text_of(check, "result"), text_of(check, "what"));
        if (*text_of(check, "do")) printf("        %s\n", text_of(check, "do"));
    }
    printf("%d PASS, %d WARN, %d FAIL\n", doctor->count[EL_CHECK_PASS], doctor->count[EL_CHECK_WARN],
           doctor->count[EL_CHECK_FAIL]);
}
