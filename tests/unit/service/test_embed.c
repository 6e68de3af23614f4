// SPDX-License-Identifier: Apache-2.0
// The embedding service on a tiny random model: the same bits in any company, and every refusal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/tiny_model.h"
#include "ops/ops.h"
#include "service/embed.h"

enum { TEXTS = 60 };

static char *model; // folder of the tiny model

static int write_model(void **state) {
    (void)state;
    model = tiny_model_write(EL_F32);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

// Texts of many lengths, the longest over the model's limit.
static void make_texts(struct el_text *texts, char (*buffer)[256]) {
    static const char *const vocabulary[] = {"the", "cat", "dogs", "sat", "on",
                                             "a",   "mat", ".",    "bcd", "zzz"};
    for (int i = 0; i < TEXTS; i++) {
        int used = 0;
        for (int w = 0; w < i; w++)
            used += snprintf(buffer[i] + used, sizeof buffer[i] - (size_t)used, "%s ",
                             vocabulary[(i * 7 + w * w) % (int)EL_COUNT(vocabulary)]);
        texts[i] = (struct el_text){.data = buffer[i], .length = (size_t)used};
    }
}

static struct el_embedder *open_with(const char *precision, int threads, int batch_tokens, int wait_us) {
    const struct el_embedder_options options = {
        .precision = precision, .threads = threads, .batch_tokens = batch_tokens, .batch_wait_us = wait_us};
    struct el_embedder *embedder = NULL;
    int status = el_embedder_open(model, &options, &embedder);
    if (status < 0) print_error("%s: %s\n", el_status_text(status), el_error_detail());
    assert_int_equal(status, 0);
    return embedder;
}

static bool precision_runs_here(const char *precision) {
    const struct el_ops *ops = NULL;
    enum el_precision wanted, found;
    assert_int_equal(el_ops_find(NULL, &ops), 0);
    assert_int_equal(el_precision_parse(precision, &wanted), 0);
    return el_ops_precision(ops, wanted, &found) == 0;
}

static void bits_do_not_depend_on_company(void **state) {
    (void)state;
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    struct el_text texts[TEXTS];
    char buffer[TEXTS][256];
    static float alone[TEXTS * TINY_HIDDEN], together[TEXTS * TINY_HIDDEN];
    make_texts(texts, buffer);
    for (size_t p = 0; p < EL_COUNT(precisions); p++) {
        if (!precision_runs_here(precisions[p])) {
            print_message("SKIPPED: %s: %s\n", precisions[p], el_error_detail());
            continue;
        }
        struct el_embedder *one = open_with(precisions[p], 1, 0, 0);
        for (int i = 0; i < TEXTS; i++)
            assert_int_equal(el_embed(one, &texts[i], 1, alone + i * TINY_HIDDEN), 0);
        el_embedder_close(one);
        for (int threads = 1; threads <= 4; threads++) {
            struct el_embedder *many =
                open_with(precisions[p], threads, 40 * threads, threads == 3 ? 200 : 0);
            assert_int_equal(el_embed(many, texts, TEXTS, together), 0);
            assert_memory_equal(alone, together, sizeof alone);
            struct el_text turned[TEXTS];
            for (int i = 0; i < TEXTS; i++)
                turned[i] = texts[TEXTS - 1 - i];
            assert_int_equal(el_embed(many, turned, TEXTS, together), 0);
            for (int i = 0; i < TEXTS; i++)
                assert_memory_equal(alone + i * TINY_HIDDEN, together + (TEXTS - 1 - i) * TINY_HIDDEN,
                                    TINY_HIDDEN * sizeof(float));
            el_embedder_close(many);
        }
    }
}

static void four_devices_give_the_bits_of_one(void **state) {
    (void)state;
    struct el_text texts[TEXTS];
    char buffer[TEXTS][256];
    static float one[TEXTS * TINY_HIDDEN], four[TEXTS * TINY_HIDDEN];
    const struct el_embedder_options split = {.precision = "fp32", .threads = 6, .device = "cpu=4"};
    struct el_embedder *embedder = open_with("fp32", 1, 0, 0);
    make_texts(texts, buffer);
    assert_int_equal(el_embed(embedder, texts, TEXTS, one), 0);
    el_embedder_close(embedder);
    assert_int_equal(el_embedder_open(model, &split, &embedder), 0);
    for (int i = 0; i < 3; i++) {
        memset(four, 0, sizeof four);
        assert_int_equal(el_embed(embedder, texts, TEXTS, four), 0);
        assert_memory_equal(one, four, sizeof one);
    }
    struct el_embed_info info;
    el_embedder_info(embedder, &info);
    assert_int_equal(info.place_count, 4);
    assert_string_equal(info.devices, "cpu:0,cpu:1,cpu:2,cpu:3");
    el_embedder_close(embedder);
}

static void half_weights_load(void **state) {
    (void)state;
    static const enum el_dtype dtypes[] = {EL_F16, EL_BF16};
    const struct el_text text = {.data = "the cat sat on a mat .", .length = 22};
    float expected[TINY_HIDDEN], got[TINY_HIDDEN];
    struct el_embedder *embedder = open_with("fp32", 1, 0, 0);
    assert_int_equal(el_embed(embedder, &text, 1, expected), 0);
    el_embedder_close(embedder);
    for (size_t d = 0; d < EL_COUNT(dtypes); d++) {
        char *half = tiny_model_write(dtypes[d]);
        assert_int_equal(el_embedder_open(half, NULL, &embedder), 0);
        assert_int_equal(el_embed(embedder, &text, 1, got), 0);
        double dot = 0, a = 0, b = 0;
        for (int i = 0; i < TINY_HIDDEN; i++) {
            dot += (double)expected[i] * (double)got[i];
            a += (double)expected[i] * (double)expected[i];
            b += (double)got[i] * (double)got[i];
        }
        assert_true(dot / sqrt(a * b) > 0.999);
        el_embedder_close(embedder);
        tiny_model_remove(half);
    }
}

// ---- requests ----

struct answer {
    sem_t ready;
    int status;
    char detail[256];
};

static void keep_answer(void *context, struct el_embed_request *request, int status) {
    (void)request;
    struct answer *answer = context;
    answer->status = status;
    snprintf(answer->detail, sizeof answer->detail, "%s", el_error_detail());
    sem_post(&answer->ready);
}

static void dimensions_shorten_and_normalise(void **state) {
    (void)state;
    struct el_embedder *embedder = open_with("fp32", 2, 0, 0);
    const struct el_embed_input inputs[] = {{.text = {"the cat", 7}}, {.text = {"a dog", 5}}};
    const struct el_embed_options options = {.dimensions = 8};
    struct el_embed_request *request = NULL;
    struct answer answer = {0};
    float full[2 * TINY_HIDDEN];
    const struct el_text texts[] = {inputs[0].text, inputs[1].text};
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embed(embedder, texts, 2, full), 0);
    assert_int_equal(el_embed_submit(embedder, inputs, 2, &options, keep_answer, &answer, &request, NULL), 0);
    sem_wait(&answer.ready);
    assert_int_equal(answer.status, 0);
    assert_int_equal(el_embed_request_dim(request), 8);
    assert_int_equal(el_embed_request_count(request), 2);
    for (int i = 0; i < 2; i++) // the tiny model does not normalise, so the first 8 floats are as they were
        assert_memory_equal(el_embed_request_vectors(request) + i * 8, full + i * TINY_HIDDEN,
                            8 * sizeof(float));
    el_embed_request_close(request);
    el_embedder_close(embedder);
}

