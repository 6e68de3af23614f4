// SPDX-License-Identifier: Apache-2.0
// An arena: memory of one request or one operation, taken piece by piece and given back all at once.
// Not thread-safe: one owner at a time.
#ifndef EL_BASE_ARENA_H
#define EL_BASE_ARENA_H

#include <stddef.h>

struct el_arena_block;
struct el_arena {
    struct el_arena_block *blocks; // newest first
    size_t used;                   // bytes of the newest block that are taken
    struct el_arena_block *spare;  // the largest that was given back, for the next to come; or NULL
};

void el_arena_init(struct el_arena *arena);
void el_arena_done(struct el_arena *arena);

// `count * size` bytes aligned to EL_CACHE_LINE, unset, that live until reset or done. EL_ENOMEM.
int el_arena_alloc(struct el_arena *arena, size_t count, size_t size, void *ret_p);

// The same, holding a copy of `bytes`, which may be NULL when there are none.
int el_arena_copy(struct el_arena *arena, const void *bytes, size_t size, void *ret_copy);
// A copy of a text with a NUL behind it; of NULL: NULL.
int el_arena_strdup(struct el_arena *arena, const char *text, const char **ret_copy);
int el_arena_strndup(struct el_arena *arena, const char *text, size_t length, const char **ret_copy);

// Gives everything back but keeps the largest block, so that a warm arena does not call malloc.
void el_arena_reset(struct el_arena *arena);

size_t el_arena_bytes(const struct el_arena *arena); // that it holds

// A mark to return to: everything taken since el_arena_mark is given back. The largest block stays for what
// is taken next, so that taking the same again does not call malloc.
struct el_arena_mark {
    struct el_arena_block *block;
    size_t used;
};
struct el_arena_mark el_arena_mark(const struct el_arena *arena);
void el_arena_release(struct el_arena *arena, struct el_arena_mark mark);

#endif
