// SPDX-License-Identifier: Apache-2.0
// The switch between two stacks by the C library, for processors that have no fiber_*.c of their own: it
// works anywhere and asks the kernel twice each time.
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fiber.h"

// Pages of its own, as the stacks have: lanes.c keeps fibers for the next launch, which no heap checker shall
// call a leak.
static ucontext_t *context_of(void **context) {
    if (!*context)
        *context = mmap(NULL, sizeof(ucontext_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*context == MAP_FAILED) abort();
    return *context;
}

void el_context_begin(void **context, char *stack, size_t size, void (*entry)(void)) {
    ucontext_t *c = context_of(context);
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = size;
    makecontext(c, entry, 0);
}

void el_context_switch(void **from, void **to) {
    swapcontext(context_of(from), context_of(to));
}

void el_context_free(void **context) {
    if (*context) munmap(*context, sizeof(ucontext_t));
    *context = NULL;
}
