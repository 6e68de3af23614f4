// SPDX-License-Identifier: Apache-2.0
// NVIDIA's GPUs as NVML tells of them: what they are, how they are joined, and what they are doing now. NVML
// counts in PCI order, whatever CUDA_VISIBLE_DEVICES says: a CUDA device is found by its UUID.
#ifndef EL_TOPO_NVML_H
#define EL_TOPO_NVML_H

#include <stdbool.h>
#include <stdint.h>

// X(FIELD, name, unit, what it is): what a GPU may tell of itself at a moment.
#define EL_GPU_FIELD_LIST(X)                                                                                \
    X(MEMORY_TOTAL, "memory_total", "bytes", "memory of the GPU")                                           \
    X(MEMORY_USED, "memory_used", "bytes", "memory in use, by all processes and the driver")                \
    X(MEMORY_FREE, "memory_free", "bytes", "memory that is free")                                           \
    X(UTILIZATION, "utilization", "percent", "time in which a kernel ran, of the last sample period")       \
    X(MEMORY_UTILIZATION, "memory_utilization", "percent", "time in which memory was read or written")      \
    X(TEMPERATURE, "temperature", "celsius", "of the GPU's die")                                            \
    X(POWER, "power", "milliwatts", "power drawn")                                                          \
    X(POWER_LIMIT, "power_limit", "milliwatts", "power that it may draw")                                   \
    X(SM_CLOCK, "sm_clock", "MHz", "clock of the multiprocessors now")                                      \
    X(MEMORY_CLOCK, "memory_clock", "MHz", "clock of the memory now")                                       \
    X(SM_CLOCK_MAX, "sm_clock_max", "MHz", "highest clock of the multiprocessors")                          \
    X(ECC_UNCORRECTED, "ecc_uncorrected", "errors", "memory errors beyond repair since the driver started") \
    X(XID, "xid", "code", "last Xid error since eleanor listens; 0: none")                                  \
    X(XID_COUNT, "xid_count", "errors", "Xid errors since eleanor listens")                                 \
    X(PCIE_REPLAYS, "pcie_replays", "packets", "sent again over PCIe since the driver started")             \
    X(NVLINKS, "nvlinks", "links", "NVLinks that are up")                                                   \
    X(THROTTLE, "throttle", "bits", "why the clocks are held down: el_throttle_text")

enum el_gpu_field {
#define X(field, name, unit, what) EL_GPU_##field,
    EL_GPU_FIELD_LIST(X)
#undef X
        EL_GPU_FIELD_COUNT
};

struct el_gpu_field_info {
    const char *name, *unit, *what;
};
extern const struct el_gpu_field_info el_gpu_fields[EL_GPU_FIELD_COUNT];

// A GPU at one moment. A field that is not valid is unknown, never zero.
struct el_gpu_reading {
    bool is_lost;   // the GPU has fallen off the bus: nothing else of it is known but its Xid
    unsigned valid; // bit 1 << field
    uint64_t value[EL_GPU_FIELD_COUNT];
};
static inline bool el_gpu_knows(const struct el_gpu_reading *reading, enum el_gpu_field field) {
    return reading->valid >> field & 1;
}

// The reasons in EL_GPU_THROTTLE, but for idleness: "power cap, thermal"; "" when there is none. Cut to size.
void el_throttle_text(uint64_t reasons, char *ret_text, int size);

enum { EL_GPU_LIMIT = 32 };

// How two GPUs reach each other over PCIe, nearest first, as `nvidia-smi topo -m` names it.
enum el_gpu_path {
    EL_PATH_UNKNOWN,
    EL_PATH_SELF,
    EL_PATH_PIX,
    EL_PATH_PXB,
    EL_PATH_PHB,
    EL_PATH_NODE,
    EL_PATH_SYS
};
extern const char *const el_gpu_path_text[]; // "?", "X", "PIX", "PXB", "PHB", "NODE", "SYS"

struct el_gpu_link {
    enum el_gpu_path path;
    int nvlinks; // NVLinks between the two, directly or by NVSwitches
};

struct el_gpu {
    char name[96];
    char uuid[48]; // "GPU-..."
    char pci[32];  // "00000000:07:00.0"
    uint64_t memory;
    int capability; // 10 x major + minor
    int numa;       // node whose memory is nearest; -1: unknown
};

struct el_nvml;

// EL_EUNSUPPORTED: no library, too old a one, or no driver behind it; the detail says which. EL_ENOMEM.
int el_nvml_open(struct el_nvml **ret_nvml);
void el_nvml_close(struct el_nvml *nvml);

// Any thread, from here on. A call may take as long as the driver does: it waits where a GPU hangs.
const char *el_nvml_driver(const struct el_nvml *nvml); // "550.54.15"
int el_nvml_cuda(const struct el_nvml *nvml);  // 12040 for 12.4; the newest CUDA that the driver takes
int el_nvml_count(const struct el_nvml *nvml); // at most EL_GPU_LIMIT
const struct el_gpu *el_nvml_gpu(const struct el_nvml *nvml, int index);
// The GPU of this UUID, or else of this PCI address (any length of the domain); -1 when there is none.
int el_nvml_find(const struct el_nvml *nvml, const char *uuid, const char *pci);
struct el_gpu_link el_nvml_link(struct el_nvml *nvml, int one, int other);
void el_nvml_read(struct el_nvml *nvml, int index, struct el_gpu_reading *ret_reading);

#endif
