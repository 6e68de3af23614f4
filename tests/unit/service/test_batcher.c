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
#include <stdio.h>
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

// One group of `threads` workers; options has the rest.
static struct el_batcher *open_with(struct machine *machine, int threads, int64_t tokens,
                                    struct el_batcher_options options) {
    const struct el_batch_group group = {.workers = threads, .threads = threads};
    struct el_batcher *batcher = NULL;
    options.groups = &group;
    options.group_count = 1;
    options.dim = 1;
    options.run = add_ids;
    options.context = machine;
    options.done = item_done;
    assert_int_equal(el_batcher_open(&options, &batcher), 0);
    el_batcher_resize(batcher, 0, threads, tokens);
    return batcher;
}

static struct el_batcher *open_batcher(struct machine *machine, int threads, int64_t wait_us) {
    return open_with(machine, threads, BUDGET, (struct el_batcher_options){.wait_us = wait_us});
}

static int put(struct el_batcher *batcher, struct item *item, size_t count, int64_t tokens) {
    return el_batcher_put(batcher, EL_LANE_INTERACTIVE, &item->sequence, count, tokens);
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
        assert_int_equal(put(batcher, &items[0], MANY, tokens), 0);
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
    struct el_batcher *batcher = open_with(
        &machine, 2, INT32_MAX, (struct el_batcher_options){.batch_sequences = 3, .wait_us = 60 * 1000000});
    const int64_t tokens = make_items(items, 300, NULL);
    assert_int_equal(put(batcher, &items[0], 300, tokens), 0);
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
    assert_int_equal(put(batcher, &items[0], MANY, tokens), 0);
    el_batcher_drain(batcher);
    check_items(MANY);
    assert_true(machine.failures > 0);
    struct el_batcher_stats stats;
    el_batcher_stats(batcher, &stats);
    assert_int_equal(el_batcher_ladder(batcher)->halved, machine.failures);
    el_batcher_close(batcher);
}

static void what_can_not_be_computed_fails_alone(void **state) {
    (void)state;
    struct machine machine = {.largest = 0};
    struct el_batcher *batcher = open_batcher(&machine, 1, 0);
    int64_t tokens = make_items(items, 10, NULL);
    assert_int_equal(put(batcher, &items[0], 10, tokens), 0);
    el_batcher_drain(batcher);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(items[i].calls, 1);
        assert_int_equal(items[i].status, EL_ENOMEM);
    }
    machine.lost = true;
    tokens = make_items(items, 10, NULL);
    int runs = machine.runs;
    assert_int_equal(put(batcher, &items[0], 10, tokens), 0);
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
    assert_int_equal(put(batcher, &items[0], 3, 1 + BUDGET + 8 + 3), 0);
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
    assert_int_equal(put(batcher, &items[0], 50, tokens), 0);
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
    assert_int_equal(put(batcher, &items[0], 5, tokens), 0);
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
        assert_int_equal(put(batcher, &items[i], 1, items[i].sequence.count), 0);
    }
    el_batcher_drain(batcher);
    check_items(4);
    assert_int_equal(machine.runs, 1);
    el_batcher_close(batcher);
}

// ---- lanes ----

// Notes in which order sequences are computed; holds the first batch until it is told to go on.
struct ordered {
    atomic_bool go;
    atomic_int batches;
    int order[MANY], count; // the first id of each sequence
};

static int run_ordered(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                       float *vectors) {
    struct ordered *ordered = context;
    (void)worker;
    ordered->batches++;
    while (!ordered->go) {
    }
    for (int i = 0; i < batch->seqs.count; i++) {
        ordered->order[ordered->count++] = batch->ids[batch->seqs.start[i]];
        vectors[i] = 0;
    }
    return 0;
}

