// SPDX-License-Identifier: Apache-2.0
// The one file that calls malloc.
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

static int out_of_memory(size_t count, size_t size) {
    return el_fail(EL_ENOMEM, "cannot allocate %zu x %zu bytes", count, size);
}

// Bytes to ask for: never 0, so that NULL means failure alone. False on overflow.
static bool wanted_bytes(size_t count, size_t size, size_t *ret_bytes) {
    size_t bytes;
    if (!el_mul_size(count, size, &bytes)) return false;
    *ret_bytes = bytes ? bytes : 1;
    return true;
}

// `ret_p` is the address of a pointer of any type; memcpy keeps within the aliasing rules.
static int hand_out(void *p, size_t count, size_t size, void *ret_p) {
    if (!p) return out_of_memory(count, size);
    memcpy(ret_p, &p, sizeof p);
    return 0;
}

int el_alloc(size_t count, size_t size, void *ret_p) {
    size_t bytes;
    if (!wanted_bytes(count, size, &bytes)) return out_of_memory(count, size);
    return hand_out(malloc(bytes), count, size, ret_p);
}

int el_zalloc(size_t count, size_t size, void *ret_p) {
    size_t bytes;
    if (!wanted_bytes(count, size, &bytes)) return out_of_memory(count, size);
    return hand_out(calloc(1, bytes), count, size, ret_p);
}

int el_alloc_aligned(size_t count, size_t size, void *ret_p) {
    size_t bytes, rounded;
    if (!wanted_bytes(count, size, &bytes)) return out_of_memory(count, size);
    if (!el_add_size(bytes, EL_CACHE_LINE - 1, &rounded)) return out_of_memory(count, size);
    rounded -= rounded % EL_CACHE_LINE; // aligned_alloc wants a multiple of the alignment
    return hand_out(aligned_alloc(EL_CACHE_LINE, rounded), count, size, ret_p);
}

int el_realloc(void *p, size_t count, size_t size) {
    void *old;
    size_t bytes;
    memcpy(&old, p, sizeof old);
    if (!wanted_bytes(count, size, &bytes)) return out_of_memory(count, size);
    return hand_out(realloc(old, bytes), count, size, p);
}

int el_grow(void *p, size_t size, size_t count, size_t *capacity) {
    enum { FIRST = 16 };
    if (count < *capacity) return 0;
    const size_t grown = EL_MAX(*capacity * 2, (size_t)FIRST);
    EL_TRY(el_realloc(p, grown, size));
    *capacity = grown;
    return 0;
}

void el_advise_huge_pages(void *p, size_t size) {
    const uintptr_t page = 4096, begin = ((uintptr_t)p + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)p + size) / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

void el_free(void *p) {
    free(p);
}

int el_mem_check(size_t size) {
    enum { BLOCK = 1 << 14 };
    void **blocks = NULL; // each holds the next
    int status = 0;
    for (size_t had = 0; status == 0 && had < size; had += BLOCK) {
        void **block = NULL;
        status = el_alloc(1, BLOCK, &block);
        if (status < 0) break;
        *block = blocks;
        blocks = block;
    }
    while (blocks) {
        void **next = *blocks;
        el_free(blocks);
        blocks = next;
    }
    return status;
}

void el_free_p(void *p_to_pointer) {
    void *p;
    memcpy(&p, p_to_pointer, sizeof p);
    free(p);
}

int el_strdup(const char *text, char **ret_copy) {
    return el_strndup(text, strlen(text), ret_copy);
}

int el_strndup(const char *text, size_t length, char **ret_copy) {
    size_t bytes;
    char *copy = NULL;
    if (!el_add_size(length, 1, &bytes)) return out_of_memory(length, 1);
    int status = el_alloc(bytes, 1, &copy);
    if (status < 0) return status;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *ret_copy = copy;
    return 0;
}
