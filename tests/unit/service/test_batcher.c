// SPDX-License-Identifier: Apache-2.0
// The batcher with a computation that only adds ids: budgets, halving when memory is short, cancellation,
// many producers at once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/batcher.h"

enum { BUDGET = 32, MANY = 2000 };

// What the computation is told to do, and what it saw.
struct machine {
    int largest; // sequences that fit its memory
    bool lost;   // every batch fails
    atomic_int runs, failures, over_budget;
};

static int add_ids(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                   float *vectors) {
    (void)worker;
    struct machine *machine = context;
    machine->runs++;
    if (batch->tokens > BUDGET && batch->seqs.count > 1) machine->over_budget++;
    if (machine->lost) return el_fail(EL_ELOST, "the machine is gone");
    if (batch->seqs.count > machine->largest) {
        machine->failures++;
        return el_fail(EL_ENOMEM, "%d sequences do not fit", batch->seqs.count);
    }
    for (int i = 0; i < batch->seqs.count; i++) {
        vectors[i] = 0;
        for (int32_t row = batch->seqs.start[i]; row < batch->seqs.start[i + 1]; row++) {
            vectors[i] += (float)batch->ids[row];
            if (batch->positions[row] != row - batch->seqs.start[i]) vectors[i] = -1;
        }
    }
    return 0;
}

// A sequence of `count` ids i, i + 1, ..., and what became of it.
struct item {
    struct el_sequence sequence;
    int32_t ids[BUDGET + 8];
    float vector;
    atomic_int calls;
    int status;
};

static void item_done(struct el_sequence *sequence, int status) {
    struct item *item = sequence->owner;
    item->status = status;
    atomic_fetch_add(&item->calls, 1);
}

static float item_sum(const struct item *item) {
    float sum = 0;
    for (int32_t i = 0; i < item->sequence.count; i++)
        sum += (float)item->ids[i];
    return sum;
}

// Items of 1 to 12 ids, chained.
static int64_t make_items(struct item *items, size_t count, const bool *dropped) {
    int64_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct item){.vector = -2};
        for (int j = 0; j < BUDGET + 8; j++)
            items[i].ids[j] = (int32_t)i + j;
        items[i].sequence = (struct el_sequence){
            .ids = items[i].ids,
            .count = (int32_t)(1 + i * 7 % 12),
            .vector = &items[i].vector,
            .dropped = dropped,
            .owner = &items[i],
            .next = i + 1 < count ? &items[i + 1].sequence : NULL,
        };
        tokens += items[i].sequence.count;
    }
    return tokens;
}

static struct el_batcher *open_batcher(struct machine *machine, int threads, int64_t wait_us) {
    struct el_batcher *batcher = NULL;
    const struct el_batcher_options options = {.workers = threads,
                                               .threads = threads,
                                               .batch_tokens = BUDGET,
                                               .wait_us = wait_us,
                                               .dim = 1,
                                               .run = add_ids,
                                               .context = machine,
                                               .done = item_done};
    assert_int_equal(el_batcher_open(&options, &batcher), 0);
    return batcher;
}

static struct item items[MANY];

static void check_items(size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].calls, 1);
        assert_int_equal(items[i].status, 0);
        assert_true(items[i].vector == item_sum(&items[i]));
    }
}

static void batches_keep_the_budget(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct machine machine = {.largest = MANY};
        struct el_batcher *batcher = open_batcher(&machine, threads, 0);
        int64_t tokens = make_items(items, MANY, NULL);
        assert_int_equal(el_batcher_put(batcher, &items[0].sequence, MANY, tokens), 0);
        el_batcher_drain(batcher);
        check_items(MANY);
        assert_int_equal(machine.over_budget, 0);
        assert_true(machine.runs >= tokens / BUDGET);
        struct el_batcher_stats stats;
        el_batcher_stats(batcher, &stats);
        assert_int_equal(stats.queued_tokens, 0);
        assert_int_equal(stats.running_tokens, 0);
        assert_int_equal(stats.batches, machine.runs);
        assert_true(stats.ns_per_token > 0);
        el_batcher_close(batcher);
    }
}

// A batch of so many sequences is full, however few tokens they have; who waits for company goes at once.
static void batches_keep_the_limit_of_sequences(void **state) {
    (void)state;
    struct machine machine = {.largest = 3};
    struct el_batcher *batcher = NULL;
    const struct el_batcher_options options = {.workers = 2,
                                               .threads = 2,
                                               .batch_tokens = INT32_MAX,
                                               .batch_sequences = 3,
                                               .wait_us = 60 * 1000000,
                                               .dim = 1,
                                               .run = add_ids,
                                               .context = &machine,
                                               .done = item_done};
    assert_int_equal(el_batcher_open(&options, &batcher), 0);
    const int64_t tokens = make_items(items, 300, NULL);
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 300, tokens), 0);
    el_batcher_drain(batcher);
    check_items(300);
    assert_int_equal(machine.failures, 0);
    assert_int_equal(machine.runs, 100);
    el_batcher_close(batcher);
}

