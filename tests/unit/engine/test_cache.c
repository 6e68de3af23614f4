// SPDX-License-Identifier: Apache-2.0
// The embedding cache: what it keeps, its limit, and who computes and who waits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/cache.h"

enum { DIM = 5, MIB = 1 << 20 };

static struct el_cache *open_cache(size_t limit, int dim) {
    struct el_cache *cache = NULL;
    assert_int_equal(el_cache_open(limit, dim, &cache), 0);
    return cache;
}

static struct el_hash128 key_of(const struct el_cache *cache, enum el_cache_kind kind, uint64_t text) {
    struct el_siphash hash;
    el_cache_key_init(cache, kind, &hash);
    el_siphash_add(&hash, &text, sizeof text);
    return el_siphash_end(&hash);
}

static struct el_cache_claim claim_of(const struct el_cache *cache, uint64_t text) {
    return (struct el_cache_claim){.key = key_of(cache, EL_CACHE_TEXT, text)};
}

// A text's vector, every float of which tells.
static void make_vector(uint64_t text, float *vector, int dim) {
    for (int i = 0; i < dim; i++)
        vector[i] = (float)text + (float)i / 8;
}

// Asks as a request does: what is not kept is computed. Returns whether it was kept.
static bool ask(struct el_cache *cache, uint64_t text, int dim) {
    float vector[1024], expected[1024];
    int64_t tokens = 0;
    struct el_cache_claim claim = claim_of(cache, text);
    make_vector(text, expected, dim);
    if (el_cache_get(cache, &claim.key, vector, &tokens)) {
        assert_memory_equal(vector, expected, (size_t)dim * sizeof *vector);
        assert_int_equal(tokens, text % 1000);
        return true;
    }
    assert_int_equal(el_cache_claim(cache, &claim, vector), EL_CACHE_LEADS);
    assert_null(el_cache_settle(cache, &claim, expected, (int64_t)(text % 1000)));
    return false;
}

static void what_was_computed_is_found(void **state) {
    (void)state;
    struct el_cache *cache = open_cache(MIB, DIM);
    struct el_cache_stats stats;
    el_cache_stats(cache, &stats);
    assert_int_equal(stats.bytes, 0); // nothing is taken before there is something to keep
    for (uint64_t text = 0; text < 100; text++)
        assert_false(ask(cache, text, DIM));
    for (uint64_t text = 0; text < 100; text++)
        assert_true(ask(cache, text, DIM));
    el_cache_stats(cache, &stats);
    assert_int_equal(stats.hits, 100);
    assert_int_equal(stats.misses, 100);
    assert_int_equal(stats.coalesced, 0);
    assert_int_equal(stats.entries, 100);
    el_cache_close(cache);
}

static void texts_and_ids_never_meet(void **state) {
    (void)state;
    struct el_cache *cache = open_cache(MIB, DIM), *other = open_cache(MIB, DIM);
    const struct el_hash128 text = key_of(cache, EL_CACHE_TEXT, 7), ids = key_of(cache, EL_CACHE_IDS, 7);
    const struct el_hash128 elsewhere = key_of(other, EL_CACHE_TEXT, 7);
    assert_false(el_hash_equal(&text, &ids));
    assert_false(el_hash_equal(&text, &elsewhere)); // each draws a key of its own
    el_cache_close(cache);
    el_cache_close(other);
}

static void the_limit_holds(void **state) {
    (void)state;
    static const struct {
        size_t limit;
        int dim;
    } cases[] = {{MIB, 384}, {MIB, 1}, {MIB, 1000}, {3 * MIB + 12345, 384}, {5000, 384}};
    for (size_t c = 0; c < EL_COUNT(cases); c++) {
        struct el_cache *cache = open_cache(cases[c].limit, cases[c].dim);
        const size_t vector_bytes = (size_t)cases[c].dim * sizeof(float);
        struct el_cache_stats stats = {0};
        const uint64_t texts = 2 * cases[c].limit / vector_bytes;
        for (uint64_t text = 0; text < texts; text++)
            ask(cache, text, cases[c].dim);
        el_cache_stats(cache, &stats);
        assert_true(stats.bytes <= cases[c].limit);
        assert_int_equal(stats.entries + stats.evictions, texts);
        assert_true(stats.entries * (vector_bytes + 200) > cases[c].limit * 3 / 4); // and it is made use of
        el_cache_close(cache);
    }
    struct el_cache *none = NULL;
    assert_int_equal(el_cache_open(100, 384, &none), EL_EINVAL);
    assert_string_equal(el_error_detail(), "a cache of 100 bytes cannot keep a vector of 384 floats");
    assert_null(none);
}

