// SPDX-License-Identifier: Apache-2.0
// The clerk's thread, and the mailbox of the event loop.
#include "serve/clerk.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "serve/exchange.h"

// Under the queue's lock; true when it was empty.
static bool push(struct el_queue *queue, struct el_exchange *exchange) {
    bool was_empty = !queue->first;
    exchange->next = NULL;
    if (was_empty)
        queue->first = exchange;
    else
        queue->last->next = exchange;
    queue->last = exchange;
    return was_empty;
}

// ---- mailbox ----

int el_mailbox_init(struct el_mailbox *mailbox) {
    *mailbox = (struct el_mailbox){.queue.lock = PTHREAD_MUTEX_INITIALIZER, .event_fd = -1};
    mailbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return mailbox->event_fd < 0 ? el_fail(EL_EIO, "cannot make an eventfd: %s", strerror(errno)) : 0;
}

void el_mailbox_done(struct el_mailbox *mailbox) {
    if (mailbox->event_fd > 0) close(mailbox->event_fd);
}

void el_mailbox_wake(struct el_mailbox *mailbox) {
    const uint64_t one = 1;
    ssize_t written = write(mailbox->event_fd, &one, sizeof one);
    (void)written; // fails only when the counter is at its end, and then the loop is woken anyway
}

void el_mailbox_post(struct el_mailbox *mailbox, struct el_exchange *exchange) {
    pthread_mutex_lock(&mailbox->queue.lock);
    bool was_empty = push(&mailbox->queue, exchange);
    pthread_mutex_unlock(&mailbox->queue.lock);
    if (was_empty) el_mailbox_wake(mailbox);
}

struct el_exchange *el_mailbox_take(struct el_mailbox *mailbox) {
    uint64_t count;
    ssize_t got = read(mailbox->event_fd, &count, sizeof count);
    (void)got; // nothing there is fine
    pthread_mutex_lock(&mailbox->queue.lock);
    struct el_exchange *first = mailbox->queue.first;
    mailbox->queue.first = NULL;
    pthread_mutex_unlock(&mailbox->queue.lock);
    return first;
}

// ---- clerk ----

// The next exchange, or NULL when the clerk is to end.
static struct el_exchange *wait_for_work(struct el_clerk *clerk) {
    pthread_mutex_lock(&clerk->queue.lock);
    while (!clerk->queue.first && !clerk->stop)
        pthread_cond_wait(&clerk->changed, &clerk->queue.lock);
    struct el_exchange *exchange = clerk->queue.first;
    if (exchange) clerk->queue.first = exchange->next;
    pthread_mutex_unlock(&clerk->queue.lock);
    return exchange;
}

static void *clerk_main(void *argument) {
    struct el_clerk *clerk = argument;
    el_thread_name("el-clerk");
    for (struct el_exchange *exchange; (exchange = wait_for_work(clerk));)
        exchange->job(exchange);
    return NULL;
}

int el_clerk_open(struct el_clerk *clerk) {
    *clerk = (struct el_clerk){.queue.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    int error = pthread_create(&clerk->thread, NULL, clerk_main, clerk);
    if (error) return el_fail(EL_ENOMEM, "cannot start the clerk's thread: %s", strerror(error));
    clerk->started = true;
    return 0;
}

void el_clerk_close(struct el_clerk *clerk) {
    if (!clerk->started) return;
    pthread_mutex_lock(&clerk->queue.lock);
    clerk->stop = true;
    pthread_cond_signal(&clerk->changed);
    pthread_mutex_unlock(&clerk->queue.lock);
    pthread_join(clerk->thread, NULL);
    clerk->started = false;
}

void el_clerk_give(struct el_clerk *clerk, struct el_exchange *exchange, el_clerk_job *job) {
    exchange->job = job;
    pthread_mutex_lock(&clerk->queue.lock);
    push(&clerk->queue, exchange);
    pthread_cond_signal(&clerk->changed);
    pthread_mutex_unlock(&clerk->queue.lock);
}

struct el_exchange *el_clerk_next(struct el_clerk *clerk, el_clerk_job *job) {
    pthread_mutex_lock(&clerk->queue.lock);
    struct el_exchange *next = clerk->queue.first;
    if (next && next->job != job) next = NULL;
    if (next) clerk->queue.first = next->next;
    pthread_mutex_unlock(&clerk->queue.lock);
    return next;
}
