// SPDX-License-Identifier: Apache-2.0
// The formula for every row of requirement 4's guideline table, and the tuner on curves whose best is known.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "model/bert.h"
#include "service/batch_size.h"

enum { MILLION = 1000000 };

static uint64_t gb(uint64_t count) {
    return count << 30;
}

// "Batch Size Guidelines", each row with a model in the middle of its class. Where `texts` is outside of
// `from` .. `to`, docs/decisions.md says why the formula holds.
static void the_formula_holds_for_every_row_of_the_table(void **state) {
    (void)state;
    static const struct {
        int64_t parameters;
        uint64_t vram;
        int from, to, texts;
    } table[] = {
        {23 * MILLION, 4, 128, 256, 256},   // (4 - 2) * 128
        {23 * MILLION, 8, 256, 512, 512},   // 768, clamped
        {110 * MILLION, 8, 128, 256, 384},  // (8 - 2) * 64: above the range
        {110 * MILLION, 16, 256, 512, 512}, // 896, clamped
        {600 * MILLION, 16, 64, 128, 448},  // (16 - 2) * 32: above the range
        {600 * MILLION, 24, 128, 256, 512}, // 704, clamped: above the range
    };
    int outside = 0;
    for (size_t i = 0; i < EL_COUNT(table); i++) {
        assert_int_equal(el_batch_size(table[i].parameters, gb(table[i].vram), EL_BATCH_RESERVED),
                         table[i].texts);
        outside += table[i].texts < table[i].from || table[i].texts > table[i].to;
    }
    assert_int_equal(outside, 3);
}

static void the_classes_of_models_meet_where_the_document_says(void **state) {
    (void)state;
    const uint64_t memory = gb(2) + (1ull << 29); // half a GB is left
    assert_int_equal(el_batch_size(100 * MILLION - 1, memory, EL_BATCH_RESERVED), 64);
    assert_int_equal(el_batch_size(100 * MILLION, memory, EL_BATCH_RESERVED), 32);
    assert_int_equal(el_batch_size(500 * MILLION, memory, EL_BATCH_RESERVED), 32);
    assert_int_equal(el_batch_size(500 * MILLION + 1, memory, EL_BATCH_RESERVED), 16);
}

static void parameters_are_counted(void **state) {
    (void)state;
    const struct el_bert_config minilm = {.vocab_size = 30522,
                                          .hidden_size = 384,
                                          .layers = 6,
                                          .heads = 12,
                                          .intermediate_size = 1536,
                                          .max_positions = 512,
                                          .type_vocab_size = 2};
    // all-MiniLM-L6-v2 says 22,713,216 with its pooler of 384 * 384 + 384, which nothing here uses.
    assert_int_equal(el_bert_parameters(&minilm), 22713216 - 385 * 384);
}

static void the_reserve_counts_and_the_clamps_hold(void **state) {
    (void)state;
    assert_int_equal(el_batch_size(MILLION, gb(4), gb(1)), 384); // "Reduce reservation for more batching"
    assert_int_equal(el_batch_size(MILLION, gb(4), gb(4)), EL_BATCH_LEAST);
    assert_int_equal(el_batch_size(MILLION, gb(2), gb(4)), EL_BATCH_LEAST);
    assert_int_equal(el_batch_size(MILLION, 0, 0), EL_BATCH_LEAST);
    assert_int_equal(el_batch_size(INT64_MAX, UINT64_MAX, 0), EL_BATCH_MOST);
    assert_int_equal(el_batch_size(600 * MILLION, gb(2) + (5ull << 28), EL_BATCH_RESERVED), 40); // 1.25 GB
}

static void texts_become_tokens_of_each_stream(void **state) {
    (void)state;
    assert_int_equal(el_batch_size_tokens(512, 256, 4), 32768);
    assert_int_equal(el_batch_size_tokens(512, 128, 1), 65536);
    assert_int_equal(el_batch_size_tokens(512, 8192, 4), 32768); // few texts are so long
    assert_int_equal(el_batch_size_tokens(8, 256, 64), 256);     // a text at least
}

static struct el_batch_choice choose(struct el_batch_facts facts) {
    struct el_batch_choice choice;
    facts.parameters = 23 * MILLION;
    facts.memory = gb(80);
    facts.reserved = EL_BATCH_RESERVED;
    facts.max_tokens = 256;
    facts.streams = 4;
    el_batch_choose(&facts, &choice);
    return choice;
}

static void assert_choice(struct el_batch_choice choice, int64_t tokens, int texts, const char *source) {
    assert_int_equal(choice.tokens, tokens);
    assert_int_equal(choice.texts, texts);
    assert_string_equal(choice.source, source);
}

