// SPDX-License-Identifier: Apache-2.0
// The switch between two stacks by the C library, for processors that have no fiber_*.c of their own: it
// works anywhere and asks the kernel twice each time.
#include <stdlib.h>
#include <ucontext.h>

#include "fiber.h"

static ucontext_t *context_of(void **context) {
    if (!*context) *context = calloc(1, sizeof(ucontext_t));
    if (!*context) abort();
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
    free(*context);
    *context = NULL;
}
