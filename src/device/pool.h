// SPDX-License-Identifier: Apache-2.0
// The memory pool of a device: a cache between el_buffer_open and the driver, whose own calls are slow. It
// takes slabs from the driver and cuts them into blocks: small blocks share slabs of 2 MB, a large one gets a
// slab of its own. A freed block joins its free neighbours and is kept for the next; trim gives whole slabs
// back.
//
// All functions may be called from any thread. EL_ENOMEM is recoverable: what was allocated stays as it was,
// and the cache was trimmed before giving up.
#ifndef EL_DEVICE_POOL_H
#define EL_DEVICE_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_device;
struct el_memory_pool;
struct el_pool_block;

// What one service may hold, on one device or on several. Owned by the caller, who keeps it while buffers are
// charged to it. Set name and cap; the pools count the rest.
struct el_pool_account {
    const char *name;            // "embed"; for errors
    uint64_t cap;                // bytes; 0: no cap
    _Atomic uint64_t used, peak; // bytes, in whole EL_DEVICE_ALIGN
};

// The pool of an open device; may hold device->options.budget bytes, or what the device has.
int el_pool_open(struct el_device *device, struct el_memory_pool **ret_pool);
// Gives everything back. No block may be live any more.
void el_pool_close(struct el_memory_pool *pool);

// `size` bytes, rounded up to EL_DEVICE_ALIGN, charged to `account` (may be NULL). EL_ENOMEM tells the
// numbers: over the budget, over the account's cap, or the driver's own; EL_ELOST.
int el_pool_take(struct el_memory_pool *pool, size_t size, struct el_pool_account *account,
                 struct el_pool_block **ret_block);
void *el_pool_address(const struct el_pool_block *block);
// The block may be handed out again at once: no queued work may use it any more.
void el_pool_give(struct el_memory_pool *pool, struct el_pool_block *block);

// Blocks that queued work may still use wait in a list, and are given all at once when the work is done.
void el_pool_defer(struct el_pool_block *block, struct el_pool_block **list);
void el_pool_give_all(struct el_memory_pool *pool, struct el_pool_block **list);

// Gives cached slabs that are wholly free back to the driver; returns the bytes.
uint64_t el_pool_trim(struct el_memory_pool *pool);
// Counts what was computed; trims when a multiple of 10,000 samples is crossed, against slow fragmentation.
void el_pool_count_samples(struct el_memory_pool *pool, uint64_t samples);

struct el_pool_stats {
    uint64_t allocated, peak_allocated; // bytes of live blocks
    uint64_t reserved, peak_reserved;   // bytes taken from the driver
    uint64_t largest_free;              // bytes of the largest cached block
    uint64_t budget;                    // bytes
    uint64_t live;                      // blocks
    uint64_t takes, hits;               // since open; a hit needed no driver
    uint64_t driver_allocs, driver_frees, trims;
    double fragmentation; // 1 - largest free block / free bytes; 0 when nothing is free
};
void el_pool_stats(struct el_memory_pool *pool, struct el_pool_stats *ret_stats);

// A device's memory as people are shown it; 1 MB is 1024 x 1024 bytes.
struct el_memory_stats {
    int device_id;
    bool available; // false: the device is lost or does not tell; the numbers are then 0
    double allocated_mb, reserved_mb, max_allocated_mb, total_mb;
    double budget_mb;       // most that may be reserved
    double utilization_pct; // allocated of total
    double fragmentation;   // as in el_pool_stats
};
void el_device_memory_stats(struct el_device *device, struct el_memory_stats *ret_stats);

#endif
