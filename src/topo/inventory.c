// SPDX-License-Identifier: Apache-2.0
// Takes the inventory, and prints it.
#include "topo/inventory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

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

// ---- JSON ----

static int put_text(struct el_str *json, const char *key, const char *text) {
    EL_TRY(el_str_printf(json, "\"%s\": ", key));
    return el_str_put_json(json, text, strlen(text));
}

static int put_gpu(const struct el_gpu *gpu, struct el_str *json) {
    EL_TRY(el_str_putc(json, '{'));
    EL_TRY(put_text(json, "name", gpu->name));
    EL_TRY(el_str_puts(json, ", "));
    EL_TRY(put_text(json, "uuid", gpu->uuid));
    EL_TRY(el_str_puts(json, ", "));
    EL_TRY(put_text(json, "pci", gpu->pci));
    EL_TRY(el_str_printf(json, ", \"memory\": %" PRIu64 ", \"capability\": \"%d.%d\", \"numa\": ",
                         gpu->memory, gpu->capability / 10, gpu->capability % 10));
    EL_TRY(gpu->numa < 0 ? el_str_puts(json, "null") : el_str_printf(json, "%d", gpu->numa));
    return el_str_putc(json, '}');
}

static int put_links(const struct el_inventory *inventory, struct el_str *json) {
    for (int i = 0; i < inventory->gpu_count; i++) {
        EL_TRY(el_str_puts(json, i ? ", [" : "["));
        for (int k = 0; k < inventory->gpu_count; k++) {
            char text[16];
            el_gpu_link_text(inventory->links[i][k], text, sizeof text);
            EL_TRY(el_str_printf(json, "%s\"%s\"", k ? ", " : "", text));
        }
        EL_TRY(el_str_putc(json, ']'));
    }
    return 0;
}

int el_inventory_put_json(const struct el_inventory *inventory, struct el_str *json) {
    EL_TRY(el_str_puts(json, "{\"processors\": "));
    EL_TRY(el_processors_put_json(&inventory->processors, json));
    if (inventory->driver[0]) {
        EL_TRY(el_str_puts(json, ", "));
        EL_TRY(put_text(json, "driver", inventory->driver));
        EL_TRY(el_str_printf(json, ", \"cuda\": \"%d.%d\"", inventory->cuda / 1000,
                             inventory->cuda % 1000 / 10));
    } else {
        EL_TRY(el_str_puts(json, ", \"driver\": null, \"cuda\": null"));
    }
    EL_TRY(el_str_puts(json, ", \"gpus\": ["));
    for (int i = 0; i < inventory->gpu_count; i++) {
        if (i > 0) EL_TRY(el_str_puts(json, ", "));
        EL_TRY(put_gpu(&inventory->gpus[i], json));
    }
    EL_TRY(el_str_puts(json, "], \"links\": ["));
    EL_TRY(put_links(inventory, json));
    return el_str_puts(json, "]}");
}