static void token_ids_equal_their_text(void **state) {
    (void)state;
    struct el_embedder *embedder = open_with("fp32", 1, 0, 0);
    const int32_t ids[] = {2, 5, 7, 3}; // [CLS] the cat [SEP]
    const struct el_embed_input input = {.ids = ids, .id_count = 4};
    const struct el_text text = {"the cat", 7};
    float expected[TINY_HIDDEN];
    struct el_embed_request *request = NULL;
    struct answer answer = {0};
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embed(embedder, &text, 1, expected), 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &request, NULL), 0);
    sem_wait(&answer.ready);
    assert_memory_equal(el_embed_request_vectors(request), expected, sizeof expected);
    assert_int_equal(el_embed_request_tokens(request), 4);
    el_embed_request_close(request);
    el_embedder_close(embedder);
}

static void bad_requests_are_refused_by_name(void **state) {
    (void)state;
    struct el_embedder *embedder = open_with("fp32", 1, 0, 0);
    const int32_t low[] = {2, -1, 3}, high[] = {2, 20, 3};
    char long_text[400];
    memset(long_text, 'z', sizeof long_text);
    for (size_t i = 1; i < sizeof long_text; i += 2)
        long_text[i] = '.'; // each a token of its own
    const struct {
        struct el_embed_input input;
        struct el_embed_options options;
        size_t count;
        int status;
        const char *detail;
    } cases[] = {
        {{.text = {"", 0}}, {0}, 1, EL_EINVAL, "input 0 is empty"},
        {{.text = {"a", 1}}, {0}, 0, EL_EINVAL, "there is no input"},
        {{.ids = low, .id_count = 3}, {0}, 1, EL_EINVAL, "input 0: token id -1 is not from 0 to 19"},
        {{.ids = high, .id_count = 3}, {0}, 1, EL_EINVAL, "input 0: token id 20 is not from 0 to 19"},
        {{.ids = low, .id_count = 0}, {0}, 1, EL_EINVAL, "input 0 has no token ids"},
        {{.text = {"a", 1}}, {.dimensions = 65}, 1, EL_EINVAL, "dimensions must be from 1 to 64, not 65"},
        {{.text = {"a", 1}},
         {.prompt = "query"},
         1,
         EL_EINVAL,
         "the model has no prompt \"query\"; it has: none"},
        {{.text = {long_text, sizeof long_text}},
         {.refuse_too_long = true},
         1,
         EL_ETOOBIG,
         "input 0 has 402 tokens, the model takes 48"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_embed_request *request = NULL;
        assert_int_equal(el_embed_submit(embedder, &cases[i].input, cases[i].count, &cases[i].options,
                                         keep_answer, NULL, &request, NULL),
                         cases[i].status);
        assert_string_equal(el_error_detail(), cases[i].detail);
        assert_null(request);
    }
    el_embedder_close(embedder);
}

static void a_full_queue_refuses_and_recovers(void **state) {
    (void)state;
    const struct el_embedder_options options = {
        .precision = "fp32", .threads = 1, .queue_tokens = 16, .batch_wait_us = 50000, .batch_tokens = 1000};
    struct el_embedder *embedder = NULL;
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    const struct el_embed_input input = {.text = {"the cat sat on the mat . the cat sat on the mat .", 49}};
    struct el_embed_request *first = NULL, *second = NULL;
    struct answer answer = {0};
    int64_t retry_ms = 0;
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &first, NULL), 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &second, &retry_ms),
                     EL_EBUSY);
    assert_null(second);
    assert_true(retry_ms >= 1);
    sem_wait(&answer.ready);
    assert_int_equal(answer.status, 0);
    el_embed_request_close(first);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &first, NULL), 0);
    sem_wait(&answer.ready);
    el_embed_request_close(first);
    struct el_embed_stats stats;
    el_embedder_stats(embedder, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.requests, 2);
    el_embedder_close(embedder);
}

