// SPDX-License-Identifier: Apache-2.0
// Memory: the only callers of malloc, checked size arithmetic, and cleanup attributes.
#ifndef EL_BASE_MEM_H
#define EL_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_CACHE_LINE 64 // bytes

// All of these leave a detail and *ret_p untouched, and return EL_ENOMEM, on failure. Size 0 yields a
// valid pointer to free. `el_alloc` leaves the bytes unset, `el_zalloc` clears them; `el_alloc_aligned`
// aligns to EL_CACHE_LINE. Each is freed by el_free.
int el_alloc(size_t count, size_t size, void *ret_p);
int el_zalloc(size_t count, size_t size, void *ret_p);
int el_alloc_aligned(size_t count, size_t size, void *ret_p);
// Grows or shrinks *p (which may be NULL) to count * size bytes; on failure *p is as before.
int el_realloc(void *p, size_t count, size_t size);
// Makes room in the list *p of elements of `size` bytes, of which `count` are in use and *capacity fit, for
// one more: doubled when it is full. EL_ENOMEM changes nothing.
int el_grow(void *p, size_t size, size_t count, size_t *capacity);
void el_free(void *p);
// EL_ENOMEM unless so many bytes could be had just now, in small blocks: to be asked before a library is
// called that ends the process when it has no memory.
int el_mem_check(size_t size);

// Says that memory of el_alloc_aligned, not used yet, will be read from front to back, often: on huge pages
// the processor looks up 512 times fewer addresses and fetches farther ahead. Advice only.
void el_advise_huge_pages(void *p, size_t size);

int el_strdup(const char *text, char **ret_copy);
int el_strndup(const char *text, size_t length, char **ret_copy);

// Checked arithmetic on sizes: false when the result does not fit, *ret untouched.
static inline bool el_mul_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *ret = r;
    return true;
}
static inline bool el_add_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *ret = r;
    return true;
}

// How many units of `unit` hold `n`; n >= 0, unit > 0.
static inline int64_t el_divide_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit;
}

// el_auto(free_fn): calls free_fn(&variable) at the end of the scope. el_auto_free: for el_free.
#define el_auto(fn) __attribute__((cleanup(fn)))
void el_free_p(void *p_to_pointer);
#define el_auto_free el_auto(el_free_p)

// Takes the pointer out of an el_auto variable, so that the scope's end does not free it.
#define el_steal(p)             \
    ({                          \
        __typeof__(p) p_ = (p); \
        (p) = NULL;             \
        p_;                     \
    })

#define EL_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define EL_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