static struct el_batcher *open_ordered(struct ordered *ordered, int64_t batch_tokens) {
    static const struct el_batch_group group = {.workers = 1};
    const struct el_batcher_options options = {.groups = &group,
                                               .group_count = 1,
                                               .dim = 1,
                                               .run = run_ordered,
                                               .context = ordered,
                                               .done = item_done};
    struct el_batcher *batcher = NULL;
    assert_int_equal(el_batcher_open(&options, &batcher), 0);
    el_batcher_resize(batcher, 0, 1, batch_tokens);
    return batcher;
}

// Puts items first .. first + count - 1, of one token each, into a lane.
static void put_in_lane(struct el_batcher *batcher, enum el_lane lane, int first, int count) {
    for (int i = first; i < first + count; i++) {
        items[i].sequence.count = 1;
        items[i].sequence.next = i + 1 < first + count ? &items[i + 1].sequence : NULL;
    }
    assert_int_equal(el_batcher_put(batcher, lane, &items[first].sequence, (size_t)count, count), 0);
}

static void who_waits_goes_before_bulk_and_bulk_gets_on(void **state) {
    (void)state;
    struct ordered ordered = {0};
    struct el_batcher *batcher = open_ordered(&ordered, 1);
    make_items(items, MANY, NULL);
    put_in_lane(batcher, EL_LANE_BULK, 0, 1);
    while (ordered.batches == 0) { // until the first runs, and holds the worker
    }
    put_in_lane(batcher, EL_LANE_BULK, 1, 100);
    put_in_lane(batcher, EL_LANE_INTERACTIVE, 1000, 200);
    struct el_batcher_stats stats;
    el_batcher_stats(batcher, &stats);
    assert_int_equal(stats.lane_tokens[EL_LANE_BULK], 100);
    assert_int_equal(stats.lane_tokens[EL_LANE_INTERACTIVE], 200);
    ordered.go = true;
    el_batcher_drain(batcher);
    assert_int_equal(ordered.count, 301);
    int bulk = 0, before_the_last = 0; // bulk that was done while others waited
    for (int i = 1; i < 301; i++) {
        bulk += ordered.order[i] < 1000;
        if (ordered.order[i] == 1199) before_the_last = bulk;
    }
    assert_int_equal(before_the_last, 200 / (EL_BULK_TURN - 1)); // every eighth batch
    for (int i = 1, next = 1, next_bulk = 1; i < 301; i++)       // each lane in its order
        assert_int_equal(ordered.order[i], ordered.order[i] < 1000 ? next_bulk++ : 999 + next++);
    el_batcher_close(batcher);
}

static void bulk_fills_what_others_leave(void **state) {
    (void)state;
    struct ordered ordered = {0};
    struct el_batcher *batcher = open_ordered(&ordered, 8);
    make_items(items, MANY, NULL);
    put_in_lane(batcher, EL_LANE_BULK, 0, 1);
    while (ordered.batches == 0) {
    }
    put_in_lane(batcher, EL_LANE_BULK, 1, 5);
    put_in_lane(batcher, EL_LANE_INTERACTIVE, 1000, 3);
    ordered.go = true;
    el_batcher_drain(batcher);
    assert_int_equal(ordered.batches, 2);
    assert_int_equal(ordered.order[1], 1000);
    el_batcher_close(batcher);
}

// ---- the ladder ----

// A machine whose memory other things hold, until they give it back.
struct crowded {
    struct machine machine; // first: add_ids takes it
    int trims, cache_drops, notices;
    int fits_after_trim, fits_after_caches, fits_elsewhere; // sequences
    int moved;
    char notice[512];
};

static int run_crowded(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                       float *vectors) {
    struct crowded *crowded = context;
    if (!worker->elsewhere) return add_ids(&crowded->machine, worker, batch, vectors);
    struct machine other = {.largest = crowded->fits_elsewhere};
    crowded->moved++;
    return add_ids(&other, worker, batch, vectors);
}

static void relieve_crowded(void *context, int group, enum el_relief relief) {
    struct crowded *crowded = context;
    assert_int_equal(group, 0);
    if (relief == EL_RELIEF_TRIM) {
        crowded->trims++;
        crowded->machine.largest = EL_MAX(crowded->machine.largest, crowded->fits_after_trim);
    } else {
        crowded->cache_drops++;
        crowded->machine.largest = EL_MAX(crowded->machine.largest, crowded->fits_after_caches);
    }
}

