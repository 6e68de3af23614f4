// SPDX-License-Identifier: Apache-2.0
// Interposes malloc and its kin over glibc's own (__libc_*), which stay reachable under those names.
#include "failing_malloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static atomic_long countdown; // 0: not failing
static atomic_bool stays, tripped, spares_libraries;
static atomic_long live, calls;

void failing_malloc_set(long nth, bool and_after) {
    countdown = 0;
    stays = and_after;
    tripped = false;
    countdown = nth;
}

bool failing_malloc_tripped(void) {
    return tripped;
}

long failing_malloc_live(void) {
    return live;
}

long failing_malloc_calls(void) {
    return calls;
}

void failing_malloc_spare_libraries(bool spare) {
    spares_libraries = spare;
}

extern const char __executable_start, etext; // the linker's: the program's own code

static bool must_fail(const void *caller) {
    const char *code = caller;
    if (spares_libraries && (code < &__executable_start || code >= &etext)) return false;
    calls++;
    long left = countdown;
    while (left > 0 && !(left == 1 && stays)) {
        if (!atomic_compare_exchange_weak(&countdown, &left, left - 1)) continue;
        if (left > 1) return false;
        break;
    }
    if (left != 1) return false;
    tripped = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *p) {
    if (p) live++;
    return p;
}

void *malloc(size_t size) {
    return must_fail(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size) {
    return must_fail(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *p, size_t size) {
    if (must_fail(__builtin_return_address(0))) return NULL;
    void *moved = __libc_realloc(p, size);
    return p ? moved : counted(moved);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return must_fail(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size) {
    return must_fail(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    if (must_fail(__builtin_return_address(0))) return ENOMEM;
    void *fresh = counted(__libc_memalign(alignment, size));
    if (!fresh) return ENOMEM;
    *p = fresh;
    return 0;
}

void free(void *p) {
    if (p) live--;
    __libc_free(p);
}
