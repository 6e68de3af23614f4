// SPDX-License-Identifier: Apache-2.0
// NVIDIA's GPUs as NVML tells of them: what they are, how they are joined, and what they are doing now. NVML
// counts in PCI order, whatever CUDA_VISIBLE_DEVICES says: a CUDA device is found by its UUID.
#ifndef EL_TOPO_NVML_H
#define EL_TOPO_NVML_H

#include "topo/reading.h"

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
struct el_nvml *el_nvml_ref(struct el_nvml *nvml); // one more who closes it; takes NULL
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