static void without_a_cache_everyone_computes(void **state) {
    (void)state;
    struct el_cache_claim claim = {0};
    struct el_cache_stats stats = {.hits = 1};
    float vector[DIM] = {0};
    int64_t tokens = 0;
    assert_false(el_cache_get(NULL, &claim.key, vector, &tokens));
    assert_int_equal(el_cache_claim(NULL, &claim, vector), EL_CACHE_LEADS);
    assert_null(el_cache_settle(NULL, &claim, vector, 1));
    el_cache_leave(NULL, &claim);
    assert_true(claim.abandoned);
    assert_int_equal(el_cache_drop(NULL), 0);
    el_cache_stats(NULL, &stats);
    assert_int_equal(stats.hits, 0);
    el_cache_close(NULL);
}

static void dropped_memory_is_given_back(void **state) {
    (void)state;
    struct el_cache *cache = open_cache(MIB, DIM);
    struct el_cache_stats stats;
    float vector[DIM];
    make_vector(50, vector, DIM);
    for (uint64_t text = 0; text < 50; text++)
        ask(cache, text, DIM);
    struct el_cache_claim before = claim_of(cache, 50), waits = claim_of(cache, 50);
    assert_int_equal(el_cache_claim(cache, &before, vector), EL_CACHE_LEADS);
    el_cache_stats(cache, &stats);
    assert_true(stats.bytes > 0);
    assert_int_equal(el_cache_drop(cache), stats.bytes);
    el_cache_stats(cache, &stats);
    assert_int_equal(stats.bytes + stats.entries, 0);
    assert_int_equal(el_cache_claim(cache, &waits, vector), EL_CACHE_WAITS); // flights go on
    assert_ptr_equal(el_cache_settle(cache, &before, vector, 3), &waits);
    assert_false(ask(cache, 0, DIM));
    assert_false(ask(cache, 50, DIM)); // what began before is not kept
    assert_true(ask(cache, 50, DIM));
    el_cache_close(cache);
}

// ---- texts being computed ----

enum { WAITERS = 4 };

struct flight {
    struct el_cache *cache;
    struct el_cache_claim leader, waiter[WAITERS];
};

static void take_off(struct flight *flight) {
    float vector[DIM];
    flight->cache = open_cache(MIB, DIM);
    flight->leader = claim_of(flight->cache, 9);
    assert_int_equal(el_cache_claim(flight->cache, &flight->leader, vector), EL_CACHE_LEADS);
    for (int i = 0; i < WAITERS; i++) {
        flight->waiter[i] = claim_of(flight->cache, 9);
        assert_int_equal(el_cache_claim(flight->cache, &flight->waiter[i], vector), EL_CACHE_WAITS);
    }
}

static int count_waiters(const struct el_cache_claim *waiter) {
    int count = 0;
    for (; waiter; waiter = waiter->next)
        count++;
    return count;
}

static void one_computes_and_all_are_answered(void **state) {
    (void)state;
    struct flight flight;
    struct el_cache_stats stats;
    float vector[DIM];
    make_vector(9, vector, DIM);
    take_off(&flight);
    assert_int_equal(count_waiters(el_cache_settle(flight.cache, &flight.leader, vector, 9)), WAITERS);
    assert_true(ask(flight.cache, 9, DIM));
    el_cache_stats(flight.cache, &stats);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.coalesced, WAITERS);
    el_cache_close(flight.cache);
}

static void a_failure_is_told_to_all_and_not_kept(void **state) {
    (void)state;
    struct flight flight;
    take_off(&flight);
    assert_int_equal(count_waiters(el_cache_settle(flight.cache, &flight.leader, NULL, 0)), WAITERS);
    assert_false(ask(flight.cache, 9, DIM));
    el_cache_close(flight.cache);
}

