// SPDX-License-Identifier: Apache-2.0
// What a device really does, measured: copies, launches, matrix products. For doctor and bench device.
#ifndef EL_CMD_MEASURE_H
#define EL_CMD_MEASURE_H

#include <jansson.h>

#include "device/device.h"
#include "ops/precision.h"

// 0: the device does not do that.
struct el_rates {
    double upload, download;           // bytes per second, from and to pinned memory of the host
    double copy;                       // on the device; bytes read and bytes written per second
    double launch_ns, round_trip_ns;   // a launch behind others, and one that is waited for
    double matmul[EL_PRECISION_COUNT]; // multiplications and additions per second
};

// Each figure takes about `least_ms`. EL_ENOMEM, EL_ELOST.
int el_measure(struct el_device *device, int least_ms, struct el_rates *ret_rates);

// {"upload_gb_s": 25.1, ..., "matmul_tflop_s": {"fp32": 0.4}}; what is 0 is left out. NULL: no memory.
json_t *el_rates_json(const struct el_rates *rates);

#endif
