// SPDX-License-Identifier: Apache-2.0
// An arena of a device's memory, or of pinned host memory for its copies: taken piece by piece, given back to
// a mark. Like el_arena, but blocks come from the device, and what is given back may still be in use by work
// that is queued: an arena serves one stream, so what is taken next is queued behind it. Blocks leave the
// arena in el_device_arena_trim and _done alone, when nothing is queued. One owner at a time.
#ifndef EL_DEVICE_ARENA_H
#define EL_DEVICE_ARENA_H

#include "device/device.h"

enum el_arena_kind { EL_ARENA_DEVICE, EL_ARENA_PINNED };

struct el_device_block;
struct el_device_arena {
    struct el_device *device;
    enum el_arena_kind kind;
    struct el_device_block *first, *current; // blocks behind the current one are empty
    size_t used;                             // bytes of the current block that are taken
    uint64_t changes; // blocks that came or went: while it stays, a mark leads to the same addresses
};

void el_device_arena_init(struct el_device_arena *arena, struct el_device *device, enum el_arena_kind kind);
void el_device_arena_done(struct el_device_arena *arena); // takes a zeroed arena too

// `size` bytes aligned to EL_DEVICE_ALIGN, unset. EL_ENOMEM.
int el_device_arena_alloc(struct el_device_arena *arena, size_t size, void **ret_address);

struct el_device_mark {
    struct el_device_block *block;
    size_t used;
};
struct el_device_mark el_device_arena_mark(const struct el_device_arena *arena);
void el_device_arena_release(struct el_device_arena *arena, struct el_device_mark mark);

// For an arena of which nothing is taken: keeps its largest block, or none.
void el_device_arena_trim(struct el_device_arena *arena, bool keep_largest);

#endif