static void short_memory_halves(void **state) {
    (void)state;
    struct machine machine = {.largest = 2};
    struct el_batcher *batcher = open_batcher(&machine, 2, 0);
    int64_t tokens = make_items(items, MANY, NULL);
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, MANY, tokens), 0);
    el_batcher_drain(batcher);
    check_items(MANY);
    assert_true(machine.failures > 0);
    struct el_batcher_stats stats;
    el_batcher_stats(batcher, &stats);
    assert_int_equal(stats.halved, machine.failures);
    el_batcher_close(batcher);
}

static void what_can_not_be_computed_fails_alone(void **state) {
    (void)state;
    struct machine machine = {.largest = 0};
    struct el_batcher *batcher = open_batcher(&machine, 1, 0);
    int64_t tokens = make_items(items, 10, NULL);
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 10, tokens), 0);
    el_batcher_drain(batcher);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(items[i].calls, 1);
        assert_int_equal(items[i].status, EL_ENOMEM);
    }
    machine.lost = true;
    tokens = make_items(items, 10, NULL);
    int runs = machine.runs;
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 10, tokens), 0);
    el_batcher_drain(batcher);
    for (int i = 0; i < 10; i++)
        assert_int_equal(items[i].status, EL_ELOST);
    assert_true(machine.runs - runs <= 4); // a lost device is not tried again in halves
    el_batcher_close(batcher);
}

static void a_longer_sequence_goes_alone(void **state) {
    (void)state;
    struct machine machine = {.largest = MANY};
    struct el_batcher *batcher = open_batcher(&machine, 1, 0);
    make_items(items, 3, NULL);
    items[1].sequence.count = BUDGET + 8;
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 3, 1 + BUDGET + 8 + 3), 0);
    el_batcher_drain(batcher);
    check_items(3);
    assert_int_equal(machine.over_budget, 0);
    el_batcher_close(batcher);
}

static void dropped_sequences_are_not_computed(void **state) {
    (void)state;
    struct machine machine = {.largest = MANY};
    static const bool dropped = true;
    struct el_batcher *batcher = open_batcher(&machine, 2, 0);
    int64_t tokens = make_items(items, 50, &dropped);
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 50, tokens), 0);
    el_batcher_drain(batcher);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(items[i].calls, 1);
        assert_int_equal(items[i].status, EL_ECANCELED);
    }
    assert_int_equal(machine.runs, 0);
    el_batcher_close(batcher);
}

static void close_finishes_what_is_queued(void **state) {
    (void)state;
    struct machine machine = {.largest = MANY};
    struct el_batcher *batcher = open_batcher(&machine, 1, 1000000);
    int64_t tokens = make_items(items, 5, NULL);
    assert_int_equal(el_batcher_put(batcher, &items[0].sequence, 5, tokens), 0);
    el_batcher_close(batcher);
    check_items(5);
}

static void waiting_gathers_company(void **state) {
    (void)state;
    struct machine machine = {.largest = MANY};
    struct el_batcher *batcher = open_batcher(&machine, 1, 300000);
    make_items(items, 4, NULL);
    for (int i = 0; i < 4; i++) {
        items[i].sequence.next = NULL;
        assert_int_equal(el_batcher_put(batcher, &items[i].sequence, 1, items[i].sequence.count), 0);
    }
    el_batcher_drain(batcher);
    check_items(4);
    assert_int_equal(machine.runs, 1);
    el_batcher_close(batcher);
}

// ---- many producers ----

struct producer {
    struct el_batcher *batcher;
    struct item *items;
    size_t count;
};

static void *produce(void *argument) {
    struct producer *producer = argument;
    for (size_t i = 0; i < producer->count; i++) {
        struct el_sequence *sequence = &producer->items[i].sequence;
        sequence->next = NULL;
        if (el_batcher_put(producer->batcher, sequence, 1, sequence->count) < 0) return producer;
    }
    return NULL;
}

static void producers_do_not_lose_each_other(void **state) {
    (void)state;
    enum { PRODUCERS = 4 };
    struct machine machine = {.largest = 3};
    struct el_batcher *batcher = open_batcher(&machine, 3, 10);
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    make_items(items, MANY, NULL);
    for (size_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){
            .batcher = batcher, .items = items + i * MANY / PRODUCERS, .count = MANY / PRODUCERS};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    el_batcher_drain(batcher);
    check_items(MANY);
    el_batcher_close(batcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_keep_the_budget),
        cmocka_unit_test(batches_keep_the_limit_of_sequences),
        cmocka_unit_test(short_memory_halves),
        cmocka_unit_test(what_can_not_be_computed_fails_alone),
        cmocka_unit_test(a_longer_sequence_goes_alone),
        cmocka_unit_test(dropped_sequences_are_not_computed),
        cmocka_unit_test(close_finishes_what_is_queued),
        cmocka_unit_test(waiting_gathers_company),
        cmocka_unit_test(producers_do_not_lose_each_other),
    };
    return cmocka_run_group_tests_name("batcher", tests, NULL, NULL);
}
