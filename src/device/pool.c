// SPDX-License-Identifier: Apache-2.0
// The memory pool. A slab is a chain of blocks in the order of their addresses; a free block that has no
// neighbours is a whole slab. Free blocks stand in bins by size, small slabs' and large slabs' apart, so that
// small blocks do not break up large slabs. One lock guards everything, the driver's calls included.
#include "device/pool.h"

#include <assert.h>
#include <pthread.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/device.h"

enum {
    SLAB = 2 << 20,        // bytes; small slabs have this size, large ones a multiple of it
    SMALL_LIMIT = 1 << 20, // bytes; a larger block is a large one
    BINS = 40,             // bin b: 2^b x EL_DEVICE_ALIGN bytes and up, below twice that
    TRIM_SAMPLES = 10000,
};

struct el_pool_block {
    char *address; // the device's
    size_t size;   // bytes
    bool is_live, is_small;
    struct el_pool_block *before, *after; // neighbours in the slab
    struct el_pool_block *next;           // in a bin, or in a list of deferred ones
    struct el_pool_account *account;      // may be NULL
    size_t charged;                       // bytes, to the account
};

struct el_memory_pool {
    struct el_device *device;
    pthread_mutex_t lock;
    struct el_pool_block *bins[2][BINS]; // [is_small][bin]
    struct el_pool_block *spare;         // for the rest of a split, so that a split can't fail
    uint64_t samples;
    struct el_pool_stats stats;
};

