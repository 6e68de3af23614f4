// SPDX-License-Identifier: Apache-2.0
// Takes the inventory.
#include "topo/inventory.h"

#include <stdio.h>

void el_inventory_read(const char *root, struct el_nvml *nvml, struct el_inventory *ret_inventory) {
    struct el_inventory *inventory = ret_inventory;
    *inventory = (struct el_inventory){0};
    el_processors_read(root, &inventory->processors);
    if (!nvml) return;
    snprintf(inventory->driver, sizeof inventory->driver, "%s", el_nvml_driver(nvml));
    inventory->cuda = el_nvml_cuda(nvml);
    inventory->gpu_count = el_nvml_count(nvml);
    for (int i = 0; i < inventory->gpu_count; i++) {
        struct el_gpu *gpu = &inventory->gpus[i];
        *gpu = *el_nvml_gpu(nvml, i);
        if (gpu->numa < 0) gpu->numa = el_pci_numa(root, gpu->pci);
        for (int k = 0; k < inventory->gpu_count; k++)
            inventory->links[i][k] = el_nvml_link(nvml, i, k);
    }
}

void el_gpu_link_text(struct el_gpu_link link, char *ret_text, size_t size) {
    if (link.nvlinks > 0)
        snprintf(ret_text, size, "NV%d", link.nvlinks);
    else
        snprintf(ret_text, size, "%s", el_gpu_path_text[link.path]);
}
