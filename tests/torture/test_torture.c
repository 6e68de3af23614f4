// SPDX-License-Identifier: Apache-2.0
// Torture: the N-th allocation fails, for every N, while a model loads and while a text is embedded. Each run
// ends in EL_ENOMEM or in a right result, nothing leaks, nothing hangs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <semaphore.h>
#include <string.h>

#include "common/tiny_model.h"
#include "failing_malloc.h"
#include "service/embed.h"
#include "torture.h"

enum { MANY = 4, ROUNDS = 50 };

static char *model;
static const struct el_text texts[MANY] = {
    {"the cat sat on the mat .", 24}, {"a dog", 5}, {"zzz", 3}, {"a dog", 5}};
static float expected[MANY * TINY_HIDDEN];

// The processor alone: drivers of GPUs do not survive a malloc that fails.
static const struct el_embedder_options options = {.precision = "fp32", .device = "cpu", .threads = 2};
static const struct el_embedder_options with_cache = {
    .precision = "fp32", .device = "cpu", .threads = 2, .cache_mb = 1};

static int prepare(void **state) {
    (void)state;
    struct el_embedder *embedder = NULL;
    model = tiny_model_write(EL_F16); // half weights: loading converts, which allocates more
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    assert_int_equal(el_embed(embedder, texts, MANY, expected), 0);
    el_embedder_close(embedder);
    return 0;
}

static int clean(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

static void load_with_failures(bool and_after) {
    struct torture torture = torture_begin(and_after);
    while (torture_next(&torture)) {
        struct el_embedder *embedder = NULL;
        torture_arm(&torture);
        const int status = torture_disarm(&torture, el_embedder_open(model, &options, &embedder));
        if (status < 0) assert_null(embedder);
        el_embedder_close(embedder);
    }
    assert_true(torture.refusals > 20);
}

static void embed_with_failures(const struct el_embedder_options *how, bool and_after) {
    struct torture torture = torture_begin(and_after);
    while (torture_next(&torture)) {
        struct el_embedder *embedder = NULL;
        float got[MANY * TINY_HIDDEN];
        assert_int_equal(el_embedder_open(model, how, &embedder), 0); // cold: its arenas are empty
        torture_arm(&torture);
        const int status = torture_disarm(&torture, el_embed(embedder, texts, MANY, got));
        if (status == 0) assert_memory_equal(got, expected, sizeof expected);
        assert_int_equal(el_embed(embedder, texts, MANY, got), 0); // and it recovers
        assert_memory_equal(got, expected, sizeof expected);
        el_embedder_close(embedder);
    }
    assert_true(torture.nth > 5);
    assert_true(!and_after || torture.refusals > 2);
}

static void load_one_failure(void **state) {
    (void)state;
    load_with_failures(false);
}

static void load_all_failures(void **state) {
    (void)state;
    load_with_failures(true);
}

static void embed_one_failure(void **state) {
    (void)state;
    embed_with_failures(&options, false);
}

static void embed_all_failures(void **state) {
    (void)state;
    embed_with_failures(&options, true);
}

// Two of the texts are one; what there is no memory to keep is answered all the same.
static void cached_one_failure(void **state) {
    (void)state;
    embed_with_failures(&with_cache, false);
}

static void cached_all_failures(void **state) {
    (void)state;
    embed_with_failures(&with_cache, true);
}

// Allocations of a call, once all is warm.
static double allocations_of_a_call(const struct el_embedder_options *how) {
    struct el_embedder *embedder = NULL;
    float got[MANY * TINY_HIDDEN];
    assert_int_equal(el_embedder_open(model, how, &embedder), 0);
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(el_embed(embedder, texts, MANY, got), 0);
    const long before = failing_malloc_calls();
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(el_embed(embedder, texts, MANY, got), 0);
    const long calls = failing_malloc_calls() - before;
    el_embedder_close(embedder);
    return (double)calls / ROUNDS;
}

static void a_hit_allocates_nothing_of_its_own(void **state) {
    (void)state;
    const double computed = allocations_of_a_call(&options), found = allocations_of_a_call(&with_cache);
    print_message("allocations of a call: %.2f computed, %.2f found\n", computed, found);
    assert_true(found <= computed);
}

static void post(void *context, struct el_embed_request *request, int status) {
    (void)request;
    assert_int_equal(status, 0);
    sem_post(context);
}

static void a_warm_request_allocates_nothing(void **state) {
    (void)state;
    const struct el_embedder_options one_thread = {.precision = "fp32", .device = "cpu", .threads = 1};
    struct el_embed_input inputs[MANY] = {0};
    struct el_embedder *embedder = NULL;
    sem_t done;
    long before = 0;
    sem_init(&done, 0, 0);
    for (int i = 0; i < MANY; i++)
        inputs[i].text = texts[i];
    assert_int_equal(el_embedder_open(model, &one_thread, &embedder), 0);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        struct el_embed_request *request = NULL;
        if (i == ROUNDS) before = failing_malloc_calls();
        assert_int_equal(el_embed_submit(embedder, inputs, MANY, NULL, post, &done, &request, NULL), 0);
        sem_wait(&done);
        assert_memory_equal(el_embed_request_vectors(request), expected, sizeof expected);
        el_embed_request_close(request);
    }
    assert_int_equal(failing_malloc_calls(), before);
    el_embedder_close(embedder);
}

// As many allocations in batches of a text each as in one batch of all.
static void a_warm_batch_allocates_nothing(void **state) {
    (void)state;
    struct el_embedder_options many = options, one = options;
    many.batch_texts = 1;
    one.threads = many.threads = 1; // a second worker may be warm later
    const double in_many = allocations_of_a_call(&many), in_one = allocations_of_a_call(&one);
    print_message("allocations of a call: %.2f in %d batches, %.2f in one\n", in_many, MANY, in_one);
    assert_true(in_many <= in_one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_one_failure),
        cmocka_unit_test(load_all_failures),
        cmocka_unit_test(embed_one_failure),
        cmocka_unit_test(embed_all_failures),
        cmocka_unit_test(cached_one_failure),
        cmocka_unit_test(cached_all_failures),
        cmocka_unit_test(a_warm_request_allocates_nothing),
        cmocka_unit_test(a_warm_batch_allocates_nothing),
        cmocka_unit_test(a_hit_allocates_nothing_of_its_own),
    };
    return cmocka_run_group_tests_name("torture", tests, prepare, clean);
}
