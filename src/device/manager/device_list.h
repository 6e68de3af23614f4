// SPDX-License-Identifier: Apache-2.0
// The list of devices that --device takes: "auto", or "cuda:0,cuda:1", "opencl:0", "cpu=4".
#ifndef EL_DEVICE_DEVICE_LIST_H
#define EL_DEVICE_DEVICE_LIST_H

#include "device/manager/manager.h"

// One item of the list: "cuda:1", "cuda", "cpu=4".
struct el_device_wish {
    const char *kind;
    int index; // -1: not given
    int parts; // of "cpu=4"; else 0
};

// The constant of this name among cuda, opencl, mps and cpu; NULL when there is none.
const char *el_device_kind(const char *name, size_t length);

// Whether the manager is to choose by preference.
bool el_is_auto(const struct el_manager_options *options);

// ret_wishes: [EL_MANAGER_DEVICES]. EL_EINVAL, EL_ETOOBIG.
int el_parse_devices(const char *text, struct el_device_wish *ret_wishes, int *ret_count);

#endif
