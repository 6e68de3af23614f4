// SPDX-License-Identifier: Apache-2.0
// The embedding service with its cache, on a tiny random model: a text seen before makes no batch, and a text
// that many ask for at once is computed once, whoever of them leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "common/tiny_model.h"
#include "service/embed.h"

enum { LATER_US = 250000, HUGE_BATCH = 100000 };

static char *model; // folder of the tiny model, with a prompt

static int write_model(void **state) {
    (void)state;
    static const char prompts[] = "{\"prompts\":{\"query\":\"the cat \"}}";
    model = tiny_model_write(EL_F32);
    tiny_model_put(model, "config_sentence_transformers.json", prompts, strlen(prompts));
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

// `wait_us`: what comes within it is one batch, so that a test has time for what it does meanwhile.
static struct el_embedder *open_cached(int cache_mb, int wait_us) {
    const struct el_embedder_options options = {.precision = "fp32",
                                                .device = "cpu",
                                                .threads = 1,
                                                .cache_mb = cache_mb,
                                                .batch_wait_us = wait_us,
                                                .batch_tokens = wait_us ? HUGE_BATCH : 0};
    struct el_embedder *embedder = NULL;
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    return embedder;
}

static struct el_embed_stats stats_of(const struct el_embedder *embedder) {
    struct el_embed_stats stats;
    el_embedder_stats(embedder, &stats);
    return stats;
}

// The last figures: a batch is counted after it was answered.
static struct el_embed_stats last_stats_of(struct el_embedder *embedder) {
    el_embedder_drain(embedder);
    return stats_of(embedder);
}

static struct el_embed_input text_input(const char *text) {
    return (struct el_embed_input){.text = {text, strlen(text)}};
}

// ---- requests ----

struct asked {
    struct el_embed_request *request;
    sem_t done;
    int status;
    char detail[64];
};

static void on_done(void *context, struct el_embed_request *request, int status) {
    struct asked *asked = context;
    assert_ptr_equal(asked->request, request); // it was handed out before
    asked->status = status;
    snprintf(asked->detail, sizeof asked->detail, "%s", el_error_detail());
    sem_post(&asked->done);
}

static void submit(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                   const struct el_embed_options *options, struct asked *asked) {
    sem_init(&asked->done, 0, 0);
    assert_int_equal(el_embed_submit(embedder, inputs, count, options, on_done, asked, &asked->request, NULL),
                     0);
}

static const float *wait_for(struct asked *asked) {
    sem_wait(&asked->done);
    return el_embed_request_vectors(asked->request);
}

static void close_asked(struct asked *asked) {
    el_embed_request_close(asked->request);
    sem_destroy(&asked->done);
}

// Embeds the inputs, and copies what came.
static void embed(struct el_embedder *embedder, const struct el_embed_input *inputs, size_t count,
                  const struct el_embed_options *options, float *vectors, int64_t *ret_tokens) {
    struct asked asked = {0};
    submit(embedder, inputs, count, options, &asked);
    const float *got = wait_for(&asked);
    assert_int_equal(asked.status, 0);
    const size_t dim = (size_t)el_embed_request_dim(asked.request);
    memcpy(vectors, got, count * dim * sizeof *got);
    if (ret_tokens) *ret_tokens = el_embed_request_tokens(asked.request);
    close_asked(&asked);
}

// ---- hits ----

static void a_text_seen_before_makes_no_batch(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0), *plain = open_cached(0, 0);
    const struct el_embed_input inputs[] = {text_input("the cat sat"), text_input("a dog"),
                                            text_input("zzz")};
    float expected[3 * TINY_HIDDEN], got[3 * TINY_HIDDEN];
    int64_t tokens, again;
    embed(plain, inputs, 3, NULL, expected, &tokens);
    embed(embedder, inputs, 2, NULL, got, NULL);
    embed(embedder, inputs, 3, NULL, got, &again); // two of three are there
    assert_memory_equal(got, expected, sizeof got);
    const struct el_embed_stats before = stats_of(embedder);
    assert_int_equal(before.cache_hits, 2);
    assert_int_equal(before.cache_misses, 3);
    for (int i = 0; i < 10; i++) {
        memset(got, 0, sizeof got);
        embed(embedder, inputs, 3, NULL, got, &again);
        assert_memory_equal(got, expected, sizeof got);
        assert_int_equal(again, tokens);
    }
    const struct el_embed_stats after = last_stats_of(embedder);
    assert_int_equal(after.batches, 2);
    assert_int_equal(after.cache_hits, 32);
    assert_int_equal(after.cache_misses, 3);
    assert_int_equal(after.cache_entries, 3);
    assert_true(after.cache_bytes > 3 * sizeof(float) * TINY_HIDDEN && after.cache_bytes <= 1 << 20);
    assert_int_equal(stats_of(plain).cache_misses, 0);
    el_embedder_close(plain);
    el_embedder_close(embedder);
}

