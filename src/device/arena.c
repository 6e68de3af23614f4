// SPDX-License-Identifier: Apache-2.0
// Arenas of device memory: a chain of blocks, each as large as all before it, filled one after the other.
#include "device/arena.h"

#include <assert.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_BLOCK = 1 << 20 }; // bytes

struct el_device_block {
    struct el_device_block *next;
    struct el_buffer buffer; // of EL_ARENA_DEVICE
    char *bytes;
    size_t size;
};

void el_device_arena_init(struct el_device_arena *arena, struct el_device *device, enum el_arena_kind kind) {
    *arena = (struct el_device_arena){.device = device, .kind = kind};
}

static void free_block(struct el_device_arena *arena, struct el_device_block *block) {
    arena->changes++;
    if (arena->kind == EL_ARENA_PINNED)
        arena->device->backend->free_pinned(arena->device, block->bytes);
    else
        el_buffer_close(&block->buffer);
    el_free(block);
}

void el_device_arena_done(struct el_device_arena *arena) {
    while (arena->first) {
        struct el_device_block *block = arena->first;
        arena->first = block->next;
        free_block(arena, block);
    }
    arena->current = NULL;
    arena->used = 0;
}

static int fill_block(struct el_device_arena *arena, struct el_device_block *block) {
    void *bytes;
    if (arena->kind == EL_ARENA_PINNED) {
        EL_TRY(arena->device->backend->alloc_pinned(arena->device, block->size, &bytes));
    } else {
        EL_TRY(el_buffer_open(arena->device, block->size, &block->buffer));
        bytes = block->buffer.address;
    }
    block->bytes = bytes;
    return 0;
}

// Puts a new block behind the current one. That it is as large as all others is a wish; `needed` is a must.
static int insert_block(struct el_device_arena *arena, size_t needed) {
    struct el_device_block *block = NULL;
    size_t wanted = FIRST_BLOCK;
    for (const struct el_device_block *b = arena->first; b; b = b->next)
        wanted += b->size;
    EL_TRY(el_zalloc(1, sizeof *block, &block));
    block->size = EL_MAX(wanted, needed);
    int status = fill_block(arena, block);
    if (status == EL_ENOMEM && block->size > needed) {
        block->size = needed;
        status = fill_block(arena, block);
    }
    if (status < 0) {
        el_free(block);
        return status;
    }
    struct el_device_block **link = arena->current ? &arena->current->next : &arena->first;
    block->next = *link;
    *link = block;
    arena->changes++;
    return 0;
}

int el_device_arena_alloc(struct el_device_arena *arena, size_t size, void **ret_address) {
    if (size > SIZE_MAX / 4) return el_fail(EL_ENOMEM, "%zu bytes do not fit a device", size);
    size = (EL_MAX(size, 1) + EL_DEVICE_ALIGN - 1) / EL_DEVICE_ALIGN * EL_DEVICE_ALIGN;
    if (!arena->current || arena->current->size - arena->used < size) {
        const struct el_device_block *next = arena->current ? arena->current->next : arena->first;
        if (!next || next->size < size) EL_TRY(insert_block(arena, size));
        arena->current = arena->current ? arena->current->next : arena->first;
        arena->used = 0;
    }
    *ret_address = arena->current->bytes + arena->used;
    arena->used += size;
    return 0;
}

struct el_device_mark el_device_arena_mark(const struct el_device_arena *arena) {
    return (struct el_device_mark){.block = arena->current, .used = arena->used};
}

void el_device_arena_release(struct el_device_arena *arena, struct el_device_mark mark) {
    arena->current = mark.block;
    arena->used = mark.used;
}

void el_device_arena_trim(struct el_device_arena *arena, bool keep_largest) {
    assert(arena->current == NULL);
    struct el_device_block *largest = keep_largest ? arena->first : NULL;
    for (struct el_device_block *b = largest; b; b = b->next)
        if (b->size > largest->size) largest = b;
    while (arena->first) {
        struct el_device_block *block = arena->first;
        arena->first = block->next;
        if (block != largest) free_block(arena, block);
    }
    arena->first = largest;
    if (largest) largest->next = NULL;
}
