// SPDX-License-Identifier: Apache-2.0
// Handing exchanges from thread to thread. A queue keeps them in order. The clerk is one thread that takes
// what would hold up the event loop: large bodies to parse, large answers to write. The mailbox brings
// exchanges back to the loop and wakes it.
#ifndef EL_SERVE_CLERK_H
#define EL_SERVE_CLERK_H

#include <pthread.h>
#include <stdbool.h>

struct el_exchange;

struct el_queue {
    pthread_mutex_t lock;
    struct el_exchange *first, *last; // linked by el_exchange.next
};

// Both can be used from any thread. An exchange is in one queue at most.
struct el_mailbox {
    struct el_queue queue;
    int event_fd; // readable when there is mail; owned
};

int el_mailbox_init(struct el_mailbox *mailbox); // EL_EIO
void el_mailbox_done(struct el_mailbox *mailbox);
void el_mailbox_post(struct el_mailbox *mailbox, struct el_exchange *exchange);
void el_mailbox_wake(struct el_mailbox *mailbox); // makes event_fd readable without mail
// All that came, linked by next, or NULL. Clears event_fd.
struct el_exchange *el_mailbox_take(struct el_mailbox *mailbox);

struct el_clerk {
    struct el_queue queue;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stop;
};

typedef void el_clerk_job(struct el_exchange *exchange);

int el_clerk_open(struct el_clerk *clerk);   // EL_ENOMEM
void el_clerk_close(struct el_clerk *clerk); // finishes what it was given
// Runs `job` on the clerk's thread, in order.
void el_clerk_give(struct el_clerk *clerk, struct el_exchange *exchange, el_clerk_job *job);
// For a job that does several of its kind at once: takes the exchange that is next, if it waits for that very
// job; else NULL.
struct el_exchange *el_clerk_next(struct el_clerk *clerk, el_clerk_job *job);

#endif
