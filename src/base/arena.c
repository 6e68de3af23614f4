// SPDX-License-Identifier: Apache-2.0
// An arena of blocks that grow by doubling; the newest block serves, older ones wait for release or reset. Of
// the blocks that are given back the largest is kept for the next.
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_BLOCK = 16384 }; // bytes

struct el_arena_block {
    struct el_arena_block *older;
    size_t size; // bytes of `data`
    _Alignas(EL_CACHE_LINE) uint8_t data[];
};

void el_arena_init(struct el_arena *arena) {
    memset(arena, 0, sizeof *arena);
}

// Takes blocks off down to `keep`; the largest becomes the spare.
static void drop_blocks_until(struct el_arena *arena, const struct el_arena_block *keep) {
    while (arena->blocks != keep) {
        struct el_arena_block *block = arena->blocks, *smaller = block;
        arena->blocks = block->older;
        if (!arena->spare || block->size > arena->spare->size) {
            smaller = arena->spare;
            arena->spare = block;
        }
        el_free(smaller);
    }
}

void el_arena_done(struct el_arena *arena) {
    drop_blocks_until(arena, NULL);
    el_free(arena->spare);
    arena->spare = NULL;
    arena->used = 0;
}

static void use_spare(struct el_arena *arena) {
    arena->spare->older = arena->blocks;
    arena->blocks = arena->spare;
    arena->spare = NULL;
    arena->used = 0;
}

static int push_block(struct el_arena *arena, size_t needed) {
    if (arena->spare && arena->spare->size >= needed) {
        use_spare(arena);
        return 0;
    }
    size_t size = arena->blocks ? arena->blocks->size : FIRST_BLOCK / 2;
    if (size > SIZE_MAX / 4) return el_fail(EL_ENOMEM, "an arena block of %zu bytes cannot double", size);
    size = EL_MAX(size * 2, needed);
    size_t bytes;
    if (!el_add_size(size, sizeof(struct el_arena_block), &bytes))
        return el_fail(EL_ENOMEM, "an arena block of %zu bytes does not fit", size);
    struct el_arena_block *block;
    int status = el_alloc_aligned(bytes, 1, &block);
    if (status < 0) return status;
    block->older = arena->blocks;
    block->size = size;
    arena->blocks = block;
    arena->used = 0;
    return 0;
}

int el_arena_alloc(struct el_arena *arena, size_t count, size_t size, void *ret_p) {
    size_t bytes;
    if (!el_mul_size(count, size, &bytes) || bytes > SIZE_MAX - EL_CACHE_LINE)
        return el_fail(EL_ENOMEM, "%zu x %zu bytes do not fit an arena", count, size);
    bytes = (bytes + EL_CACHE_LINE - 1) / EL_CACHE_LINE * EL_CACHE_LINE;
    if (!arena->blocks || arena->blocks->size - arena->used < bytes) {
        int status = push_block(arena, bytes);
        if (status < 0) return status;
    }
    void *p = arena->blocks->data + arena->used;
    arena->used += bytes;
    memcpy(ret_p, &p, sizeof p);
    return 0;
}

int el_arena_copy(struct el_arena *arena, const void *bytes, size_t size, void *ret_copy) {
    char *copy;
    EL_TRY(el_arena_alloc(arena, size, 1, &copy));
    if (size) memcpy(copy, bytes, size);
    memcpy(ret_copy, &copy, sizeof copy);
    return 0;
}

int el_arena_strdup(struct el_arena *arena, const char *text, const char **ret_copy) {
    return el_arena_strndup(arena, text, text ? strlen(text) : 0, ret_copy);
}

int el_arena_strndup(struct el_arena *arena, const char *text, size_t length, const char **ret_copy) {
    char *copy = NULL;
    size_t size;
    if (text) {
        if (!el_add_size(length, 1, &size))
            return el_fail(EL_ENOMEM, "a text of %zu bytes does not fit", length);
        EL_TRY(el_arena_alloc(arena, size, 1, &copy));
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    *ret_copy = copy;
    return 0;
}

void el_arena_reset(struct el_arena *arena) {
    drop_blocks_until(arena, NULL);
    if (arena->spare) use_spare(arena);
    arena->used = 0;
}

size_t el_arena_bytes(const struct el_arena *arena) {
    size_t bytes = arena->spare ? arena->spare->size : 0;
    for (const struct el_arena_block *block = arena->blocks; block; block = block->older)
        bytes += block->size;
    return bytes;
}

struct el_arena_mark el_arena_mark(const struct el_arena *arena) {
    return (struct el_arena_mark){.block = arena->blocks, .used = arena->used};
}

void el_arena_release(struct el_arena *arena, struct el_arena_mark mark) {
    if (!mark.block) { // from before the first
        el_arena_reset(arena);
        return;
    }
    drop_blocks_until(arena, mark.block);
    arena->used = mark.used;
}
