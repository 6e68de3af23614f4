// SPDX-License-Identifier: Apache-2.0
// The executor: N streams of a device, each served by a thread. Operations are dealt round robin, run in
// order on their stream, and end in a future; whoever submits is never blocked by the device. Devices without
// streams of their own (host) behave the same.
//
// All functions may be called from any thread; an operation must not wait for another of the same executor,
// which may stand behind it.
#ifndef EL_DEVICE_EXECUTOR_H
#define EL_DEVICE_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

struct el_executor;
struct el_future;

// An interactive operation overtakes bulk ones that are queued on its stream, not one that runs.
enum el_priority { EL_PRIORITY_INTERACTIVE, EL_PRIORITY_BULK, EL_PRIORITIES };

// Queues work on `stream` and returns 0 or why not. The executor then syncs the stream, so that an operation
// that is done has its work done, whether it failed or not.
typedef int el_operation_fn(void *context, struct el_stream *stream);

struct el_operation {
    const char *name; // for errors and traces; NULL: none
    el_operation_fn *run;
    void *context; // the caller's, until the operation is done
    enum el_priority priority;
    // Called once before the future is done, with el_error_detail() set when status < 0: from the stream's
    // thread, or from whoever cancels. Must not block. May be NULL.
    void (*on_done)(void *context, int status);
};

// EL_EINVAL (streams < 1), EL_ENOMEM, EL_ELOST.
int el_executor_open(struct el_device *device, int streams, struct el_executor **ret_executor);
// Lets what runs finish and cancels what is queued. Futures stay valid.
void el_executor_close(struct el_executor *executor);

// Queues a copy of `operation`. The future is to be closed; ret_future NULL: nobody waits. EL_ENOMEM.
int el_executor_submit(struct el_executor *executor, const struct el_operation *operation,
                       struct el_future **ret_future);

// Submits all, waits for all: each has left its result in its own context. The status is that of the lowest
// index that failed, whose detail begins "operation 3 of 8: " (counted from 1); ret_failed_index (counted
// from 0, may be NULL) is set then only.
int el_executor_batch(struct el_executor *executor, const struct el_operation *operations, size_t count,
                      size_t *ret_failed_index);

// Waits until it is done; its status, with its detail in the caller's slot.
int el_future_wait(struct el_future *future);
// Whether it is done; if so *ret_status (may be NULL) is its status, with the detail in the caller's slot.
bool el_future_poll(struct el_future *future, int *ret_status);
// True: it had not begun and is now done with EL_ECANCELED. False: it runs, to its end, or is done.
bool el_future_cancel(struct el_future *future);
// The operation goes on. Takes NULL.
void el_future_close(struct el_future *future);

struct el_executor_stats {
    uint64_t done, failed; // operations since open; failed ones are done too
    uint64_t queued;       // now; canceled ones until their turn comes
    uint64_t busy_ns;      // time in which an operation ran
};
int el_executor_streams(const struct el_executor *executor);
void el_executor_stats(struct el_executor *executor, int stream, struct el_executor_stats *ret_stats);

#endif