static void work_is_dropped_when_the_last_has_left(void **state) {
    (void)state;
    struct flight flight;
    float vector[DIM];
    struct el_cache_claim next, joins;
    take_off(&flight);
    el_cache_leave(flight.cache, &flight.leader); // the client of the one who computes has gone
    for (int i = 0; i < WAITERS; i++) {
        assert_false(flight.leader.abandoned);
        el_cache_leave(flight.cache, &flight.waiter[i]);
    }
    assert_true(flight.leader.abandoned);
    next = claim_of(flight.cache, 9); // who comes now does not rely on it
    assert_int_equal(el_cache_claim(flight.cache, &next, vector), EL_CACHE_LEADS);
    assert_int_equal(count_waiters(el_cache_settle(flight.cache, &flight.leader, NULL, 0)), WAITERS);
    el_cache_leave(flight.cache, &flight.leader); // answered: no matter
    joins = claim_of(flight.cache, 9);
    assert_int_equal(el_cache_claim(flight.cache, &joins, vector), EL_CACHE_WAITS); // for next
    make_vector(9, vector, DIM);
    assert_ptr_equal(el_cache_settle(flight.cache, &next, vector, 9), &joins);
    assert_true(ask(flight.cache, 9, DIM));
    el_cache_close(flight.cache);
}

static void a_vector_that_came_meanwhile_is_a_hit(void **state) {
    (void)state;
    struct el_cache *cache = open_cache(MIB, DIM);
    struct el_cache_claim late = claim_of(cache, 3);
    float vector[DIM] = {0}, expected[DIM];
    int64_t tokens;
    assert_false(el_cache_get(cache, &late.key, vector, &tokens));
    assert_false(ask(cache, 3, DIM));
    assert_int_equal(el_cache_claim(cache, &late, vector), EL_CACHE_HIT);
    make_vector(3, expected, DIM);
    assert_memory_equal(vector, expected, sizeof vector);
    el_cache_close(cache);
}

static void the_urgent_does_not_wait_for_bulk(void **state) {
    (void)state;
    for (int bulk_first = 0; bulk_first <= 1; bulk_first++) {
        struct el_cache *cache = open_cache(MIB, DIM);
        struct el_cache_claim claim[5];
        static const bool urgent[5] = {false, false, true, true, false};
        static const enum el_cache_answer expected[5] = {EL_CACHE_LEADS, EL_CACHE_WAITS, EL_CACHE_LEADS,
                                                         EL_CACHE_WAITS, EL_CACHE_WAITS};
        float vector[DIM];
        for (int i = 0; i < 5; i++) {
            claim[i] = claim_of(cache, 4);
            claim[i].urgent = urgent[i];
            assert_int_equal(el_cache_claim(cache, &claim[i], vector), expected[i]);
        }
        make_vector(4, vector, DIM);
        for (int i = 0; i < 2; i++) {
            const bool bulk = i != bulk_first;
            assert_int_equal(count_waiters(el_cache_settle(cache, &claim[bulk ? 0 : 2], vector, 4)),
                             bulk ? 1 : 2);
            assert_true(ask(cache, 4, DIM));
        }
        el_cache_close(cache);
    }
}

// More at once than the table of flights holds: those over it are computed, each for itself.
static void very_many_at_once(void **state) {
    (void)state;
    enum { MANY = 70000 };
    struct el_cache *cache = open_cache(MIB, DIM);
    struct el_cache_claim *claims = NULL, waits = claim_of(cache, 0), leads = claim_of(cache, MANY - 1);
    struct el_cache_stats stats;
    float vector[DIM] = {0};
    assert_int_equal(el_alloc(MANY, sizeof *claims, &claims), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        claims[i] = claim_of(cache, i);
        assert_int_equal(el_cache_claim(cache, &claims[i], vector), EL_CACHE_LEADS);
    }
    assert_int_equal(el_cache_claim(cache, &waits, vector), EL_CACHE_WAITS);
    assert_int_equal(el_cache_claim(cache, &leads, vector), EL_CACHE_LEADS);
    el_cache_leave(cache, &leads);
    assert_true(leads.abandoned);
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(count_waiters(el_cache_settle(cache, &claims[i], vector, 1)), i == 0);
    assert_null(el_cache_settle(cache, &leads, NULL, 0));
    el_cache_stats(cache, &stats);
    assert_int_equal(stats.misses, MANY + 1);
    el_free(claims);
    el_cache_close(cache);
}

