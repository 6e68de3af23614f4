// SPDX-License-Identifier: Apache-2.0
// A probe asks one device how it is: a thread of its own runs the canary kernel there and reads NVML, so that
// nobody who asks waits longer than they want to, even for a device that hangs.
#ifndef EL_DEVICE_PROBE_H
#define EL_DEVICE_PROBE_H

#include "device/manager/manager.h"

struct el_probe;

// `nvml` may be NULL, `gpu` is the device's place there or -1. It holds a reference to both. EL_ENOMEM.
int el_probe_open(struct el_device *device, struct el_nvml *nvml, int gpu, struct el_probe **ret_probe);
// True: the device is free of the probe. False: it still hangs after timeout_ms; the thread waits on, and
// lets go of its references if it ever comes back. Takes NULL.
bool el_probe_close(struct el_probe *probe, int timeout_ms);

// Asks for a run that begins from now on; returns its number at once.
uint64_t el_probe_ask(struct el_probe *probe);
// Waits until run `number` or a later one has ended, but not beyond `until_ns` of el_now_ns, and tells what
// it found. Returns 0; or, where the device did not answer, for how many ns it has been waited for.
uint64_t el_probe_answer(struct el_probe *probe, uint64_t number, uint64_t until_ns,
                         struct el_device_health *ret_health);

#endif
