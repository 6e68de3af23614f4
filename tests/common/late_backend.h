// SPDX-License-Identifier: Apache-2.0
// A back-end for tests that is as late as it may be: work that is queued on a stream is done when somebody
// waits for it, not before. It counts what lives, has as much memory as it is told, and fails calls on
// demand.
#ifndef EL_TESTS_LATE_BACKEND_H
#define EL_TESTS_LATE_BACKEND_H

#include "device/device.h"

struct late_counts {
    long allocs, pinned, streams, events; // alive
    long driver_allocs;                   // since late_open
    uint64_t bytes;                       // of allocs
};

// One device at a time, of `memory` bytes. `budget` as in el_device_options.
int late_open(uint64_t memory, uint64_t budget, struct el_device *ret_device);
void late_close(struct el_device *device);
struct late_counts late_counts(void);

// The n-th call from now (1: the next) that may fail fails with `status`, and with `and_after` all that come
// after it; 0 ends the failing. Closing and freeing never fail.
void late_fail(long nth, int status, bool and_after);
bool late_tripped(void);

// A launch calls this with its first argument's address, when it is done; NULL: it does nothing.
void late_on_launch(void (*fn)(void *memory));

#endif