// ---- threads ----

enum { THREADS = 4, ROUNDS = 20000, TEXTS = 300 };

// What this thread leads is settled some rounds later, so that others find it in flight.
struct client {
    pthread_t thread;
    struct el_cache *cache;
    int number;
    uint64_t answered; // by this thread, to whomever
};

static void answer(struct client *client, struct el_cache_claim *claim) {
    client->answered++;
    el_free(claim);
}

static void settle(struct client *client, struct el_cache_claim *leader, uint64_t text) {
    float vector[DIM];
    make_vector(text, vector, DIM);
    const bool fails = text % 7 == 0;
    struct el_cache_claim *next,
        *waiter = el_cache_settle(client->cache, leader, fails ? NULL : vector, (int64_t)text);
    for (; waiter; waiter = next) {
        next = waiter->next;
        answer(client, waiter);
    }
    answer(client, leader);
}

static void *run_client(void *context) {
    struct client *client = context;
    struct el_cache_claim *pending = NULL;
    uint64_t pending_text = 0;
    float vector[DIM], expected[DIM];
    int64_t tokens;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        const uint64_t text = (i * i + (uint64_t)client->number * 31) % TEXTS;
        struct el_cache_claim *claim = NULL;
        if (el_zalloc(1, sizeof *claim, &claim) < 0) abort();
        *claim = claim_of(client->cache, text);
        make_vector(text, expected, DIM);
        if (client->number == 0 && i % 5000 == 4999) el_cache_drop(client->cache);
        if (el_cache_get(client->cache, &claim->key, vector, &tokens)) {
            if (memcmp(vector, expected, sizeof vector) != 0 || tokens != (int64_t)text) abort();
            answer(client, claim);
            continue;
        }
        switch (el_cache_claim(client->cache, claim, vector)) {
        case EL_CACHE_HIT:
            answer(client, claim);
            break;
        case EL_CACHE_WAITS:
            break; // its leader's thread answers it
        case EL_CACHE_LEADS:
            if (i % 3 == 0) el_cache_leave(client->cache, claim);
            if (pending) settle(client, pending, pending_text);
            pending = claim;
            pending_text = text;
        }
    }
    if (pending) settle(client, pending, pending_text);
    return NULL;
}

static void threads_at_once(void **state) {
    (void)state;
    struct client client[THREADS] = {0};
    struct el_cache *cache = open_cache(100 * 128, DIM); // for fewer texts than there are
    struct el_cache_stats stats;
    uint64_t answered = 0;
    for (int i = 0; i < THREADS; i++) {
        client[i] = (struct client){.cache = cache, .number = i};
        assert_int_equal(pthread_create(&client[i].thread, NULL, run_client, &client[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(client[i].thread, NULL);
        answered += client[i].answered;
    }
    assert_int_equal(answered, THREADS * ROUNDS); // each once, and memory shows no other
    el_cache_stats(cache, &stats);
    assert_int_equal(stats.hits + stats.misses + stats.coalesced, THREADS * ROUNDS);
    assert_true(stats.hits > 0 && stats.evictions > 0);
    el_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_computed_is_found),
        cmocka_unit_test(texts_and_ids_never_meet),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(without_a_cache_everyone_computes),
        cmocka_unit_test(dropped_memory_is_given_back),
        cmocka_unit_test(one_computes_and_all_are_answered),
        cmocka_unit_test(a_failure_is_told_to_all_and_not_kept),
        cmocka_unit_test(work_is_dropped_when_the_last_has_left),
        cmocka_unit_test(a_vector_that_came_meanwhile_is_a_hit),
        cmocka_unit_test(the_urgent_does_not_wait_for_bulk),
        cmocka_unit_test(very_many_at_once),
        cmocka_unit_test(threads_at_once),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