// Answers come before their batch is counted; a speed is known from then on.
static void wait_for_speed(struct el_embedder *embedder) {
    struct el_embed_stats stats;
    do {
        usleep(1000);
        el_embedder_stats(embedder, &stats);
    } while (stats.batches == 0);
}

// Whether somebody with this promise is let in; the request is then waited for and closed by the caller.
static int ask(struct el_embedder *embedder, struct el_promise *promise, struct answer *answer,
               struct el_embed_request **ret_request, int64_t *ret_retry_ms) {
    const struct el_embed_input input = {.text = {"the cat sat on the mat .", 24}};
    const struct el_embed_options options = {.promise = promise};
    return el_embed_submit(embedder, &input, 1, &options, keep_answer, answer, ret_request, ret_retry_ms);
}

// Who comes back when he was told has room in a queue that is full for others; who comes sooner keeps his
// time.
static void a_promise_is_kept(void **state) {
    (void)state;
    const struct el_embedder_options options = {
        .precision = "fp32", .threads = 1, .queue_tokens = 5, .batch_wait_us = 300000, .batch_tokens = 1000};
    struct el_embedder *embedder = NULL;
    struct el_embed_request *request[2] = {0}, *none = NULL;
    struct el_promise first = {0}, second = {0}, past = {.at_ns = 1};
    struct answer answer = {0};
    int64_t retry_ms = 0, again_ms = 0;
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    assert_int_equal(ask(embedder, NULL, &answer, &request[0], NULL), 0); // its speed is learned
    sem_wait(&answer.ready);
    el_embed_request_close(request[0]);
    wait_for_speed(embedder);

    assert_int_equal(ask(embedder, &first, &answer, &request[0], NULL),
                     0); // waits for the batch, and fills the queue
    assert_int_equal(first.at_ns, 0);
    assert_int_equal(ask(embedder, &first, &answer, &none, &retry_ms), EL_EBUSY);
    assert_in_range(retry_ms, 1, 60000);
    const uint64_t told = first.at_ns;
    assert_true(told > 0);
    first.at_ns += 3600 * UINT64_C(1000000000);
    assert_int_equal(el_embedder_admit(embedder, &first, &again_ms), EL_EBUSY); // too soon
    assert_int_equal(first.at_ns, told + 3600 * UINT64_C(1000000000));
    assert_in_range(again_ms, 3590000, 3610000);
    assert_int_equal(el_embedder_admit(embedder, &second, NULL), EL_EBUSY);
    assert_true(second.at_ns >= told);

    assert_int_equal(el_embedder_admit(embedder, &past, NULL), 0); // asked before the body is read
    assert_int_equal(past.at_ns, 1);
    assert_int_equal(ask(embedder, &past, &answer, &request[1], NULL), 0);
    assert_int_equal(past.at_ns, 0);
    past.at_ns = 1; // twice the limit is the end
    assert_int_equal(ask(embedder, &past, &answer, &none, NULL), EL_EBUSY);
    assert_true(past.at_ns > 1);
    for (int i = 0; i < 2; i++)
        sem_wait(&answer.ready);
    for (int i = 0; i < 2; i++)
        el_embed_request_close(request[i]);
    el_embedder_close(embedder);
}