static void dimensions_are_cut_after_the_cache(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0);
    const struct el_embed_input input = text_input("the dogs");
    const struct el_embed_options cut = {.dimensions = 8};
    float whole[TINY_HIDDEN], shortened[8], again[TINY_HIDDEN];
    embed(embedder, &input, 1, &cut, shortened, NULL);
    embed(embedder, &input, 1, NULL, whole, NULL);
    embed(embedder, &input, 1, &cut, again, NULL);
    assert_memory_equal(shortened, again, sizeof shortened);
    assert_memory_equal(shortened, whole, sizeof shortened); // the tiny model does not normalise
    assert_int_equal(last_stats_of(embedder).batches, 1);
    el_embedder_close(embedder);
}

// The prompt is part of the text: the same words by either way are one entry, others are not.
static void prompts_are_part_of_the_key(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0);
    const struct el_embed_input bare = text_input("sat"), joined = text_input("the cat sat");
    const struct el_embed_options query = {.prompt = "query"};
    float of_bare[TINY_HIDDEN], of_query[TINY_HIDDEN], of_joined[TINY_HIDDEN];
    embed(embedder, &bare, 1, NULL, of_bare, NULL);
    embed(embedder, &bare, 1, &query, of_query, NULL);
    assert_memory_not_equal(of_bare, of_query, sizeof of_bare);
    assert_int_equal(stats_of(embedder).cache_misses, 2);
    embed(embedder, &joined, 1, NULL, of_joined, NULL);
    assert_memory_equal(of_joined, of_query, sizeof of_joined);
    assert_int_equal(stats_of(embedder).cache_hits, 1);
    el_embedder_close(embedder);
}

static void token_ids_are_kept_by_themselves(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0);
    const int32_t ids[] = {2, 5, 7, 3}; // [CLS] the cat [SEP]
    const struct el_embed_input of_ids = {.ids = ids, .id_count = 4}, of_text = text_input("the cat");
    float vectors[2][TINY_HIDDEN];
    int64_t tokens;
    embed(embedder, &of_text, 1, NULL, vectors[0], NULL);
    embed(embedder, &of_ids, 1, NULL, vectors[1], NULL);
    assert_int_equal(stats_of(embedder).cache_misses, 2);
    embed(embedder, &of_ids, 1, NULL, vectors[1], &tokens);
    assert_int_equal(stats_of(embedder).cache_hits, 1);
    assert_int_equal(tokens, 4);
    assert_memory_equal(vectors[0], vectors[1], sizeof vectors[0]);
    el_embedder_close(embedder);
}

static void a_hit_that_is_too_long_is_refused_all_the_same(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0);
    char text[400];
    memset(text, '.', sizeof text); // each a token
    const struct el_embed_input input = {.text = {text, sizeof text}};
    const struct el_embed_options strict = {.refuse_too_long = true};
    struct el_embed_request *request = NULL;
    float vector[TINY_HIDDEN];
    int64_t tokens;
    for (int i = 0; i < 2; i++) {
        embed(embedder, &input, 1, NULL, vector, &tokens);
        assert_int_equal(tokens, TINY_POSITIONS);
        assert_int_equal(el_embed_submit(embedder, &input, 1, &strict, on_done, NULL, &request, NULL),
                         EL_ETOOBIG);
        assert_string_equal(el_error_detail(), "input 0 has 402 tokens, the model takes 48");
    }
    assert_int_equal(last_stats_of(embedder).batches, 1);
    el_embedder_close(embedder);
}

// ---- the same text at once ----

