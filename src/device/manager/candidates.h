// SPDX-License-Identifier: Apache-2.0
// Which devices there are, which of them are used, and why: the manager's choice, without opening any.
#ifndef EL_DEVICE_CANDIDATES_H
#define EL_DEVICE_CANDIDATES_H

#include "device/manager/manager.h"

struct el_candidates {
    struct el_candidate all[EL_MANAGER_CANDIDATES];
    int count;
    const char *mode; // the kind of the default device
    int chosen_count;
    int cpu_parts;      // devices that the processors are split into
    char fallback[640]; // "" or why auto fell to the processor
    char warnings[EL_MANAGER_WARNINGS][256];
    int warning_count;
};

// Lists all devices. `nvml` may be NULL. EL_EINVAL: options->devices cannot be read.
int el_candidates_find(const struct el_manager_options *options, const struct el_nvml *nvml,
                       struct el_candidates *ret_candidates);

// Chooses among those that are usable; may be called again when one of them turned out not to be (`usable`
// false, with its reason). EL_ENOENT, EL_EUNSUPPORTED: a device that was asked for by name is not there.
int el_candidates_choose(const struct el_manager_options *options, struct el_candidates *candidates);

#endif