static int submit_many(struct el_embedder *embedder, size_t count, struct answer *answer,
                       struct el_embed_request **ret_request, int64_t *ret_retry_ms) {
    static struct el_embed_input inputs[600];
    assert_true(count <= EL_COUNT(inputs));
    for (size_t i = 0; i < count; i++)
        inputs[i].text = (struct el_text){"the cat sat on the mat . a dog sat .", 36};
    return el_embed_submit(embedder, inputs, count, NULL, keep_answer, answer, ret_request, ret_retry_ms);
}

// What would take too long by the measured speed is refused, but for the first; bulk that waits keeps nobody
// out who asks for a few texts.
static void predicted_waits_refuse(void **state) {
    (void)state;
    const struct el_embedder_options options = {.precision = "fp32", .threads = 1, .queue_ms = 2};
    struct el_embedder *embedder = NULL;
    struct el_embed_request *request[3] = {0};
    struct answer answer = {0};
    int64_t retry_ms = 0, later_ms = 0;
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    assert_int_equal(submit_many(embedder, 600, &answer, &request[0], NULL), 0); // its speed is learned
    sem_wait(&answer.ready);
    el_embed_request_close(request[0]);
    wait_for_speed(embedder);

    assert_int_equal(submit_many(embedder, 600, &answer, &request[0], NULL), 0); // a large one alone
    const uint64_t began = el_now_ns();
    assert_int_equal(submit_many(embedder, 600, &answer, &request[1], &retry_ms), EL_EBUSY);
    assert_non_null(strstr(el_error_detail(), "the limit is 2 ms"));
    assert_int_equal(submit_many(embedder, 600, &answer, &request[1], &later_ms), EL_EBUSY);
    assert_true(later_ms > retry_ms); // not both at once
    assert_int_equal(submit_many(embedder, 1, &answer, &request[2], NULL), 0);
    sem_wait(&answer.ready);
    sem_wait(&answer.ready);
    const uint64_t spent_ms = (el_now_ns() - began) / 1000000;
    assert_in_range(retry_ms, 1, 100 * (spent_ms + 1));
    el_embed_request_close(request[0]);
    el_embed_request_close(request[2]);
    struct el_embed_stats stats;
    el_embedder_stats(embedder, &stats);
    assert_int_equal(stats.refused, 2);
    el_embedder_close(embedder);
}