static void note_crowded(void *context, int group, const char *text) {
    struct crowded *crowded = context;
    assert_int_equal(group, 0);
    crowded->notices++;
    snprintf(crowded->notice, sizeof crowded->notice, "%s", text);
}

// 16 sequences of 2 tokens are a batch.
static struct el_batcher *open_crowded(struct crowded *crowded) {
    static const struct el_batch_group group = {.workers = 1};
    const struct el_batcher_options options = {.groups = &group,
                                               .group_count = 1,
                                               .dim = 1,
                                               .run = run_crowded,
                                               .relieve = relieve_crowded,
                                               .short_of_memory = note_crowded,
                                               .has_elsewhere = true,
                                               .context = crowded,
                                               .done = item_done};
    struct el_batcher *batcher = NULL;
    assert_int_equal(el_batcher_open(&options, &batcher), 0);
    el_batcher_resize(batcher, 0, 1, BUDGET);
    return batcher;
}

static void put_pairs(struct el_batcher *batcher, int count) {
    make_items(items, (size_t)count, NULL);
    for (int i = 0; i < count; i++)
        items[i].sequence.count = 2;
    assert_int_equal(put(batcher, &items[0], (size_t)count, 2 * count), 0);
    el_batcher_drain(batcher);
}

static void the_ladder_is_climbed_step_by_step(void **state) {
    (void)state;
    static const struct {
        struct crowded machine;
        int halved, trims, cache_drops, moved;
    } cases[] = {
        {{.machine = {.largest = 16}}, 0, 0, 0, 0},
        {{.machine = {.largest = 8}}, 1, 0, 0, 0},
        {{.machine = {.largest = 2}}, 7, 0, 0, 0},
        {{.machine = {.largest = 1}, .fits_after_trim = 2}, 7, 1, 0, 0},
        {{.machine = {.largest = 1}, .fits_after_caches = 2}, 7, 1, 1, 0},
        {{.machine = {.largest = 1}, .fits_elsewhere = 16}, 7, 8, 8, 8},
        {{.machine = {.largest = 1}, .fits_elsewhere = 0}, 15, 8, 8, 8}, // then one by one
        {{.machine = {.largest = 0}, .fits_elsewhere = 1}, 15, 24, 24, 24},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct crowded crowded = cases[i].machine;
        struct el_batcher *batcher = open_crowded(&crowded);
        put_pairs(batcher, 16);
        check_items(16);
        const struct el_ladder_counts *counts = el_batcher_ladder(batcher);
        assert_int_equal(counts->halved, cases[i].halved);
        assert_int_equal(counts->trimmed, cases[i].trims);
        assert_int_equal(crowded.trims, cases[i].trims);
        assert_int_equal(counts->caches_dropped, cases[i].cache_drops);
        assert_int_equal(crowded.cache_drops, cases[i].cache_drops);
        assert_int_equal(counts->moved, cases[i].moved);
        assert_int_equal(crowded.moved, cases[i].moved);
        assert_int_equal(crowded.notices, cases[i].halved > 0);
        assert_int_equal(counts->out_of_memory > 0, cases[i].halved > 0);
        el_batcher_close(batcher);
    }
}

static int64_t largest_batch(struct el_batcher *batcher) {
    struct el_batch_group_stats stats;
    el_batcher_group_stats(batcher, 0, &stats);
    return stats.limits.tokens;
}

