// SPDX-License-Identifier: Apache-2.0
// The executor: a lane is a stream, its thread and its queue; a future is shared by the lane and its caller.
// Whoever claims a future, the lane to run it or somebody to cancel it, completes it.
#include "device/executor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/trace.h"

enum { DETAIL_SIZE = 512 }; // bytes; a longer detail is cut

struct el_future {
    struct el_operation operation;
    struct el_future *next; // in a lane's queue
    atomic_int refs;
    atomic_bool is_claimed;

    pthread_mutex_t lock; // guards all below
    pthread_cond_t done;
    bool is_done;
    int status;
    char detail[DETAIL_SIZE];
};

struct queue {
    struct el_future *head, **tail;
};

struct lane {
    struct el_stream stream;
    int index;
    int track; // of the device's trace; 0: no span yet
    pthread_t thread;

    atomic_bool is_closing;
    pthread_mutex_t lock; // guards all below
    pthread_cond_t changed;
    struct queue queues[EL_PRIORITIES];
    uint64_t began_ns; // when the operation that runs began; 0: none runs
    struct el_executor_stats stats;
};

struct el_executor {
    int count, started; // lanes; those whose threads run
    atomic_uint next;   // the lane of the next operation, modulo count
    struct lane lanes[];
};

// ---- futures ----

static int new_future(const struct el_operation *operation, struct el_future **ret_future) {
    struct el_future *future = NULL;
    EL_TRY(el_zalloc(1, sizeof *future, &future));
    future->operation = *operation;
    future->refs = 2; // the lane's and the caller's
    pthread_mutex_init(&future->lock, NULL);
    pthread_cond_init(&future->done, NULL);
    *ret_future = future;
    return 0;
}

void el_future_close(struct el_future *future) {
    if (!future || atomic_fetch_sub(&future->refs, 1) > 1) return;
    pthread_cond_destroy(&future->done);
    pthread_mutex_destroy(&future->lock);
    el_free(future);
}

static bool claim(struct el_future *future) {
    return !atomic_exchange(&future->is_claimed, true);
}

// Ends what the caller has claimed; a failure's detail stands in the caller's slot.
static void complete(struct el_future *future, int status) {
    const struct el_operation *operation = &future->operation;
    if (status < 0) snprintf(future->detail, sizeof future->detail, "%s", el_error_detail());
    if (operation->on_done) operation->on_done(operation->context, status);
    pthread_mutex_lock(&future->lock);
    future->status = status;
    future->is_done = true;
    pthread_cond_broadcast(&future->done);
    pthread_mutex_unlock(&future->lock);
}

bool el_future_cancel(struct el_future *future) {
    if (!claim(future)) return false;
    complete(future, el_fail(EL_ECANCELED, "canceled before it began"));
    return true;
}

bool el_future_poll(struct el_future *future, int *ret_status) {
    pthread_mutex_lock(&future->lock);
    const bool is_done = future->is_done;
    pthread_mutex_unlock(&future->lock);
    if (!is_done) return false;
    if (future->status < 0) el_fail_copy(future->status, future->detail);
    if (ret_status) *ret_status = future->status;
    return true;
}

int el_future_wait(struct el_future *future) {
    int status = 0;
    pthread_mutex_lock(&future->lock);
    while (!future->is_done)
        pthread_cond_wait(&future->done, &future->lock);
    pthread_mutex_unlock(&future->lock);
    el_future_poll(future, &status);
    return status;
}

// ---- lanes ----

static void put(struct queue *queue, struct el_future *future) {
    *queue->tail = future;
    queue->tail = &future->next;
}

// The oldest of the highest priority, or NULL. Locked.
static struct el_future *pop(struct lane *lane) {
    for (int priority = 0; priority < EL_PRIORITIES; priority++) {
        struct queue *queue = &lane->queues[priority];
        struct el_future *future = queue->head;
        if (!future) continue;
        queue->head = future->next;
        if (!queue->head) queue->tail = &queue->head;
        lane->stats.queued--;
        return future;
    }
    return NULL;
}

static int run(const struct el_operation *operation, struct el_stream *stream) {
    int status = operation->run(operation->context, stream);
    return status < 0 ? el_stream_settle(stream, status) : el_stream_sync(stream);
}

// The span of an operation, from its first call to the end of its work.
static void trace_operation(struct lane *lane, const char *name, uint64_t began_ns, uint64_t ended_ns) {
    const struct el_device *device = lane->stream.device;
    char track[64];
    if (!device->trace) return;
    snprintf(track, sizeof track, "%s stream %d operations", device->id, lane->stream.number);
    if (lane->track == 0) lane->track = el_trace_track(device->trace, track);
    el_trace_span(device->trace, lane->track, name ? name : "operation", began_ns, ended_ns, 0);
}

static void execute(struct lane *lane, struct el_future *future) {
    const uint64_t began = el_now_ns();
    pthread_mutex_lock(&lane->lock);
    lane->began_ns = began;
    pthread_mutex_unlock(&lane->lock);
    int status = run(&future->operation, &lane->stream);
    const uint64_t ended = el_now_ns();
    pthread_mutex_lock(&lane->lock);
    lane->began_ns = 0;
    lane->stats.busy_ns += ended - began;
    lane->stats.done++;
    lane->stats.failed += status < 0;
    pthread_mutex_unlock(&lane->lock);
    complete(future, status); // first: tracing may change the detail
    trace_operation(lane, future->operation.name, began, ended);
}

