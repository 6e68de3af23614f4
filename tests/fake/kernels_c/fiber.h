// SPDX-License-Identifier: Apache-2.0
// Fibers: functions with a stack each. One is resumed, runs until it pauses, and is resumed again, by one
// thread. The sanitizers are told.
#ifndef EL_TESTS_FIBER_H
#define EL_TESTS_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct el_fiber {
    void (*body)(void *argument);
    void *argument;
    bool ended; // the body has returned
    // Private to fiber*.c from here on.
    struct el_fiber *resumer;
    void *context;   // where it stopped, in the machine's form
    char *stack;     // lowest byte
    size_t size;     // bytes
    void *asan_save; // AddressSanitizer's memory of the stack
    void *tsan;      // ThreadSanitizer's name of the fiber
};

// `count` fibers with stacks. Ends the process when there is no memory for them.
void el_fibers_open(struct el_fiber *fibers, int count);
void el_fibers_close(struct el_fiber *fibers, int count);

// body(argument) is what the next resume begins; what the fiber did before is forgotten.
void el_fiber_begin(struct el_fiber *fiber, void (*body)(void *argument), void *argument);

// `self` stands for the caller while the fiber runs: zeroed before its first use, used by one thread.
void el_fiber_resume(struct el_fiber *fiber, struct el_fiber *self);
void el_fiber_pause(struct el_fiber *self); // called by the fiber that runs

// The machine's part, in fiber_x86_64.c or fiber_ucontext.c.
void el_context_begin(void **context, char *stack, size_t size, void (*entry)(void));
void el_context_switch(void **from, void **to);
void el_context_free(void **context);

#endif