static void batches_grow_again(void **state) {
    (void)state;
    struct crowded crowded = {.machine = {.largest = 4}};
    struct el_batcher *batcher = open_crowded(&crowded);
    put_pairs(batcher, 16);
    assert_int_equal(largest_batch(batcher), BUDGET / 4);
    assert_non_null(strstr(crowded.notice, "16 texts with 32 tokens (16 sequences do not fit)"));
    assert_non_null(strstr(crowded.notice, "8 tokens at most"));
    crowded.machine.largest = MANY; // memory is free again
    put_pairs(batcher, 4 * 63);
    assert_int_equal(largest_batch(batcher), BUDGET / 4);
    put_pairs(batcher, 4);
    assert_int_equal(largest_batch(batcher), BUDGET / 2);
    crowded.machine.largest = 7; // a second time, but the same shortage: nothing is told
    put_pairs(batcher, 8);
    assert_int_equal(crowded.notices, 1);
    assert_int_equal(largest_batch(batcher), BUDGET / 4);
    crowded.machine.largest = MANY;
    put_pairs(batcher, 4 * 64 + 8 * 64);
    assert_int_equal(largest_batch(batcher), BUDGET);
    crowded.machine.largest = 8;
    put_pairs(batcher, 16);
    assert_int_equal(crowded.notices, 2);
    check_items(16);
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
        if (put(producer->batcher, &producer->items[i], 1, sequence->count) < 0) return producer;
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

// ---- several devices ----

enum { DEVICES = 4, SPARE = DEVICES };

// Devices that are lost at their N-th batch, and what the batcher does then.
struct fleet {
    struct machine machine; // first: add_ids takes it
    struct el_batcher *batcher;
    atomic_int lives[DEVICES + 1];   // batches until it is lost
    atomic_int reopens[DEVICES + 1]; // how often it can be opened again
    atomic_int recovered[DEVICES + 1];
    atomic_bool has_spare;
    atomic_int running[DEVICES + 1];
    atomic_bool ran_while_recovering;
};

static int run_on_fleet(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                        float *vectors) {
    struct fleet *fleet = context;
    fleet->running[worker->group]++;
    int status = --fleet->lives[worker->group] < 0 ? el_fail(EL_ELOST, "device %d is gone", worker->group)
                                                   : add_ids(&fleet->machine, worker, batch, vectors);
    fleet->running[worker->group]--;
    return status;
}

static void recover_fleet(void *context, int group) {
    struct fleet *fleet = context;
    if (fleet->running[group] > 0) fleet->ran_while_recovering = true;
    fleet->recovered[group]++;
    const bool again = fleet->reopens[group]-- > 0;
    if (again) fleet->lives[group] = 20;
    el_batcher_resize(fleet->batcher, group, again ? 2 : 0, BUDGET);
    if (!again && fleet->has_spare) el_batcher_resize(fleet->batcher, SPARE, 2, BUDGET);
}

static void open_fleet(struct fleet *fleet) {
    static const struct el_batch_group groups[DEVICES + 1] = {
        {.workers = 2}, {.workers = 2}, {.workers = 2}, {.workers = 2}, {.workers = 2, .threads = 2}};
    const struct el_batcher_options options = {.groups = groups,
                                               .group_count = DEVICES + 1,
                                               .dim = 1,
                                               .run = run_on_fleet,
                                               .recover = recover_fleet,
                                               .context = fleet,
                                               .done = item_done};
    fleet->machine.largest = MANY;
    fleet->lives[SPARE] = INT32_MAX;
    assert_int_equal(el_batcher_open(&options, &fleet->batcher), 0);
    for (int i = 0; i < DEVICES; i++)
        el_batcher_resize(fleet->batcher, i, 2, BUDGET);
}

static void put_many(struct fleet *fleet) {
    const int64_t tokens = make_items(items, MANY, NULL);
    assert_int_equal(put(fleet->batcher, &items[0], MANY, tokens), 0);
    el_batcher_drain(fleet->batcher);
}

static uint64_t tokens_of(struct fleet *fleet, int group) {
    struct el_batch_group_stats stats;
    el_batcher_group_stats(fleet->batcher, group, &stats);
    return stats.tokens;
}

static void all_devices_take_their_share(void **state) {
    (void)state;
    struct fleet fleet = {.lives = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}};
    open_fleet(&fleet);
    put_many(&fleet);
    check_items(MANY);
    uint64_t sum = 0;
    for (int i = 0; i < MANY; i++)
        sum -= (uint64_t)items[i].sequence.count;
    for (int i = 0; i <= DEVICES; i++)
        sum += tokens_of(&fleet, i);
    assert_int_equal(sum, 0);
    assert_int_equal(tokens_of(&fleet, SPARE), 0);
    el_batcher_close(fleet.batcher);
}

