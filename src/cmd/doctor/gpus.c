// SPDX-License-Identifier: Apache-2.0
// Doctor's look through NVML: the driver's version, each GPU, and how they are joined.
#include <stdio.h>

#include "base/dl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/doctor/doctor.h"
#include "topo/inventory.h"

enum { OLDEST_DRIVER = 525 }; // that requirement 1 names, for CUDA 12

static json_t *matrix_of(const struct el_inventory *inventory) {
    json_t *matrix = json_array();
    for (int one = 0; one < inventory->gpu_count; one++) {
        json_t *row = json_array();
        for (int other = 0; other < inventory->gpu_count; other++) {
            char text[16];
            el_gpu_link_text(inventory->links[one][other], text, sizeof text);
            json_array_append_new(row, json_string(text));
        }
        json_array_append_new(matrix, row);
    }
    return matrix;
}

static json_t *gpu_row(struct el_nvml *nvml, const struct el_gpu *gpu, int index) {
    struct el_str text el_auto(el_str_done) = {0};
    struct el_gpu_reading reading;
    el_nvml_read(nvml, index, &reading);
    json_t *row =
        json_pack("{s:i, s:s, s:s, s:s, s:f, s:i}", "index", index, "name", gpu->name, "uuid", gpu->uuid,
                  "pci", gpu->pci, "capability", gpu->capability / 10.0, "numa", gpu->numa);
    if (el_gpu_reading_put_json(&reading, &text) == 0)
        json_object_set_new(row, "reading", json_loadb(text.data, text.length, 0, NULL));
    return row;
}

static void check_driver(struct el_doctor *doctor, const char *driver) {
    int major = 0;
    sscanf(driver, "%d", &major);
    if (major > 0 && major < OLDEST_DRIVER)
        el_doctor_check(doctor, EL_CHECK_WARN, "install 525 or newer", "NVIDIA's driver is %s", driver);
}

void el_doctor_gpus(struct el_doctor *doctor) {
    static const char library[] = "libnvidia-ml.so.1";
    struct el_nvml *nvml;
    struct el_inventory inventory;
    char path[512] = "";
    json_t *root = json_object(), *gpus = json_array();
    json_object_set_new(doctor->root, "nvml", root);
    if (el_nvml_open(&nvml) < 0) {
        json_object_set_new(root, "problem", json_string(el_error_detail()));
        json_decref(gpus);
        return;
    }
    if (el_dl_path(library, path, sizeof path) == 0) json_object_set_new(root, "path", json_string(path));
    el_inventory_read("", nvml, &inventory);
    json_object_set_new(root, "driver", json_string(inventory.driver));
    json_object_set_new(root, "cuda", json_integer(inventory.cuda));
    for (int i = 0; i < inventory.gpu_count; i++)
        json_array_append_new(gpus, gpu_row(nvml, &inventory.gpus[i], i));
    json_object_set_new(root, "gpus", gpus);
    json_object_set_new(root, "links", matrix_of(&inventory));
    check_driver(doctor, inventory.driver);
    el_nvml_close(nvml);
}
