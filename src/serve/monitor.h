// SPDX-License-Identifier: Apache-2.0
// The monitor of a server's devices: it keeps what the manager's watch finds, twice a second, so that /health
// and /metrics answer at once with what was just found, even where a device hangs; the last five minutes of
// it; and the alerts. It logs what changes, and the memory where the settings ask for that.
#ifndef EL_SERVE_MONITOR_H
#define EL_SERVE_MONITOR_H

#include "config/config.h"
#include "device/manager/sampler.h"

struct el_monitor;

// `manager` and `config` stay the caller's, and must outlive it; nobody else may watch the manager. Looks
// once before it returns. EL_ENOMEM.
int el_monitor_open(struct el_manager *manager, const struct el_config *config,
                    struct el_monitor **ret_monitor);
void el_monitor_close(struct el_monitor *monitor); // takes NULL

// How the devices were at the last look, and in the last EL_HISTORY_S.
struct el_monitor_view {
    struct el_health health;
    struct el_samples samples[EL_MANAGER_DEVICES]; // of health.devices
};

// Any thread.
void el_monitor_read(struct el_monitor *monitor, struct el_monitor_view *ret_view);

#endif
