// SPDX-License-Identifier: Apache-2.0
// The settings of devices as the manager takes them, and those of computing as an embedder does.
#ifndef EL_SERVE_DEVICE_SETTINGS_H
#define EL_SERVE_DEVICE_SETTINGS_H

#include "config/config.h"
#include "device/manager/manager.h"
#include "eleanor/eleanor.h"

enum { EL_DEVICE_WISHES = 32 };

// What `options` points to lies in here and in the config.
struct el_device_settings {
    struct el_manager_options options;
    const char *preference[EL_DEVICE_WISHES + 1]; // up to a NULL
    int indices[EL_DEVICE_WISHES];
};

// Opens the devices that the settings choose. With the setting `trace` *ret_trace is to be closed after the
// manager; else it is NULL.
int el_devices_open(const struct el_config *config, struct el_trace **ret_trace,
                    struct el_manager **ret_manager);

// *ret_settings may not be moved afterwards. EL_ETOOBIG: more devices named than anybody has.
int el_device_settings_read(const struct el_config *config, struct el_device_settings *ret_settings);

// The options of every embedder on the devices of `manager`; the rest (prompt, notice) is the caller's. Where
// device auto fell to the processor, a precision that GPUs alone have becomes auto. *ret_tuned is what
// options->tuned points to, or NULL: to be freed when the embedder is open.
void el_embedder_settings(const struct el_config *config, struct el_manager *manager, char **ret_tuned,
                          struct el_embedder_options *ret_options);

#endif
