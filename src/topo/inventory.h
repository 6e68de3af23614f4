// SPDX-License-Identifier: Apache-2.0
// The machine as plain data: processors, memory, GPUs and how they are joined. It holds no pointer, so it may
// be copied and kept; it is what doctor prints.
#ifndef EL_TOPO_INVENTORY_H
#define EL_TOPO_INVENTORY_H

#include "topo/nvml.h"
#include "topo/processors.h"

struct el_inventory {
    struct el_processors processors;
    char driver[80];                  // NVIDIA's; "": none
    int cuda;                         // 12040 for 12.4: the newest that the driver takes
    struct el_gpu gpus[EL_GPU_LIMIT]; // as NVML counts them: by PCI address
    int gpu_count;
    struct el_gpu_link links[EL_GPU_LIMIT][EL_GPU_LIMIT]; // both ways the same
};

// `nvml` may be NULL: then there are no GPUs. `root` as in processors.h.
void el_inventory_read(const char *root, struct el_nvml *nvml, struct el_inventory *ret_inventory);

// "NV12", "PIX", "X": as `nvidia-smi topo -m` prints a link. 16 bytes are enough.
void el_gpu_link_text(struct el_gpu_link link, char *ret_text, size_t size);

#endif
