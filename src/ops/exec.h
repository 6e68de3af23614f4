// SPDX-License-Identifier: Apache-2.0
// Where operations run: on the processor's threads, or on a stream of a device. A model takes its temporaries
// from here and moves its input and output through here, and so never asks which of the two it is.
#ifndef EL_OPS_EXEC_H
#define EL_OPS_EXEC_H

#include "base/arena.h"
#include "base/thread.h"
#include "device/arena.h"
#include "device/device.h"
#include "ops/precision.h"
#include "ops/tensor.h"

struct el_ops;
struct el_replay;

// What a model is opened for.
struct el_target {
    struct el_device *device; // NULL is the processor too
    const struct el_ops *ops;
    enum el_precision precision; // never auto
};

// Ops and precision for a device. On the processor the operations are the best that it has; auto is the
// fastest precision that keeps cosine >= 0.999 with fp32 (docs/precision.md). EL_EUNSUPPORTED: the device
// does not have `wanted`; the detail says what it has.
int el_target_init(struct el_device *device, enum el_precision wanted, struct el_target *ret_target);

// One caller at a time.
struct el_exec {
    const struct el_ops *ops;
    struct el_team *team;      // threads that share each operation; NULL: the caller alone
    struct el_arena scratch;   // temporaries of the processor
    enum el_dtype activations; // how a model keeps hidden states: f32 on the processor
    struct el_stream stream;   // of a device; zeroed on the processor
    struct el_device_arena device_scratch, pinned;
    struct el_replay *replay; // graphs of work that came before (replay.h); NULL: none yet
};

// EL_ENOMEM, EL_ELOST.
int el_exec_open(const struct el_target *target, struct el_team *team, struct el_exec *ret_exec);
void el_exec_close(struct el_exec *exec); // waits for what is queued; takes a zeroed exec too

// Temporaries are taken between a mark and its release; those of nested marks first.
struct el_exec_mark {
    struct el_arena_mark scratch;
    struct el_device_mark device_scratch, pinned;
};
struct el_exec_mark el_exec_mark(const struct el_exec *exec);
void el_exec_release(struct el_exec *exec, struct el_exec_mark mark);
// Gives the memory of temporaries back to the system and the device. Nothing may be taken.
void el_exec_trim(struct el_exec *exec);

// A temporary [rows][columns] where the operations compute, unset. EL_ENOMEM.
int el_exec_alloc(struct el_exec *exec, enum el_dtype dtype, int64_t rows, int64_t columns,
                  struct el_tensor *ret_tensor);
// A temporary with the bytes of `host`, which may change once this has returned; on the processor, `host`
// itself.
int el_exec_upload(struct el_exec *exec, const struct el_tensor *host, struct el_tensor *ret_tensor);
// Waits for everything queued, and hands out the first error of any of it; then the tensor's bytes are in
// `host`.
int el_exec_download(struct el_exec *exec, const struct el_tensor *tensor, void *host);
int el_exec_sync(struct el_exec *exec);
// After a failure with `status`, before temporaries are released that queued work may still use: syncs, and
// leaves the detail as it was. Returns `status`.
int el_exec_settle(struct el_exec *exec, int status);

// Counts samples that were computed: every 10,000 the device's pool gives back what it keeps.
void el_exec_count(struct el_exec *exec, int64_t samples);

#endif
