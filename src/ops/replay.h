// SPDX-License-Identifier: Apache-2.0
// Work that comes again. A small batch takes a device less time than its some fifty launches take the driver;
// so when the same work is asked for a second time its launches are recorded as a graph (CUDA Graphs), and
// from then on the graph is queued instead, by one call.
#ifndef EL_OPS_REPLAY_H
#define EL_OPS_REPLAY_H

#include "ops/exec.h"

// Queues operations on the exec, and nothing else: no copy to or from the host, no sync.
typedef int el_replay_fn(void *context, struct el_exec *exec);

// What makes two pieces of work the same: all that decides which kernels are launched, over what sizes and at
// which addresses. What lies at the addresses may differ. Where fn's temporaries will lie, el_exec_replay
// sees itself.
struct el_replay_key {
    el_replay_fn *fn;
    const void *model;     // whose weights are used; one that is closed must not be used by this exec again
    const void *memory[4]; // of input and output
    int64_t size[4];
};

// Does what fn(context, exec) does. Where there are no graphs, where the device is traced, or when the driver
// refuses to make one, it calls fn. Errors are those of fn.
int el_exec_replay(struct el_exec *exec, const struct el_replay_key *key, void *context);

void el_replay_close(struct el_replay *replay); // may be NULL

#endif
