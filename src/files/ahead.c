// SPDX-License-Identifier: Apache-2.0
// Reading ahead: a ring of slots, filled by the workers in any order, emptied in the order of the paths.
#include "files/ahead.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"

enum { SLOTS = 256, MOST_BYTES = 64 << 20 };

struct slot {
    struct el_file_text text;
    int status;
    bool is_ready;
};

struct el_ahead {
    const char *const *paths; // [count]
    size_t count, limit;
    pthread_t *threads;
    int thread_count;
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t ready;  // the slot of `given` may be
    pthread_cond_t room;   // a worker may go on
    size_t taken, given;   // files that workers have begun, and that the caller has got
    size_t bytes;          // of text in slots
    bool closing;
    struct slot slots[SLOTS];
};

// The file that the caller waits for is always begun, so that this comes to an end.
static bool must_wait(const struct el_ahead *ahead) {
    const size_t begun = ahead->taken - ahead->given;
    return begun >= SLOTS || (begun && ahead->bytes >= MOST_BYTES);
}

static void *work(void *context) {
    struct el_ahead *ahead = context;
    el_thread_name("el-files");
    pthread_mutex_lock(&ahead->mutex);
    for (;;) {
        while (!ahead->closing && ahead->taken < ahead->count && must_wait(ahead))
            pthread_cond_wait(&ahead->room, &ahead->mutex);
        if (ahead->closing || ahead->taken == ahead->count) break;
        const size_t which = ahead->taken++;
        struct slot *slot = &ahead->slots[which % SLOTS];
        pthread_mutex_unlock(&ahead->mutex);
        slot->status = el_file_read(ahead->paths[which], ahead->limit, &slot->text);
        pthread_mutex_lock(&ahead->mutex);
        slot->is_ready = true;
        ahead->bytes += slot->text.text.length;
        pthread_cond_signal(&ahead->ready);
    }
    pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

static void close_p(struct el_ahead **ahead) {
    el_ahead_close(*ahead);
}

int el_ahead_open(const char *const *paths, size_t count, size_t limit, int workers,
                  struct el_ahead **ret_ahead) {
    el_auto(close_p) struct el_ahead *ahead = NULL;
    pthread_t *threads el_auto_free = NULL;
    EL_TRY(el_alloc((size_t)workers, sizeof *threads, &threads));
    EL_TRY(el_zalloc(1, sizeof *ahead, &ahead));
    ahead->paths = paths;
    ahead->count = count;
    ahead->limit = limit;
    ahead->threads = el_steal(threads);
    pthread_mutex_init(&ahead->mutex, NULL);
    pthread_cond_init(&ahead->ready, NULL);
    pthread_cond_init(&ahead->room, NULL);
    for (int i = 0; i < workers; i++)
        if (pthread_create(&ahead->threads[ahead->thread_count], NULL, work, ahead) == 0)
            ahead->thread_count++;
    if (!ahead->thread_count) return el_fail(EL_EIO, "no thread can be started to read files");
    *ret_ahead = el_steal(ahead);
    return 0;
}

int el_ahead_next(struct el_ahead *ahead, struct el_file_text *ret_text) {
    if (ahead->given == ahead->count) return 0;
    struct slot *slot = &ahead->slots[ahead->given % SLOTS];
    pthread_mutex_lock(&ahead->mutex);
    while (!slot->is_ready)
        pthread_cond_wait(&ahead->ready, &ahead->mutex);
    const int status = slot->status;
    if (status == 0) *ret_text = slot->text;
    ahead->bytes -= slot->text.text.length;
    *slot = (struct slot){0};
    ahead->given++;
    pthread_cond_broadcast(&ahead->room);
    pthread_mutex_unlock(&ahead->mutex);
    return status < 0 ? el_fail(status, "no memory to read %s", ahead->paths[ahead->given - 1]) : 1;
}

void el_ahead_close(struct el_ahead *ahead) {
    if (!ahead) return;
    pthread_mutex_lock(&ahead->mutex);
    ahead->closing = true;
    pthread_cond_broadcast(&ahead->room);
    pthread_mutex_unlock(&ahead->mutex);
    for (int i = 0; i < ahead->thread_count; i++)
        pthread_join(ahead->threads[i], NULL);
    for (size_t i = 0; i < SLOTS; i++)
        el_file_text_done(&ahead->slots[i].text);
    pthread_cond_destroy(&ahead->room);
    pthread_cond_destroy(&ahead->ready);
    pthread_mutex_destroy(&ahead->mutex);
    el_free(ahead->threads);
    el_free(ahead);
}
