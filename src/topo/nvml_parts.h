// SPDX-License-Identifier: Apache-2.0
// What nvml.c and nvml_read.c share.
#ifndef EL_TOPO_NVML_PARTS_H
#define EL_TOPO_NVML_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "topo/nvml.h"
#include "topo/nvml_api.h"

struct el_nvlink {
    bool is_up, to_switch;
    char pci[32]; // of what it leads to
};

struct el_nvml_device {
    nvmlDevice_t handle;
    struct el_gpu facts;
    struct el_nvlink links[NVML_NVLINK_MAX_LINKS];
    uint64_t xid, xid_count; // guarded by `lock`
};

struct el_nvml {
    struct el_nvml_api api;
    atomic_int users;
    char driver[80];
    int cuda;
    struct el_nvml_device gpus[EL_GPU_LIMIT];
    int count;
    pthread_mutex_t lock;
    nvmlEventSet_t events; // Xid errors; NULL where the driver has no events. Guarded by `lock`
};

#endif