static double mb(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

// ---- accounts ----

static int charge(struct el_pool_account *account, size_t size) {
    if (!account) return 0;
    uint64_t used = atomic_load(&account->used), peak = atomic_load(&account->peak);
    do {
        if (account->cap && (size > account->cap || used > account->cap - size))
            return el_fail(EL_ENOMEM,
                           "%s may not take %.1f MB more: %.1f MB of its %.1f MB are in use; make its "
                           "batches smaller or its cap larger",
                           account->name, mb(size), mb(used), mb(account->cap));
    } while (!atomic_compare_exchange_weak(&account->used, &used, used + size));
    while (peak < used + size && !atomic_compare_exchange_weak(&account->peak, &peak, used + size)) {
    }
    return 0;
}

static void uncharge(struct el_pool_account *account, size_t size) {
    if (account) atomic_fetch_sub(&account->used, size);
}

// ---- bins ----

static int bin_of(size_t size) {
    const int bin = 63 - __builtin_clzll(size / EL_DEVICE_ALIGN);
    return EL_MIN(bin, BINS - 1);
}

static struct el_pool_block **list_of(struct el_memory_pool *pool, const struct el_pool_block *block) {
    return &pool->bins[block->is_small][bin_of(block->size)];
}

static void put_free(struct el_memory_pool *pool, struct el_pool_block *block) {
    struct el_pool_block **list = list_of(pool, block);
    block->is_live = false;
    block->next = *list;
    *list = block;
}

static void take_free(struct el_memory_pool *pool, struct el_pool_block *block) {
    struct el_pool_block **link = list_of(pool, block);
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
    block->next = NULL;
}

static struct el_pool_block *best_fit(struct el_memory_pool *pool, size_t size, bool is_small) {
    for (int bin = bin_of(size); bin < BINS; bin++) {
        struct el_pool_block *best = NULL;
        for (struct el_pool_block *block = pool->bins[is_small][bin]; block; block = block->next)
            if (block->size >= size && (!best || block->size < best->size)) best = block;
        if (best) return best;
    }
    return NULL;
}

// ---- slabs ----

static bool is_whole_slab(const struct el_pool_block *block) {
    return !block->before && !block->after;
}

static int fail_budget(const struct el_memory_pool *pool, size_t size) {
    const struct el_pool_stats *stats = &pool->stats;
    return el_fail(
        EL_ENOMEM,
        "%s has no room for %.1f MB: %.1f MB of its budget of %.1f MB are taken, %.1f MB of them in "
        "use; make the batches smaller or the budget larger",
        pool->device->id, mb(size), mb(stats->reserved), mb(stats->budget), mb(stats->allocated));
}

// Takes a slab from the driver; it stands in its bin, free.
static int add_slab(struct el_memory_pool *pool, size_t size, bool is_small,
                    struct el_pool_block **ret_block) {
    struct el_device *device = pool->device;
    struct el_pool_stats *stats = &pool->stats;
    el_auto_free struct el_pool_block *block = NULL;
    void *address = NULL;
    if (size > stats->budget - stats->reserved) return fail_budget(pool, size);
    EL_TRY(el_zalloc(1, sizeof *block, &block));
    int status = device->backend->alloc(device, size, &address);
    if (status == EL_ENOMEM)
        return el_fail_in(status, "%s gives no %.1f MB beside the %.1f MB taken", device->id, mb(size),
                          mb(stats->reserved));
    EL_TRY(status);
    *block = (struct el_pool_block){.address = address, .size = size, .is_small = is_small};
    stats->driver_allocs++;
    stats->reserved += size;
    stats->peak_reserved = EL_MAX(stats->peak_reserved, stats->reserved);
    put_free(pool, block);
    *ret_block = el_steal(block);
    return 0;
}

static void drop_slab(struct el_memory_pool *pool, struct el_pool_block *block) {
    take_free(pool, block);
    pool->device->backend->free(pool->device, block->address);
    pool->stats.driver_frees++;
    pool->stats.reserved -= block->size;
    el_free(block);
}

static uint64_t trim(struct el_memory_pool *pool) {
    const uint64_t before = pool->stats.reserved;
    for (size_t i = 0; i < 2 * (size_t)BINS; i++)
        for (struct el_pool_block *block = pool->bins[i / BINS][i % BINS], *next; block; block = next) {
            next = block->next;
            if (is_whole_slab(block)) drop_slab(pool, block);
        }
    pool->stats.trims++;
    return before - pool->stats.reserved;
}

// ---- blocks ----

// A free block of `size` or more, where it takes a new slab: a roomy one if it can be had, else after a trim
// one that just fits, else what large slabs have left for small blocks.
static int grow(struct el_memory_pool *pool, size_t size, bool is_small, struct el_pool_block **ret_block) {
    if (size > pool->stats.budget) return fail_budget(pool, size);
    const size_t roomy = (size + SLAB - 1) / SLAB * SLAB;
    int status = add_slab(pool, roomy, is_small, ret_block);
    if (status != EL_ENOMEM) return status;
    trim(pool);
    status = add_slab(pool, size, is_small, ret_block);
    struct el_pool_block *left = status == EL_ENOMEM ? best_fit(pool, size, !is_small) : NULL;
    if (!left) return status;
    *ret_block = left;
    return 0;
}

static bool is_worth_splitting(const struct el_pool_block *block, size_t size, bool is_small) {
    return block->size - size >= (is_small ? EL_DEVICE_ALIGN : SMALL_LIMIT);
}

// Cuts `block`, which stands in no bin, down to `size`; the rest becomes a free block after it.
static void split(struct el_memory_pool *pool, struct el_pool_block *block, size_t size) {
    struct el_pool_block *rest = el_steal(pool->spare);
    *rest = (struct el_pool_block){.address = block->address + size,
                                   .size = block->size - size,
                                   .is_small = block->is_small,
                                   .before = block,
                                   .after = block->after};
    if (rest->after) rest->after->before = rest;
    block->after = rest;
    block->size = size;
    put_free(pool, rest);
}

// `first` swallows the block after it; neither stands in a bin.
static void join(struct el_pool_block *first) {
    struct el_pool_block *second = first->after;
    first->size += second->size;
    first->after = second->after;
    if (first->after) first->after->before = first;
    el_free(second);
}

static int take(struct el_memory_pool *pool, size_t size, struct el_pool_block **ret_block) {
    const bool is_small = size <= SMALL_LIMIT;
    struct el_pool_stats *stats = &pool->stats;
    struct el_pool_block *block = best_fit(pool, size, is_small);
    const bool is_hit = block != NULL;
    if (!pool->spare) EL_TRY(el_zalloc(1, sizeof *pool->spare, &pool->spare));
    if (!block) EL_TRY(grow(pool, size, is_small, &block));
    take_free(pool, block);
    if (is_worth_splitting(block, size, is_small)) split(pool, block, size);
    block->is_live = true;
    stats->takes++;
    stats->hits += is_hit;
    stats->live++;
    stats->allocated += block->size;
    stats->peak_allocated = EL_MAX(stats->peak_allocated, stats->allocated);
    *ret_block = block;
    return 0;
}

static void give(struct el_memory_pool *pool, struct el_pool_block *block) {
    assert(block->is_live);
    uncharge(block->account, block->charged);
    block->account = NULL;
    pool->stats.live--;
    pool->stats.allocated -= block->size;
    if (block->after && !block->after->is_live) {
        take_free(pool, block->after);
        join(block);
    }
    if (block->before && !block->before->is_live) {
        block = block->before;
        take_free(pool, block);
        join(block);
    }
    put_free(pool, block);
}

// ---- what the header says ----

int el_pool_open(struct el_device *device, struct el_memory_pool **ret_pool) {
    const uint64_t most = SIZE_MAX / 2; // so that sizes below it can be rounded up
    const uint64_t budget = device->options.budget ? device->options.budget : device->facts.memory;
    struct el_memory_pool *pool = NULL;
    EL_TRY(el_zalloc(1, sizeof *pool, &pool));
    pool->device = device;
    pool->stats.budget = budget ? EL_MIN(budget, most) : most;
    pthread_mutex_init(&pool->lock, NULL);
    *ret_pool = pool;
    return 0;
}

void el_pool_close(struct el_memory_pool *pool) {
    if (!pool) return;
    assert(pool->stats.live == 0);
    trim(pool);
    pthread_mutex_destroy(&pool->lock);
    el_free(pool->spare);
    el_free(pool);
}

int el_pool_take(struct el_memory_pool *pool, size_t size, struct el_pool_account *account,
                 struct el_pool_block **ret_block) {
    size_t rounded = SIZE_MAX; // which nobody has
    el_add_size(EL_MAX(size, 1), EL_DEVICE_ALIGN - 1, &rounded);
    rounded -= rounded % EL_DEVICE_ALIGN;
    struct el_pool_block *block = NULL;
    EL_TRY(charge(account, rounded));
    pthread_mutex_lock(&pool->lock);
    int status = take(pool, rounded, &block);
    pthread_mutex_unlock(&pool->lock);
    if (status < 0) {
        uncharge(account, rounded);
        return status;
    }
    block->account = account;
    block->charged = rounded;
    *ret_block = block;
    return 0;
}

void *el_pool_address(const struct el_pool_block *block) {
    return block->address;
}

void el_pool_give(struct el_memory_pool *pool, struct el_pool_block *block) {
    pthread_mutex_lock(&pool->lock);
    give(pool, block);
    pthread_mutex_unlock(&pool->lock);
}

void el_pool_defer(struct el_pool_block *block, struct el_pool_block **list) {
    block->next = *list;
    *list = block;
}

void el_pool_give_all(struct el_memory_pool *pool, struct el_pool_block **list) {
    while (*list) {
        struct el_pool_block *block = *list;
        *list = block->next;
        el_pool_give(pool, block);
    }
}

uint64_t el_pool_trim(struct el_memory_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    uint64_t bytes = trim(pool);
    pthread_mutex_unlock(&pool->lock);
    return bytes;
}

void el_pool_count_samples(struct el_memory_pool *pool, uint64_t samples) {
    pthread_mutex_lock(&pool->lock);
    const uint64_t before = pool->samples;
    pool->samples += samples;
    if (pool->samples / TRIM_SAMPLES != before / TRIM_SAMPLES) trim(pool);
    pthread_mutex_unlock(&pool->lock);
}

void el_pool_stats(struct el_memory_pool *pool, struct el_pool_stats *ret_stats) {
    pthread_mutex_lock(&pool->lock);
    struct el_pool_stats stats = pool->stats;
    for (size_t i = 0; i < 2 * (size_t)BINS; i++)
        for (const struct el_pool_block *block = pool->bins[i / BINS][i % BINS]; block; block = block->next)
            stats.largest_free = EL_MAX(stats.largest_free, block->size);
    pthread_mutex_unlock(&pool->lock);
    const uint64_t bytes_free = stats.reserved - stats.allocated;
    if (bytes_free > 0) stats.fragmentation = 1.0 - (double)stats.largest_free / (double)bytes_free;
    *ret_stats = stats;
}

void el_device_memory_stats(struct el_device *device, struct el_memory_stats *ret_stats) {
    struct el_memory_stats stats = {.device_id = device->index};
    struct el_pool_stats pool;
    uint64_t total = 0, unused;
    const bool answers =
        !atomic_load(&device->lost) && device->backend->memory(device, &total, &unused) == 0 && total > 0;
    if (answers) {
        if (device->facts.memory) total = device->facts.memory; // a part of the processors has a part of it
        el_pool_stats(device->pool, &pool);
        stats.available = true;
        stats.allocated_mb = mb(pool.allocated);
        stats.reserved_mb = mb(pool.reserved);
        stats.max_allocated_mb = mb(pool.peak_allocated);
        stats.total_mb = mb(total);
        stats.budget_mb = mb(pool.budget);
        stats.utilization_pct = 100.0 * (double)pool.allocated / (double)total;
        stats.fragmentation = pool.fragmentation;
    }
    *ret_stats = stats;
}