static void duplicates_in_a_request_are_computed_once(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, 0);
    const struct el_embed_input same = text_input("a mat"), other = text_input("bcd");
    const struct el_embed_input inputs[] = {same, same, other, same};
    float got[4 * TINY_HIDDEN], alone[TINY_HIDDEN];
    int64_t tokens, of_same, of_other;
    embed(embedder, inputs, 4, NULL, got, &tokens);
    assert_int_equal(stats_of(embedder).cache_misses, 2);
    assert_int_equal(stats_of(embedder).cache_coalesced, 2);
    embed(embedder, &same, 1, NULL, alone, &of_same);
    for (int i = 0; i < 4; i++)
        if (i != 2) assert_memory_equal(got + i * TINY_HIDDEN, alone, sizeof alone);
    embed(embedder, &other, 1, NULL, alone, &of_other);
    assert_memory_equal(got + 2 * TINY_HIDDEN, alone, sizeof alone);
    assert_int_equal(tokens, 3 * of_same + of_other); // usage counts each
    el_embedder_close(embedder);
}

enum { CLIENTS = 32 };

static void many_clients_have_one_text_computed_once(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, LATER_US);
    const struct el_embed_input input = text_input("the cat sat on the mat .");
    struct asked clients[CLIENTS] = {0};
    float expected[TINY_HIDDEN];
    for (int i = 0; i < CLIENTS; i++)
        submit(embedder, &input, 1, NULL, &clients[i]);
    embed(embedder, &input, 1, NULL, expected, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        assert_memory_equal(wait_for(&clients[i]), expected, sizeof expected);
        assert_int_equal(clients[i].status, 0);
        close_asked(&clients[i]);
    }
    const struct el_embed_stats stats = last_stats_of(embedder);
    assert_int_equal(stats.cache_misses, 1);
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.cache_coalesced + stats.cache_hits, CLIENTS);
    el_embedder_close(embedder);
}

static void who_computes_may_leave_when_others_wait(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, LATER_US);
    const struct el_embed_input inputs[] = {text_input("a cat"), text_input("a dog")};
    struct asked first = {0}, second = {0};
    submit(embedder, inputs, 2, NULL, &first); // computes both
    submit(embedder, inputs, 1, NULL, &second);
    el_embed_request_cancel(first.request);
    el_embed_request_cancel(first.request); // twice is once
    wait_for(&second);
    assert_int_equal(second.status, 0);
    wait_for(&first);
    assert_int_equal(first.status, EL_ECANCELED); // its other text was dropped
    float expected[TINY_HIDDEN];
    struct el_embedder *plain = open_cached(0, 0);
    embed(plain, inputs, 1, NULL, expected, NULL);
    assert_memory_equal(el_embed_request_vectors(second.request), expected, sizeof expected);
    assert_int_equal(stats_of(embedder).cache_entries, 1);
    close_asked(&first);
    close_asked(&second);
    el_embedder_close(plain);
    el_embedder_close(embedder);
}

static void when_all_leave_nothing_is_computed(void **state) {
    (void)state;
    struct el_embedder *embedder = open_cached(1, LATER_US);
    const struct el_embed_input input = text_input("a cat");
    struct asked first = {0}, second = {0}, third = {0};
    submit(embedder, &input, 1, NULL, &first);
    submit(embedder, &input, 1, NULL, &second);
    el_embed_request_cancel(second.request);
    el_embed_request_cancel(first.request);
    submit(embedder, &input, 1, NULL, &third); // does not join what is given up
    wait_for(&first);
    wait_for(&second);
    wait_for(&third);
    assert_int_equal(first.status, EL_ECANCELED);
    assert_int_equal(second.status, EL_ECANCELED);
    assert_string_equal(second.detail, "the client has gone");
    assert_int_equal(third.status, 0);
    assert_int_equal(stats_of(embedder).canceled, 2);
    assert_int_equal(last_stats_of(embedder).batches, 1);
    close_asked(&first);
    close_asked(&second);
    close_asked(&third);
    el_embedder_close(embedder);
}

