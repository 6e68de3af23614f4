// SPDX-License-Identifier: Apache-2.0
// The executor: round robin, order, priorities, cancelling, errors with their place, and that done means
// done.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "common/late_backend.h"
#include "device/executor.h"
#include "device/pool.h"

static struct el_device late;
static struct el_device *device; // what the group's tests run on

static int open_late(void **state) {
    (void)state;
    device = &late;
    return late_open((uint64_t)1 << 30, 0, &late);
}

static int close_late(void **state) {
    (void)state;
    late_close(&late);
    struct late_counts left = late_counts();
    return left.streams || left.allocs || left.events;
}

static int open_host(void **state) {
    (void)state;
    return el_device_open("host", 0, NULL, &device);
}

static int close_host(void **state) {
    (void)state;
    el_device_close(device);
    return 0;
}

// A gate that holds whoever comes through until it is opened.
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int waiting;
};

static void gate_init(struct gate *gate) {
    *gate = (struct gate){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static int pass_gate(void *context, struct el_stream *stream) {
    struct gate *gate = context;
    (void)stream;
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return 0;
}

static void await_waiting(struct gate *gate, int count) {
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

// An operation that notes on which stream it ran, when in the order of all, and fails when told so.
struct note {
    int fails_with; // 0: does not
    struct el_stream *stream;
    int place; // 1: the first
    atomic_int done_calls;
    int done_status;
};

static atomic_int places;

static int take_note(void *context, struct el_stream *stream) {
    struct note *note = context;
    note->stream = stream;
    note->place = atomic_fetch_add(&places, 1) + 1;
    return note->fails_with ? el_fail(note->fails_with, "note refused on %s", stream->device->id) : 0;
}

static void note_done(void *context, int status) {
    struct note *note = context;
    note->done_status = status;
    if (status < 0) assert_true(strlen(el_error_detail()) > 0);
    atomic_fetch_add(&note->done_calls, 1);
}

static struct el_future *submit(struct el_executor *executor, el_operation_fn *run, void *context,
                                enum el_priority priority) {
    struct el_future *future = NULL;
    struct el_operation operation = {.run = run, .context = context, .priority = priority};
    if (run == take_note) operation.on_done = note_done;
    assert_int_equal(el_executor_submit(executor, &operation, &future), 0);
    return future;
}

static void finish(struct el_future *future, int status) {
    assert_int_equal(el_future_wait(future), status);
    el_future_close(future);
}

static void the_fifth_of_four_goes_to_the_first(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct note notes[9] = {0};
    struct el_future *futures[9];
    assert_int_equal(el_executor_open(device, 4, &executor), 0);
    assert_int_equal(el_executor_streams(executor), 4);
    for (int i = 0; i < 9; i++)
        futures[i] = submit(executor, take_note, &notes[i], EL_PRIORITY_BULK);
    for (int i = 0; i < 9; i++)
        finish(futures[i], 0);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(notes[i].done_calls, 1);
        for (int j = 0; j < i; j++)
            assert_int_equal(notes[i].stream == notes[j].stream, i % 4 == j % 4);
    }
    assert_true(notes[0].place < notes[4].place && notes[4].place < notes[8].place);
    el_executor_close(executor);
}

static void submit_never_waits(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct gate gate;
    struct note note = {0};
    int status = 1;
    gate_init(&gate);
    assert_int_equal(el_executor_open(device, 1, &executor), 0);
    struct el_future *first = submit(executor, pass_gate, &gate, EL_PRIORITY_BULK);
    struct el_future *second = submit(executor, take_note, &note, EL_PRIORITY_BULK);
    await_waiting(&gate, 1);
    assert_false(el_future_poll(first, NULL));
    assert_false(el_future_poll(second, &status));
    assert_int_equal(status, 1);
    struct el_executor_stats stats;
    el_executor_stats(executor, 0, &stats);
    assert_int_equal(stats.queued, 1);
    open_gate(&gate);
    finish(first, 0);
    assert_int_equal(el_future_wait(second), 0);
    assert_true(el_future_poll(second, &status));
    assert_int_equal(status, 0);
    el_future_close(second);
    el_executor_close(executor);
}

static void interactive_overtakes_bulk(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct gate gate;
    struct note notes[4] = {0};
    struct el_future *futures[4];
    gate_init(&gate);
    assert_int_equal(el_executor_open(device, 1, &executor), 0);
    struct el_future *first = submit(executor, pass_gate, &gate, EL_PRIORITY_BULK);
    await_waiting(&gate, 1);
    for (int i = 0; i < 4; i++)
        futures[i] =
            submit(executor, take_note, &notes[i], i < 2 ? EL_PRIORITY_BULK : EL_PRIORITY_INTERACTIVE);
    open_gate(&gate);
    finish(first, 0);
    for (int i = 0; i < 4; i++)
        finish(futures[i], 0);
    assert_true(notes[2].place < notes[3].place && notes[3].place < notes[0].place);
    assert_true(notes[0].place < notes[1].place);
    el_executor_close(executor);
}

static void what_is_queued_can_be_canceled(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct gate gate;
    struct note note = {0}, last = {0};
    gate_init(&gate);
    assert_int_equal(el_executor_open(device, 1, &executor), 0);
    struct el_future *running = submit(executor, pass_gate, &gate, EL_PRIORITY_BULK);
    struct el_future *queued = submit(executor, take_note, &note, EL_PRIORITY_BULK);
    struct el_future *behind = submit(executor, take_note, &last, EL_PRIORITY_BULK);
    await_waiting(&gate, 1);
    assert_false(el_future_cancel(running));
    assert_true(el_future_cancel(queued));
    assert_false(el_future_cancel(queued));
    assert_int_equal(note.done_calls, 1); // at once, not when its turn comes
    assert_int_equal(note.done_status, EL_ECANCELED);
    finish(queued, EL_ECANCELED);
    open_gate(&gate);
    finish(running, 0);
    finish(behind, 0);
    assert_null(note.stream);
    assert_int_equal(note.done_calls, 1);
    el_executor_close(executor);
}

static void closing_cancels_the_queue(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct note notes[50] = {0};
    struct el_future *futures[50];
    assert_int_equal(el_executor_open(device, 2, &executor), 0);
    for (int i = 0; i < 50; i++)
        futures[i] = submit(executor, take_note, &notes[i], EL_PRIORITY_BULK);
    el_executor_close(executor);
    for (int i = 0; i < 50; i++) {
        int status = el_future_wait(futures[i]); // outlives its executor
        assert_true(status == (notes[i].stream ? 0 : EL_ECANCELED));
        assert_int_equal(notes[i].done_calls, 1);
        el_future_close(futures[i]);
    }
}

static void errors_cross_threads_with_their_detail(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct note note = {.fails_with = EL_EFORMAT};
    struct el_executor_stats stats;
    assert_int_equal(el_executor_open(device, 1, &executor), 0);
    struct el_future *future = submit(executor, take_note, &note, EL_PRIORITY_BULK);
    assert_int_equal(el_future_wait(future), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "note refused on "));
    el_future_close(future);
    assert_int_equal(note.done_status, EL_EFORMAT);
    el_executor_stats(executor, 0, &stats);
    assert_int_equal(stats.done, 1);
    assert_int_equal(stats.failed, 1);
    el_executor_close(executor);
    assert_int_equal(el_executor_open(device, 0, &executor), EL_EINVAL);
}

static void a_batch_names_its_first_failure(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct note notes[8] = {0};
    struct el_operation operations[8];
    size_t failed = 99;
    for (int i = 0; i < 8; i++)
        operations[i] = (struct el_operation){.run = take_note, .context = &notes[i]};
    assert_int_equal(el_executor_open(device, 4, &executor), 0);
    assert_int_equal(el_executor_batch(executor, operations, 8, &failed), 0);
    assert_int_equal(el_executor_batch(executor, NULL, 0, NULL), 0); // empty gives empty
    assert_int_equal(failed, 99);
    const int before = atomic_load(&places);
    notes[2].fails_with = EL_EIO;
    notes[5].fails_with = EL_EFORMAT;
    assert_int_equal(el_executor_batch(executor, operations, 8, &failed), EL_EIO);
    assert_int_equal(failed, 2);
    char expected[100];
    snprintf(expected, sizeof expected, "operation 3 of 8: note refused on %s", device->id);
    assert_string_equal(el_error_detail(), expected);
    for (int i = 0; i < 8; i++)
        assert_true(notes[i].place > before); // the others went on
    el_executor_close(executor);
}

static void busy_time_counts_what_runs(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct gate gate;
    struct el_executor_stats stats, idle;
    gate_init(&gate);
    assert_int_equal(el_executor_open(device, 2, &executor), 0);
    struct el_future *future = submit(executor, pass_gate, &gate, EL_PRIORITY_BULK);
    await_waiting(&gate, 1);
    usleep(3000);
    el_executor_stats(executor, 0, &stats); // while it runs
    assert_true(stats.busy_ns >= 3000000);
    open_gate(&gate);
    finish(future, 0);
    el_executor_stats(executor, 0, &stats);
    el_executor_stats(executor, 1, &idle);
    assert_int_equal(stats.done, 1);
    assert_true(stats.busy_ns >= 3000000);
    assert_int_equal(idle.busy_ns, 0);
    el_executor_close(executor);
}

// ---- the late device alone ----

struct transfer {
    struct el_buffer buffer;
    int number, got;
    int fails_with;
};

static int there_and_back(void *context, struct el_stream *stream) {
    struct transfer *transfer = context;
    EL_TRY(el_buffer_open(stream->device, sizeof(int), &transfer->buffer));
    EL_TRY(el_stream_upload(stream, transfer->buffer.address, &transfer->number, sizeof(int)));
    EL_TRY(el_stream_download(stream, &transfer->got, transfer->buffer.address, sizeof(int)));
    return transfer->fails_with ? el_fail(transfer->fails_with, "after queueing") : 0;
}

static void done_means_the_work_is_done(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct transfer transfers[20] = {0};
    struct el_operation operations[20];
    for (int i = 0; i < 20; i++) {
        transfers[i] = (struct transfer){.number = 100 + i};
        operations[i] = (struct el_operation){.run = there_and_back, .context = &transfers[i]};
    }
    transfers[7].fails_with = EL_EINVAL; // its stream is synced all the same
    assert_int_equal(el_executor_open(device, 3, &executor), 0);
    assert_int_equal(el_executor_batch(executor, operations, 20, NULL), EL_EINVAL);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(transfers[i].got, 100 + i);
        el_buffer_close(&transfers[i].buffer);
    }
    el_executor_close(executor);
}

