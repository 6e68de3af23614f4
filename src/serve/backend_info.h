// SPDX-License-Identifier: Apache-2.0
// What requirement 4 calls CUDABackend.get_info(): one JSON object under its names, for `eleanor doctor` and
// /health.
#ifndef EL_SERVE_BACKEND_INFO_H
#define EL_SERVE_BACKEND_INFO_H

#include <stdint.h>

#include "config/config.h"
#include "device/manager/manager.h"

struct el_backend_info {
    const struct el_config *config;
    const char *model;        // its name
    int embedding_dim;        // 0: not known
    int batch_size;           // texts, now: less than the largest after an out of memory; 0: not known
    int max_batch_size;       // texts; what it grows back to; 0: not known
    int64_t batch_tokens;     // of one packed batch; 0: not known
    const char *batch_source; // "set", "tuned", "formula", "default"; NULL: not known
    uint64_t oom_count;       // times that a batch did not fit
    uint64_t rejoins;         // devices that were given up and taken back
    const char *device_id;    // "cuda:0"
    const struct el_device_facts *device;
    int device_count;                      // of these devices
    const struct el_device_health *health; // of the device, as it was just seen; NULL: not known
};

// Appends the object. What is not known is null, and so is what only a GPU has on the processor. EL_ENOMEM.
int el_backend_info_put_json(const struct el_backend_info *info, struct el_str *json);

#endif
