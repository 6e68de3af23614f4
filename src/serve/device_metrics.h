// SPDX-License-Identifier: Apache-2.0
// Figures of devices for /metrics: under the documents' names, dcgm-exporter's, and our own.
#ifndef EL_SERVE_DEVICE_METRICS_H
#define EL_SERVE_DEVICE_METRICS_H

#include "base/str.h"
#include "serve/monitor.h"

// Appends all of it in Prometheus' text format. What is not known is left out. EL_ENOMEM.
int el_device_metrics_write(const struct el_manager *manager, const struct el_monitor_view *view,
                            struct el_str *str);

#endif