static void any_driver_call_may_fail(void **state) {
    (void)state;
    bool tripped = true;
    for (long nth = 1; tripped; nth++) {
        struct el_executor *executor = NULL;
        struct transfer transfers[6] = {0};
        struct el_operation operations[6];
        for (int i = 0; i < 6; i++) {
            transfers[i] = (struct transfer){.number = 100 + i};
            operations[i] = (struct el_operation){.run = there_and_back, .context = &transfers[i]};
        }
        el_pool_trim(device->pool);
        late_fail(nth, EL_EIO, false);
        int status = el_executor_open(device, 2, &executor);
        if (status == 0) status = el_executor_batch(executor, operations, 6, NULL);
        tripped = late_tripped();
        late_fail(0, 0, false);
        assert_int_equal(status, tripped ? EL_EIO : 0);
        if (tripped) assert_non_null(strstr(el_error_detail(), "failed on demand"));
        for (int i = 0; i < 6; i++)
            el_buffer_close(&transfers[i].buffer);
        el_executor_close(executor);
    }
}

static void a_lost_device_ends_every_operation(void **state) {
    (void)state;
    struct el_executor *executor = NULL;
    struct transfer transfers[6] = {0};
    struct el_operation operations[6];
    for (int i = 0; i < 6; i++)
        operations[i] = (struct el_operation){.run = there_and_back, .context = &transfers[i]};
    assert_int_equal(el_executor_open(device, 2, &executor), 0);
    late_fail(3, EL_ELOST, true);
    assert_int_equal(el_executor_batch(executor, operations, 6, NULL), EL_ELOST);
    late_fail(0, 0, false);
    assert_true(device->lost);
    assert_int_equal(el_executor_batch(executor, operations, 6, NULL), EL_ELOST); // for good
    assert_non_null(strstr(el_error_detail(), "late:0 is lost"));
    for (int i = 0; i < 6; i++)
        el_buffer_close(&transfers[i].buffer);
    el_executor_close(executor);
}

int main(void) {
    const struct CMUnitTest anywhere[] = {
        cmocka_unit_test(the_fifth_of_four_goes_to_the_first),
        cmocka_unit_test(submit_never_waits),
        cmocka_unit_test(interactive_overtakes_bulk),
        cmocka_unit_test(what_is_queued_can_be_canceled),
        cmocka_unit_test(closing_cancels_the_queue),
        cmocka_unit_test(errors_cross_threads_with_their_detail),
        cmocka_unit_test(a_batch_names_its_first_failure),
        cmocka_unit_test(busy_time_counts_what_runs),
    };
    const struct CMUnitTest late_alone[] = {
        cmocka_unit_test(done_means_the_work_is_done),
        cmocka_unit_test(any_driver_call_may_fail),
        cmocka_unit_test(a_lost_device_ends_every_operation),
    };
    return cmocka_run_group_tests_name("executor on host", anywhere, open_host, close_host) +
           cmocka_run_group_tests_name("executor, late", anywhere, open_late, close_late) +
           cmocka_run_group_tests_name("executor, late alone", late_alone, open_late, close_late);
}
