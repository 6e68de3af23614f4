// SPDX-License-Identifier: Apache-2.0
// What doctor finds before any device is opened: the processor, drivers and where they lie, kernels, models.
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/dl.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/doctor/doctor.h"
#include "device/device.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "store/store.h"
#include "topo/processors.h"

// ---- the processor ----

static json_t *precisions_of(const struct el_ops *ops) {
    json_t *list = json_array();
    for (int p = EL_PRECISION_AUTO + 1; p < EL_PRECISION_COUNT; p++) {
        enum el_precision got;
        if (el_ops_precision(ops, (enum el_precision)p, &got) == 0)
            json_array_append_new(list, json_string(el_precision_text(got)));
    }
    return list;
}

static void find_machine(struct el_doctor *doctor) {
    struct el_processors processors;
    struct el_str text el_auto(el_str_done) = {0};
    el_processors_read("", &processors);
    if (el_processors_put_json(&processors, &text) == 0)
        json_object_set_new(doctor->root, "machine", json_loadb(text.data, text.length, 0, NULL));
}

static void find_processor(struct el_doctor *doctor) {
    const struct el_ops *ops;
    if (el_ops_find(NULL, &ops) < 0) {
        el_doctor_check(doctor, EL_CHECK_FAIL, "unset ELEANOR_SIMD", "%s", el_error_detail());
        return;
    }
    json_t *fillings = json_array();
    for (int i = 0; i < el_ops_count(); i++)
        json_array_append_new(fillings, json_string(el_ops_at(i)->name));
    json_object_set_new(doctor->root, "processor",
                        json_pack("{s:i, s:s, s:o, s:o}", "processors", el_cpu_count(), "simd", ops->name,
                                  "simd_available", fillings, "precisions", precisions_of(ops)));
    const bool slow = el_streq(ops->name, "ref") || el_streq(ops->name, "sse2");
    el_doctor_check(doctor, slow ? EL_CHECK_WARN : EL_CHECK_PASS,
                    slow ? "expect a slow processor, or unset ELEANOR_SIMD" : NULL,
                    "the processor computes with %s on %d processors", ops->name, el_cpu_count());
}

// ---- drivers ----

// Graphics controllers of a maker on the PCI bus, whether or not there is a driver.
static int count_pci(const char *vendor) {
    static const char folder[] = "/sys/bus/pci/devices";
    int count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[320];
        el_auto(el_str_done) struct el_str class = {0}, maker = {0};
        snprintf(path, sizeof path, "%s/%s/class", folder, entry->d_name);
        if (entry->d_name[0] == '.' || el_read_file(path, 64, &class) < 0) continue;
        snprintf(path, sizeof path, "%s/%s/vendor", folder, entry->d_name);
        if (el_read_file(path, 64, &maker) < 0) continue;
        count += el_starts_with(class.data, "0x03") && el_starts_with(maker.data, vendor);
    }
    if (dir) closedir(dir);
    return count;
}

// One driver: whether it is there, where, and how many devices it offers.
static json_t *find_driver(const char *kind, const char *library, int *ret_count) {
    const struct el_backend *backend = el_backend_find(kind);
    char path[512] = "";
    int count = 0;
    int status = backend ? backend->count(&count) : el_fail(EL_EUNSUPPORTED, "not in this build");
    json_t *driver = json_pack("{s:s, s:s, s:b}", "kind", kind, "library", library, "found", status == 0);
    if (status < 0)
        json_object_set_new(driver, "problem", json_string(el_error_detail()));
    else
        json_object_set_new(driver, "devices", json_integer(count));
    if (el_dl_path(library, path, sizeof path) == 0) json_object_set_new(driver, "path", json_string(path));
    *ret_count = status < 0 ? -1 : count;
    return driver;
}

static void find_drivers(struct el_doctor *doctor) {
    json_t *drivers = json_array();
    int cuda, opencl;
    const int nvidia = count_pci("0x10de"), amd = count_pci("0x1002");
    json_array_append_new(drivers, find_driver("cuda", "libcuda.so.1", &cuda));
    json_array_append_new(drivers, find_driver("opencl", "libOpenCL.so.1", &opencl));
    json_object_set_new(doctor->root, "drivers", drivers);
    if (cuda > 0)
        el_doctor_check(doctor, EL_CHECK_PASS, NULL, "the CUDA driver offers %d device%s", cuda,
                        cuda == 1 ? "" : "s");
    else if (nvidia > 0)
        el_doctor_check(
            doctor, EL_CHECK_FAIL, "install NVIDIA's driver, 525 or newer (in a container: give it the GPU)",
            "%d NVIDIA GPU%s on the PCI bus, but CUDA offers none", nvidia, nvidia == 1 ? "" : "s");
    else if (opencl > 0)
        el_doctor_check(doctor, EL_CHECK_PASS, NULL, "OpenCL offers %d device%s", opencl,
                        opencl == 1 ? "" : "s");
    else if (amd > 0)
        el_doctor_check(doctor, EL_CHECK_WARN, "install an OpenCL driver (rusticl, or ROCm's)",
                        "a GPU of AMD is on the PCI bus, but there is no OpenCL device");
    else
        el_doctor_check(doctor, EL_CHECK_PASS, NULL, "no GPU is on the PCI bus and no driver offers one");
}

// ---- kernels ----

static void find_kernels(struct el_doctor *doctor) {
    json_t *levels = json_array();
    for (int i = 0; i < el_ptx_count; i++) // each level has all stores
        if (el_ptx[i].store == EL_STORE_F32)
            json_array_append_new(levels, json_real(el_ptx[i].capability / 10.0));
    json_object_set_new(doctor->root, "kernels",
                        json_pack("{s:i, s:s, s:o, s:i}", "count", EL_KERNEL_COUNT, "ptx_compiler",
                                  el_ptx_compiler, "capabilities", levels, "opencl_bytes",
                                  (int)strlen(el_opencl_text)));
    if (!*el_ptx_compiler)
        el_doctor_check(doctor, EL_CHECK_WARN, "build with clang 14 or newer, or with nvcc, at hand",
                        "this build has no kernels for CUDA: there was no compiler for them");
}

// ---- models ----

static void find_models(struct el_doctor *doctor) {
    const struct el_string_list *wanted = &doctor->config->model;
    struct el_model_entry *entries = NULL;
    size_t count = 0;
    el_auto_free char *folder = NULL;
    if (el_store_root(&folder) < 0 || el_store_list(&entries, &count) < 0) {
        el_doctor_check(doctor, EL_CHECK_WARN, "see to the folder that ELEANOR_HOME names", "%s",
                        el_error_detail());
        return;
    }
    el_store_list_done(entries, count);
    json_object_set_new(doctor->root, "models",
                        json_pack("{s:s, s:i}", "folder", folder, "installed", (int)count));
    for (size_t i = 0; i < wanted->count; i++) {
        el_auto_free char *path = NULL;
        if (el_store_find(wanted->item[i], &path) == 0)
            el_doctor_check(doctor, EL_CHECK_PASS, NULL, "model %s is in %s", wanted->item[i], path);
        else
            el_doctor_check(doctor, EL_CHECK_WARN, "`eleanor pull NAME` or `eleanor import PATH` gets it",
                            "model %s is not installed", wanted->item[i]);
    }
}

void el_doctor_system(struct el_doctor *doctor) {
    find_machine(doctor);
    find_processor(doctor);
    find_drivers(doctor);
    find_kernels(doctor);
    find_models(doctor);
}
