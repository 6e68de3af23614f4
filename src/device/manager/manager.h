// SPDX-License-Identifier: Apache-2.0
// The manager of devices (the documents' GPUManager): it looks at every back-end, chooses which devices are
// used and says why, opens them, and answers at any time how they are. It logs nothing: what people should
// know it tells.
#ifndef EL_DEVICE_MANAGER_H
#define EL_DEVICE_MANAGER_H

#include "base/str.h"
#include "device/device.h"
#include "device/pool.h"
#include "topo/nvml.h"

enum { EL_MANAGER_DEVICES = 32, EL_MANAGER_CANDIDATES = 96, EL_MANAGER_WARNINGS = 8 };

struct el_manager_options {
    // As --device takes them: "auto" (or NULL), or a list: "cuda:0,cuda:1", "opencl:0", "cuda", "cpu",
    // "cpu=4" (the processors split into four devices). What is named here must be there; only an index
    // beyond the last falls to the default device, with a warning.
    const char *devices;
    // For auto: kinds, best first (cuda, opencl, mps, cpu), ended by NULL; NULL: cuda, opencl, mps, cpu,
    // where an OpenCL device that is the processor itself is passed over. Without any GPU the processor is
    // taken, listed or not.
    const char *const *preference;
    const int *indices; // preferred_devices, or multi_gpu.device_ids: the devices of the kind that is chosen
    int index_count;    // 0: see `multi`
    bool multi;         // multi_gpu.enabled: all devices of the kind; else its first
    uint64_t budget;    // max_memory_per_gpu in bytes; 0: what the device has
    int budget_pct;     // the same in percent of the device's memory; 0: all. The smaller holds
    struct el_trace *trace; // of all devices, outlives the manager; NULL: none
};

// A device that there is, or a kind of which there is none, and what became of it.
struct el_candidate {
    const char *kind; // "cuda", "opencl", "mps", "cpu"
    int index;        // -1: none of this kind, or one that its driver hides from this process
    char id[32];      // "cuda:0"; "cuda" where the index is -1
    struct el_device_facts facts;
    int gpu; // its place in NVML's count; -1: NVML does not know it
    bool usable, chosen;
    int device;       // its i of el_manager_device; -1: not chosen
    char reason[256]; // why it was chosen or not
};

struct el_manager_report {
    const struct el_candidate *candidates;
    int candidate_count;
    const char *mode;     // "cuda", "opencl" or "cpu": the kind of the default device
    bool is_auto;         // no device was named
    const char *fallback; // "" or, where auto fell to the processor, the line that says why
    char (*warnings)[256];
    int warning_count;
    const char *cuda_visible_devices, *cuda_device_order; // of the environment; NULL: not set
    const char *nvml_problem;                             // why there is no NVML; "" where there is
};

struct el_manager;

// NULL options: defaults. EL_EINVAL for text that names no device, EL_ENOENT or EL_EUNSUPPORTED for a named
// one that is not there (the detail has the reason), EL_ENOMEM.
int el_manager_open(const struct el_manager_options *options, struct el_manager **ret_manager);
// Closes the devices: nothing of them may be in use any more. One that hangs is left to the thread that waits
// for it.
void el_manager_close(struct el_manager *manager);

// Any thread, from here on. What is returned lives as long as the manager.
const struct el_manager_report *el_manager_report(const struct el_manager *manager);
int el_manager_count(const struct el_manager *manager); // devices in use, at least 1
// Device i of 0 .. count - 1; 0 is the default device. Owned by the manager; valid until it is closed or
// reopened. NULL when it was closed and did not open again.
struct el_device *el_manager_device(struct el_manager *manager, int i);
const struct el_candidate *el_manager_candidate(const struct el_manager *manager, int i); // of device i

// A reference to the device in use of that name, opened again first if it was lost; another name is opened
// for the caller alone. el_device_close gives it back. EL_ELOST, EL_ENOMEM, and what el_device_open_id says.
int el_manager_acquire(struct el_manager *manager, const char *id, struct el_device **ret_device);

// How the device of that name is, which is opened again first if it was lost: its memory, a kernel and a copy
// of its own, whose bits are compared. 0, or why it cannot be used: EL_ELOST, EL_ENOMEM. Returns within
// deadline_ms and the time of opening it.
int el_manager_probe(struct el_manager *manager, const char *id, int deadline_ms);

// Closes device i and opens it again, with a new el_device: for one that is lost. Others who
// hold a reference to the old one keep it, lost as it is, until they close it. EL_ELOST: it is gone, or
// hangs; there is no device i then, until a later try works. EL_ENOMEM: the same.
int el_manager_reopen(struct el_manager *manager, int i);

// ---- health ----

enum { EL_HEALTH_DEADLINE_MS = 5000, EL_HEALTH_INTERVAL_MS = 500 };

struct el_device_health {
    char id[32];
    int device_id; // i of el_manager_device
    bool healthy;
    bool canary_right;  // the canary kernel ran just now, and its bits were right
    uint64_t canary_ns; // how long it took; 0: it did not end
    char error[256];    // why it is not healthy; "" when it is
    struct el_memory_stats memory;
    uint64_t busy_ns;              // of its streams together: time in which they computed for models
    bool has_reading;              // NVML knows the device
    struct el_gpu_reading reading; // of NVML
};

struct el_health {
    bool healthy;     // all devices are
    const char *mode; // as in the report
    int count;
    struct el_device_health devices[EL_MANAGER_DEVICES];
};

// Runs the canary on all devices at once and compares its bits, reads NVML and the memory: how things are
// now, never what was seen before. Returns within deadline_ms (0: EL_HEALTH_DEADLINE_MS), whatever the
// devices do: one that did not answer is not healthy.
void el_manager_health_check(struct el_manager *manager, int deadline_ms, struct el_health *ret_health);

// {"healthy": true, "mode": "cuda", "devices": [...]} with the documents' names; EL_ENOMEM.
int el_health_put_json(const struct el_health *health, struct el_str *json);

// EL_ENOENT for a device that is not there.
int el_manager_memory_stats(struct el_manager *manager, int i, struct el_memory_stats *ret_stats);

// Looks at the devices at once, and from then on every interval_ms (0: EL_HEALTH_INTERVAL_MS) on a thread of
// its own; each look is told to `looked`, the first before this returns. One watch at a time; EL_EINVAL,
// EL_ENOMEM.
typedef void el_health_look_fn(void *context, const struct el_health *health);
int el_manager_watch(struct el_manager *manager, int interval_ms, el_health_look_fn *looked, void *context);
void el_manager_unwatch(struct el_manager *manager); // returns when `looked` will not be called any more

#endif
