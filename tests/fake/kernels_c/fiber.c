// SPDX-License-Identifier: Apache-2.0
// Fibers' stacks, and what the sanitizers want to hear about a switch: they are called by weak symbols, which
// are NULL in a build without them.
#include "fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    STACK = 256 << 10,
    PAGE = 4096
}; // bytes; sanitizers make frames large, and untouched pages cost nothing

#define WEAK __attribute__((weak))
WEAK void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
WEAK void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
WEAK void *__tsan_get_current_fiber(void);
WEAK void *__tsan_create_fiber(unsigned flags);
WEAK void __tsan_destroy_fiber(void *fiber);
WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);

// The last switch of this thread.
static _Thread_local struct el_fiber *left, *entered;

// The lowest page may not be touched, so that a stack that is too small crashes.
void el_fibers_open(struct el_fiber *fibers, int count) {
    char *stacks = mmap(NULL, (size_t)count * (PAGE + STACK), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) {
        fprintf(stderr, "no memory for the stacks of %d fibers\n", count);
        abort();
    }
    for (int i = 0; i < count; i++, stacks += PAGE + STACK) {
        mprotect(stacks, PAGE, PROT_NONE);
        fibers[i] = (struct el_fiber){.stack = stacks + PAGE, .size = STACK};
        if (__tsan_create_fiber) fibers[i].tsan = __tsan_create_fiber(0);
    }
}

void el_fibers_close(struct el_fiber *fibers, int count) {
    for (int i = 0; i < count; i++) {
        if (__tsan_destroy_fiber) __tsan_destroy_fiber(fibers[i].tsan);
        el_context_free(&fibers[i].context);
    }
    munmap(fibers[0].stack - PAGE, (size_t)count * (PAGE + STACK));
}

// The first words of whoever was switched to. A thread's own stack is learned from its first switch away.
static void arrive(void *asan_save) {
    const void *bottom;
    size_t size;
    if (!__sanitizer_finish_switch_fiber) return;
    __sanitizer_finish_switch_fiber(asan_save, &bottom, &size);
    left->stack = (char *)bottom;
    left->size = size;
}

// asan_save: NULL when `from` ends.
static void leave(struct el_fiber *from, struct el_fiber *to, void **asan_save) {
    left = from;
    entered = to;
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(asan_save, to->stack, to->size);
    if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to->tsan, 0);
    el_context_switch(&from->context, &to->context);
}

static void entry(void) {
    arrive(NULL);
    struct el_fiber *self = entered;
    self->body(self->argument);
    self->ended = true;
    leave(self, self->resumer, NULL);
}

void el_fiber_begin(struct el_fiber *fiber, void (*body)(void *argument), void *argument) {
    fiber->body = body;
    fiber->argument = argument;
    fiber->ended = false;
    el_context_begin(&fiber->context, fiber->stack, fiber->size, entry);
}

void el_fiber_resume(struct el_fiber *fiber, struct el_fiber *self) {
    if (!self->tsan && __tsan_get_current_fiber) self->tsan = __tsan_get_current_fiber();
    fiber->resumer = self;
    leave(self, fiber, &self->asan_save);
    arrive(self->asan_save);
}

void el_fiber_pause(struct el_fiber *self) {
    leave(self, self->resumer, &self->asan_save);
    arrive(self->asan_save);
}