// The one text is asked for by a lone client while it stands in the queue with much else.
static void a_lone_text_does_not_wait_for_bulk(void **state) {
    (void)state;
    enum { MANY = 20 };
    struct el_embedder *embedder = open_cached(1, LATER_US);
    char text[MANY][8];
    struct el_embed_input inputs[MANY];
    struct asked bulk = {0}, more = {0}, lone = {0};
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "%c %c", 'a' + i % 4, 'a' + i / 4);
        inputs[i] = text_input(text[i]);
    }
    submit(embedder, inputs, MANY, NULL, &bulk);
    submit(embedder, inputs, MANY, NULL, &more);
    submit(embedder, &inputs[MANY - 1], 1, NULL, &lone);
    assert_int_equal(stats_of(embedder).cache_misses, MANY + 1);
    assert_int_equal(stats_of(embedder).cache_coalesced, MANY);
    wait_for(&bulk);
    wait_for(&more);
    assert_memory_equal(wait_for(&lone), el_embed_request_vectors(bulk.request) + (MANY - 1) * TINY_HIDDEN,
                        TINY_HIDDEN * sizeof(float));
    assert_memory_equal(el_embed_request_vectors(more.request), el_embed_request_vectors(bulk.request),
                        MANY * TINY_HIDDEN * sizeof(float));
    close_asked(&bulk);
    close_asked(&more);
    close_asked(&lone);
    el_embedder_close(embedder);
}

// ---- threads ----

enum { THREADS = 4, ROUNDS = 300, TEXTS = 12 };

struct client {
    pthread_t thread;
    struct el_embedder *embedder;
    unsigned number;
};

static const char *const words[TEXTS] = {"the",   "cat",     "dogs",    "sat", "on",   "a",
                                         "mat .", "bcd zzz", "a a a a", "zzz", "cats", "the the"};
static float right[TEXTS][TINY_HIDDEN];

static void *run_client(void *context) {
    const struct client *client = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const unsigned one = (i * 5 + client->number) % TEXTS, two = i * i % TEXTS;
        const struct el_embed_input inputs[] = {text_input(words[one]), text_input(words[two])};
        struct asked asked = {0};
        submit(client->embedder, inputs, 2, NULL, &asked);
        if (i % 3 == 0) el_embed_request_cancel(asked.request);
        const float *vectors = wait_for(&asked);
        if (asked.status == 0) {
            assert_memory_equal(vectors, right[one], sizeof right[one]);
            assert_memory_equal(vectors + TINY_HIDDEN, right[two], sizeof right[two]);
        }
        assert_true(asked.status == 0 || (i % 3 == 0 && asked.status == EL_ECANCELED));
        close_asked(&asked);
    }
    return NULL;
}

static void clients_come_and_leave(void **state) {
    (void)state;
    const struct el_embedder_options options = {
        .precision = "fp32", .device = "cpu", .threads = 2, .cache_mb = 1};
    struct client clients[THREADS];
    struct el_embedder *embedder = NULL;
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    for (int i = 0; i < TEXTS; i++) {
        const struct el_embed_input input = text_input(words[i]);
        embed(embedder, &input, 1, NULL, right[i], NULL);
    }
    el_embedder_close(embedder);
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0); // nothing is kept yet
    for (unsigned i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.embedder = embedder, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(clients[i].thread, NULL);
    const struct el_embed_stats stats = last_stats_of(embedder);
    assert_int_equal(stats.cache_hits + stats.cache_misses + stats.cache_coalesced, THREADS * ROUNDS * 2);
    el_embedder_close(embedder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_seen_before_makes_no_batch),
        cmocka_unit_test(dimensions_are_cut_after_the_cache),
        cmocka_unit_test(prompts_are_part_of_the_key),
        cmocka_unit_test(token_ids_are_kept_by_themselves),
        cmocka_unit_test(a_hit_that_is_too_long_is_refused_all_the_same),
        cmocka_unit_test(duplicates_in_a_request_are_computed_once),
        cmocka_unit_test(many_clients_have_one_text_computed_once),
        cmocka_unit_test(who_computes_may_leave_when_others_wait),
        cmocka_unit_test(when_all_leave_nothing_is_computed),
        cmocka_unit_test(a_lone_text_does_not_wait_for_bulk),
        cmocka_unit_test(clients_come_and_leave),
    };
    return cmocka_run_group_tests_name("embed_cache", tests, write_model, remove_model);
}