// A little work is cut so that no device stands idle beside a busy one.
static void a_small_batch_is_shared(void **state) {
    (void)state;
    struct fleet fleet = {.lives = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}};
    open_fleet(&fleet);
    const int64_t tokens = make_items(items, 4, NULL); // 1, 8, 3 and 10 tokens: less than a batch
    assert_true(tokens < BUDGET);
    assert_int_equal(put(fleet.batcher, &items[0], 4, tokens), 0);
    el_batcher_drain(fleet.batcher);
    check_items(4);
    assert_true(fleet.machine.runs >= 3);
    el_batcher_close(fleet.batcher);
}

static void a_lost_device_loses_no_sequence(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct fleet fleet = {.lives = {INT32_MAX, round, 3 * round, 0}, .reopens = {0, 0, 1, 2}};
        open_fleet(&fleet);
        put_many(&fleet);
        check_items(MANY);
        assert_false(fleet.ran_while_recovering);
        assert_int_equal(fleet.recovered[0], 0);
        el_batcher_close(fleet.batcher);
    }
}

static void the_spare_takes_over(void **state) {
    (void)state;
    struct fleet fleet = {.lives = {5, 9, 0, 13}, .has_spare = true};
    open_fleet(&fleet);
    put_many(&fleet);
    check_items(MANY);
    struct el_batcher_stats stats;
    el_batcher_stats(fleet.batcher, &stats);
    assert_true(stats.returned > 0);
    assert_true(tokens_of(&fleet, SPARE) > 0);
    el_batcher_close(fleet.batcher);
}

static void without_any_device_all_fail(void **state) {
    (void)state;
    struct fleet fleet = {.lives = {5, 9, 0, 13}};
    open_fleet(&fleet);
    put_many(&fleet);
    int failed = 0;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(items[i].calls, 1);
        if (items[i].status == 0) assert_true(items[i].vector == item_sum(&items[i]));
        if (items[i].status < 0) assert_int_equal(items[i].status, EL_ELOST);
        failed += items[i].status < 0;
    }
    assert_true(failed > 0);
    make_items(items, 1, NULL);
    assert_int_equal(put(fleet.batcher, &items[0], 1, 1), EL_ELOST);
    el_batcher_close(fleet.batcher);
}

// What is queued when the batcher closes is finished, though the last device is lost meanwhile.
static void close_finishes_what_a_lost_device_left(void **state) {
    (void)state;
    struct fleet fleet = {.lives = {1, 2, 3, 4}, .has_spare = true};
    open_fleet(&fleet);
    const int64_t tokens = make_items(items, MANY, NULL);
    assert_int_equal(put(fleet.batcher, &items[0], MANY, tokens), 0);
    el_batcher_close(fleet.batcher);
    check_items(MANY);
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
        cmocka_unit_test(who_waits_goes_before_bulk_and_bulk_gets_on),
        cmocka_unit_test(bulk_fills_what_others_leave),
        cmocka_unit_test(the_ladder_is_climbed_step_by_step),
        cmocka_unit_test(batches_grow_again),
        cmocka_unit_test(producers_do_not_lose_each_other),
        cmocka_unit_test(all_devices_take_their_share),
        cmocka_unit_test(a_small_batch_is_shared),
        cmocka_unit_test(a_lost_device_loses_no_sequence),
        cmocka_unit_test(the_spare_takes_over),
        cmocka_unit_test(without_any_device_all_fail),
        cmocka_unit_test(close_finishes_what_a_lost_device_left),
    };
    return cmocka_run_group_tests_name("batcher", tests, NULL, NULL);
}