static void a_canceled_request_is_dropped(void **state) {
    (void)state;
    const struct el_embedder_options options = {
        .threads = 1, .batch_wait_us = 100000, .batch_tokens = 100000};
    struct el_embedder *embedder = NULL;
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    const struct el_embed_input input = {.text = {"the cat", 7}};
    struct el_embed_request *request = NULL;
    struct answer answer = {0};
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &request, NULL), 0);
    el_embed_request_cancel(request); // the batcher waits for company, so it has not begun
    sem_wait(&answer.ready);
    assert_int_equal(answer.status, EL_ECANCELED);
    assert_string_equal(answer.detail, "the client has gone");
    el_embed_request_close(request);
    struct el_embed_stats stats;
    el_embedder_stats(embedder, &stats);
    assert_int_equal(stats.batches, 0);
    assert_int_equal(stats.canceled, 1);
    el_embedder_close(embedder);
}

static void draining_finishes_and_refuses(void **state) {
    (void)state;
    struct el_embedder *embedder = open_with("fp32", 2, 0, 20000);
    const struct el_embed_input input = {.text = {"the cat", 7}};
    struct el_embed_request *request = NULL, *late = NULL;
    struct answer answer = {0};
    sem_init(&answer.ready, 0, 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &request, NULL), 0);
    el_embedder_drain(embedder);
    assert_int_equal(sem_trywait(&answer.ready), 0); // done before drain returned
    assert_int_equal(answer.status, 0);
    assert_int_equal(el_embed_submit(embedder, &input, 1, NULL, keep_answer, &answer, &late, NULL),
                     EL_ESHUTDOWN);
    el_embed_request_close(request);
    el_embedder_close(embedder);
}

static void wrong_models_are_named(void **state) {
    (void)state;
    struct el_embedder *embedder = NULL;
    assert_int_equal(el_embedder_open("/nonexistent", NULL, &embedder), EL_ENOENT);
    const struct el_embedder_options bad = {.precision = "fp12"};
    assert_int_equal(el_embedder_open(model, &bad, &embedder), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "fp12"));

    char *broken = tiny_model_write(EL_F32);
    static const char wrong_size[] =
        "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"vocab_size\":20,\"hidden_size\":128,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":96,\"max_position_"
        "embeddings\":48,"
        "\"type_vocab_size\":2,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}";
    tiny_model_put(broken, "config.json", wrong_size, strlen(wrong_size));
    assert_int_equal(el_embedder_open(broken, NULL, &embedder), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "embeddings.word_embeddings.weight"));
    static const char gpt[] = "{\"architectures\":[\"GPT2LMHeadModel\"],\"model_type\":\"gpt2\"}";
    tiny_model_put(broken, "config.json", gpt, strlen(gpt));
    assert_int_equal(el_embedder_open(broken, NULL, &embedder), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "GPT2LMHeadModel"));
    assert_non_null(strstr(el_error_detail(), "BertModel")); // what is supported
    tiny_model_remove(broken);
    assert_null(embedder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_company),
        cmocka_unit_test(four_devices_give_the_bits_of_one),
        cmocka_unit_test(half_weights_load),
        cmocka_unit_test(dimensions_shorten_and_normalise),
        cmocka_unit_test(token_ids_equal_their_text),
        cmocka_unit_test(bad_requests_are_refused_by_name),
        cmocka_unit_test(a_full_queue_refuses_and_recovers),
        cmocka_unit_test(a_promise_is_kept),
        cmocka_unit_test(predicted_waits_refuse),
        cmocka_unit_test(a_canceled_request_is_dropped),
        cmocka_unit_test(draining_finishes_and_refuses),
        cmocka_unit_test(wrong_models_are_named),
    };
    return cmocka_run_group_tests_name("embed", tests, write_model, remove_model);
}
