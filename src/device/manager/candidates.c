// SPDX-License-Identifier: Apache-2.0
// Finding devices: what each back-end offers, and what NVML knows beyond that.
#include "device/manager/candidates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/manager/device_list.h"
#include "eleanor/status.h"

static struct el_candidate *add(struct el_candidates *candidates, const char *kind, int index) {
    if (candidates->count == EL_MANAGER_CANDIDATES) return NULL;
    struct el_candidate *candidate = &candidates->all[candidates->count++];
    *candidate = (struct el_candidate){.kind = kind, .index = index, .gpu = -1, .device = -1};
    if (index < 0)
        snprintf(candidate->id, sizeof candidate->id, "%s", kind);
    else
        snprintf(candidate->id, sizeof candidate->id, "%s:%d", kind, index);
    return candidate;
}

static void add_missing(struct el_candidates *candidates, const char *kind, const char *reason) {
    struct el_candidate *candidate = add(candidates, kind, -1);
    if (candidate) snprintf(candidate->reason, sizeof candidate->reason, "%s", reason);
}

static void describe(struct el_candidate *candidate, const struct el_backend *backend, int index,
                     const struct el_nvml *nvml) {
    if (backend->describe(index, &candidate->facts) < 0) {
        snprintf(candidate->reason, sizeof candidate->reason, "%s", el_error_detail());
        return;
    }
    const struct el_device_facts *facts = &candidate->facts;
    if (nvml && el_streq(candidate->kind, "cuda"))
        candidate->gpu = el_nvml_find(nvml, facts->uuid, facts->pci);
    candidate->usable = !facts->unfit[0];
    if (!candidate->usable) snprintf(candidate->reason, sizeof candidate->reason, "%s", facts->unfit);
}

static const char *why_none(const char *kind) {
    return el_streq(kind, "cuda") && getenv("CUDA_VISIBLE_DEVICES")
               ? "CUDA_VISIBLE_DEVICES is set, and leaves no device"
               : "its driver is there, but offers no device";
}

static void find_kind(struct el_candidates *candidates, const char *kind, const struct el_nvml *nvml) {
    const struct el_backend *backend = el_backend_find(kind);
    int count = 0;
    if (!backend) {
        add_missing(candidates, kind, "not in this build");
        return;
    }
    if (backend->count(&count) < 0) {
        add_missing(candidates, kind, el_error_detail());
        return;
    }
    for (int i = 0; i < count; i++) {
        struct el_candidate *candidate = add(candidates, kind, i);
        if (candidate) describe(candidate, backend, i, nvml);
    }
    if (count == 0) add_missing(candidates, kind, why_none(kind));
}

// GPUs that NVML knows and CUDA does not offer.
static void find_hidden(struct el_candidates *candidates, const struct el_nvml *nvml) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    const int found = candidates->count;
    for (int gpu = 0; gpu < el_nvml_count(nvml); gpu++) {
        bool is_offered = false;
        for (int i = 0; i < found; i++)
            is_offered |= candidates->all[i].gpu == gpu;
        struct el_candidate *candidate = is_offered ? NULL : add(candidates, "cuda", -1);
        if (!candidate) continue;
        const struct el_gpu *facts = el_nvml_gpu(nvml, gpu);
        candidate->gpu = gpu;
        candidate->facts = (struct el_device_facts){.memory = facts->memory, .capability = facts->capability};
        snprintf(candidate->facts.name, sizeof candidate->facts.name, "%s", facts->name);
        snprintf(candidate->facts.uuid, sizeof candidate->facts.uuid, "%s", facts->uuid);
        snprintf(candidate->facts.pci, sizeof candidate->facts.pci, "%s", facts->pci);
        if (visible)
            snprintf(candidate->reason, sizeof candidate->reason, "not in CUDA_VISIBLE_DEVICES (\"%s\")",
                     visible);
        else
            snprintf(candidate->reason, sizeof candidate->reason,
                     "NVML knows it, but the CUDA driver does not offer it");
    }
}

static void find_processor(struct el_candidates *candidates) {
    for (int i = 0; i < candidates->cpu_parts; i++) {
        struct el_candidate *candidate = add(candidates, "cpu", i);
        if (candidate) describe(candidate, el_backend_find("host"), 0, NULL);
    }
}

// Loading a driver takes time and memory: a list is served by the drivers it names.
static bool is_wanted(const struct el_device_wish *wishes, int count, const char *kind) {
    for (int i = 0; i < count; i++)
        if (el_streq(wishes[i].kind, kind)) return true;
    return count == 0;
}

int el_candidates_find(const struct el_manager_options *options, const struct el_nvml *nvml,
                       struct el_candidates *ret_candidates) {
    static const char *const drivers[] = {"cuda", "opencl"};
    struct el_device_wish wishes[EL_MANAGER_DEVICES];
    int count = 0;
    *ret_candidates = (struct el_candidates){.cpu_parts = 1};
    if (!el_is_auto(options)) EL_TRY(el_parse_devices(options->devices, wishes, &count));
    for (int i = 0; i < count; i++)
        ret_candidates->cpu_parts = EL_MAX(ret_candidates->cpu_parts, wishes[i].parts);
    for (size_t i = 0; i < EL_COUNT(drivers); i++)
        if (is_wanted(wishes, count, drivers[i]))
            find_kind(ret_candidates, drivers[i], nvml);
        else
            add_missing(ret_candidates, drivers[i], "not looked for, since --device names others");
    if (nvml && is_wanted(wishes, count, "cuda")) find_hidden(ret_candidates, nvml);
    add_missing(ret_candidates, "mps", "Apple's Metal is not available on Linux");
    find_processor(ret_candidates);
    return 0;
}
