// SPDX-License-Identifier: Apache-2.0
// Doctor's look through NVML: the driver's version, each GPU, and how they are joined.
#include <stdio.h>

#include "base/dl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/doctor/doctor.h"
#include "topo/nvml.h"

enum { OLDEST_DRIVER = 525 }; // that requirement 1 names, for CUDA 12

// "NV12" or "PHB": what stands in nvidia-smi's matrix.
static json_t *link_text(struct el_nvml *nvml, int one, int other) {
    char text[16];
    struct el_gpu_link link = {.path = EL_PATH_SELF};
    if (one != other) link = el_nvml_link(nvml, one, other);
    if (link.nvlinks > 0)
        snprintf(text, sizeof text, "NV%d", link.nvlinks);
    else
        snprintf(text, sizeof text, "%s", el_gpu_path_text[link.path]);
    return json_string(text);
}

static json_t *matrix_of(struct el_nvml *nvml) {
    json_t *matrix = json_array();
    for (int one = 0; one < el_nvml_count(nvml); one++) {
        json_t *row = json_array();
        for (int other = 0; other < el_nvml_count(nvml); other++)
            json_array_append_new(row, link_text(nvml, one, other));
        json_array_append_new(matrix, row);
    }
    return matrix;
}

static json_t *gpu_row(struct el_nvml *nvml, int index) {
    const struct el_gpu *gpu = el_nvml_gpu(nvml, index);
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

static void check_driver(struct el_doctor *doctor, const struct el_nvml *nvml) {
    int major = 0;
    sscanf(el_nvml_driver(nvml), "%d", &major);
    if (major > 0 && major < OLDEST_DRIVER)
        el_doctor_check(doctor, EL_CHECK_WARN, "install 525 or newer", "NVIDIA's driver is %s",
                        el_nvml_driver(nvml));
}

void el_doctor_gpus(struct el_doctor *doctor) {
    static const char library[] = "libnvidia-ml.so.1";
    struct el_nvml *nvml;
    char path[512] = "";
    json_t *root = json_object(), *gpus = json_array();
    json_object_set_new(doctor->root, "nvml", root);
    if (el_nvml_open(&nvml) < 0) {
        json_object_set_new(root, "problem", json_string(el_error_detail()));
        json_decref(gpus);
        return;
    }
    if (el_dl_path(library, path, sizeof path) == 0) json_object_set_new(root, "path", json_string(path));
    json_object_set_new(root, "driver", json_string(el_nvml_driver(nvml)));
    json_object_set_new(root, "cuda", json_integer(el_nvml_cuda(nvml)));
    for (int i = 0; i < el_nvml_count(nvml); i++)
        json_array_append_new(gpus, gpu_row(nvml, i));
    json_object_set_new(root, "gpus", gpus);
    json_object_set_new(root, "links", matrix_of(nvml));
    check_driver(doctor, nvml);
    el_nvml_close(nvml);
}