static void the_user_goes_before_measuring_before_the_formula(void **state) {
    (void)state;
    assert_choice(choose((struct el_batch_facts){0}), 32768, 512, "formula");
    assert_choice(choose((struct el_batch_facts){.tuned = 8192}), 8192, 128, "tuned");
    assert_choice(choose((struct el_batch_facts){.tuned = 8192, .texts = 1024}), 262144, 1024, "set");
    assert_choice(choose((struct el_batch_facts){.tuned = 8192, .tokens = 4096}), 4096, 64, "set");
    assert_choice(choose((struct el_batch_facts){.texts = 10, .tokens = 4096}), 4096, 10, "set");
    assert_choice(choose((struct el_batch_facts){.on_host = true}), 128, 1, "default");
    assert_choice(choose((struct el_batch_facts){.on_host = true, .tuned = 512}), 512, 2, "tuned");
    // On the processor texts are only a limit: large batches there are slow ones.
    assert_choice(choose((struct el_batch_facts){.on_host = true, .texts = 32}), 128, 32, "default");
}

// ---- the tuner ----

// A device that is fastest at `peak`, takes `bytes` of memory per unit, and answers EL_ENOMEM from `oom` on.
struct curve {
    int64_t peak, oom;
    double per_unit;
    int fails; // the status of the try after `tries_left`
    int tries_left, tries;
};

static int try_curve(void *context, int64_t size, struct el_batch_trial *ret_trial) {
    struct curve *curve = context;
    curve->tries++;
    if (curve->fails && curve->tries > curve->tries_left) return el_fail(curve->fails, "the device is gone");
    if (curve->oom && size >= curve->oom) return el_fail(EL_ENOMEM, "no memory for %d", (int)size);
    ret_trial->rate = size <= curve->peak ? (double)size : (double)curve->peak * curve->peak / size;
    ret_trial->memory = (double)size * curve->per_unit;
    return 0;
}

static int tune(struct curve *curve, int64_t start, int64_t *ret_best) {
    const struct el_batch_tuning tuning = {
        .start = start, .least = 8, .most = 4096, .try = try_curve, .context = curve};
    struct el_batch_trial trial;
    curve->tries = 0;
    return el_batch_tune(&tuning, ret_best, &trial);
}

static void the_tuner_finds_the_peak_from_either_side(void **state) {
    (void)state;
    int64_t best = 0;
    for (int64_t start = 8; start <= 4096; start *= 2) {
        assert_int_equal(tune(&(struct curve){.peak = 256}, start, &best), 0);
        assert_int_equal(best, 256);
    }
    assert_int_equal(tune(&(struct curve){.peak = 1 << 20}, 8, &best), 0);
    assert_int_equal(best, 4096); // the most
    assert_int_equal(tune(&(struct curve){.peak = 1}, 64, &best), 0);
    assert_int_equal(best, 8); // the least
}

static void the_tuner_stays_within_the_memory(void **state) {
    (void)state;
    int64_t best = 0;
    assert_int_equal(tune(&(struct curve){.peak = 4096, .oom = 200}, 32, &best), 0);
    assert_int_equal(best, 128);
    assert_int_equal(tune(&(struct curve){.peak = 4096, .oom = 200}, 1024, &best), 0);
    assert_int_equal(best, 128); // halved until it fitted, and not doubled again
    assert_int_equal(tune(&(struct curve){.peak = 4096, .per_unit = 0.85 / 256}, 32, &best), 0);
    assert_int_equal(best, 256); // exactly 85 %
    assert_int_equal(tune(&(struct curve){.peak = 4096, .per_unit = 0.86 / 256}, 32, &best), 0);
    assert_int_equal(best, 128);
    assert_int_equal(tune(&(struct curve){.peak = 4096, .oom = 8}, 64, &best), EL_ENOMEM);
}

static int flat(void *context, int64_t size, struct el_batch_trial *ret_trial) {
    (void)context;
    *ret_trial = (struct el_batch_trial){.rate = 100 + (double)(size % 3)}; // 2 % of noise
    return 0;
}

static void noise_moves_nothing_and_failures_end_it(void **state) {
    (void)state;
    int64_t best = 0;
    struct el_batch_trial trial;
    const struct el_batch_tuning tuning = {.start = 128, .least = 8, .most = 4096, .try = flat};
    assert_int_equal(el_batch_tune(&tuning, &best, &trial), 0);
    assert_int_equal(best, 128);
    struct curve lost = {.peak = 4096, .fails = EL_ELOST, .tries_left = 2};
    best = -1;
    assert_int_equal(tune(&lost, 32, &best), EL_ELOST);
    assert_int_equal(best, -1);
    assert_int_equal(lost.tries, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_formula_holds_for_every_row_of_the_table),
        cmocka_unit_test(the_classes_of_models_meet_where_the_document_says),
        cmocka_unit_test(parameters_are_counted),
        cmocka_unit_test(the_reserve_counts_and_the_clamps_hold),
        cmocka_unit_test(texts_become_tokens_of_each_stream),
        cmocka_unit_test(the_user_goes_before_measuring_before_the_formula),
        cmocka_unit_test(the_tuner_finds_the_peak_from_either_side),
        cmocka_unit_test(the_tuner_stays_within_the_memory),
        cmocka_unit_test(noise_moves_nothing_and_failures_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