// Waits for the next operation; NULL when the lane closes and has none left.
static struct el_future *next(struct lane *lane) {
    struct el_future *future;
    pthread_mutex_lock(&lane->lock);
    while (!(future = pop(lane)) && !lane->is_closing)
        pthread_cond_wait(&lane->changed, &lane->lock);
    pthread_mutex_unlock(&lane->lock);
    return future;
}

static void *lane_main(void *argument) {
    struct lane *lane = argument;
    struct el_future *future;
    char name[16];
    snprintf(name, sizeof name, "el-stream-%d", lane->index);
    el_thread_name(name);
    while ((future = next(lane))) {
        if (lane->is_closing)
            el_future_cancel(future);
        else if (claim(future))
            execute(lane, future);
        el_future_close(future);
    }
    return NULL;
}

static int open_lane(struct lane *lane, struct el_device *device, int index) {
    EL_TRY(el_stream_open(device, &lane->stream));
    lane->index = index;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->changed, NULL);
    for (int priority = 0; priority < EL_PRIORITIES; priority++)
        lane->queues[priority].tail = &lane->queues[priority].head;
    int error = pthread_create(&lane->thread, NULL, lane_main, lane);
    if (error == 0) return 0;
    el_stream_close(&lane->stream);
    return el_fail(EL_ENOMEM, "cannot start the thread of stream %d: %s", index, strerror(error));
}

static void close_lane(struct lane *lane) {
    pthread_join(lane->thread, NULL);
    el_stream_close(&lane->stream);
    pthread_cond_destroy(&lane->changed);
    pthread_mutex_destroy(&lane->lock);
}

// ---- executors ----

int el_executor_open(struct el_device *device, int streams, struct el_executor **ret_executor) {
    struct el_executor *executor = NULL;
    if (streams < 1) return el_fail(EL_EINVAL, "an executor needs at least 1 stream, not %d", streams);
    EL_TRY(el_zalloc(1, sizeof *executor + (size_t)streams * sizeof executor->lanes[0], &executor));
    executor->count = streams;
    for (; executor->started < streams; executor->started++) {
        int status = open_lane(&executor->lanes[executor->started], device, executor->started);
        if (status < 0) {
            el_executor_close(executor);
            return status;
        }
    }
    *ret_executor = executor;
    return 0;
}

void el_executor_close(struct el_executor *executor) {
    if (!executor) return;
    for (int i = 0; i < executor->started; i++) {
        struct lane *lane = &executor->lanes[i];
        pthread_mutex_lock(&lane->lock);
        lane->is_closing = true;
        pthread_cond_signal(&lane->changed);
        pthread_mutex_unlock(&lane->lock);
    }
    for (int i = 0; i < executor->started; i++)
        close_lane(&executor->lanes[i]);
    el_free(executor);
}

int el_executor_submit(struct el_executor *executor, const struct el_operation *operation,
                       struct el_future **ret_future) {
    struct el_future *future = NULL;
    EL_TRY(new_future(operation, &future));
    struct lane *lane = &executor->lanes[atomic_fetch_add(&executor->next, 1) % (unsigned)executor->count];
    pthread_mutex_lock(&lane->lock);
    put(&lane->queues[operation->priority], future);
    lane->stats.queued++;
    pthread_cond_signal(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
    if (ret_future)
        *ret_future = future;
    else
        el_future_close(future);
    return 0;
}

int el_executor_batch(struct el_executor *executor, const struct el_operation *operations, size_t count,
                      size_t *ret_failed_index) {
    el_auto_free struct el_future **futures = NULL;
    EL_TRY(el_alloc(count, sizeof(struct el_future *), &futures));
    size_t submitted = 0, failed = count;
    int status = 0;
    while (submitted < count && status == 0) {
        status = el_executor_submit(executor, &operations[submitted], &futures[submitted]);
        if (status == 0) submitted++;
    }
    if (status < 0) failed = submitted;
    char detail[DETAIL_SIZE];
    snprintf(detail, sizeof detail, "%s", el_error_detail());
    for (size_t i = 0; i < submitted; i++) {
        int one = el_future_wait(futures[i]);
        if (one < 0 && i < failed) {
            status = one, failed = i;
            snprintf(detail, sizeof detail, "%s", el_error_detail());
        }
        el_future_close(futures[i]);
    }
    if (status == 0) return 0;
    if (ret_failed_index) *ret_failed_index = failed;
    return el_fail(status, "operation %zu of %zu: %s", failed + 1, count, detail);
}

int el_executor_streams(const struct el_executor *executor) {
    return executor->count;
}

void el_executor_stats(struct el_executor *executor, int stream, struct el_executor_stats *ret_stats) {
    struct lane *lane = &executor->lanes[stream];
    pthread_mutex_lock(&lane->lock);
    *ret_stats = lane->stats;
    if (lane->began_ns) ret_stats->busy_ns += el_now_ns() - lane->began_ns;
    pthread_mutex_unlock(&lane->lock);
}
