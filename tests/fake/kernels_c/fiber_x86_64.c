// SPDX-License-Identifier: Apache-2.0
// The switch between two stacks on x86-64: the registers that a call must keep go onto the old stack, and
// come from the new one. `context` is the stack pointer of a fiber that is stopped.
#include <stdint.h>

#include "fiber.h"

void el_stack_switch(void **ret_from, void *to);
__asm__(".text\n"
        ".globl el_stack_switch\n"
        ".type el_stack_switch, @function\n"
        "el_stack_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size el_stack_switch, . - el_stack_switch\n");

void el_context_begin(void **context, char *stack, size_t size, void (*entry)(void)) {
    uintptr_t *top = (uintptr_t *)(stack + size); // aligned to a page
    *--top = 0;                                   // where entry, which does not return, would return to
    *--top = (uintptr_t)entry;                    // a function begins 8 bytes off a multiple of 16
    for (int i = 0; i < 6; i++)
        *--top = 0; // the registers
    *context = top;
}

void el_context_switch(void **from, void **to) {
    el_stack_switch(from, *to);
}

void el_context_free(void **context) {
    *context = NULL;
}
