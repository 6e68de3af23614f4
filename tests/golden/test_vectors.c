// SPDX-License-Identifier: Apache-2.0
// Sentence vectors of the real all-MiniLM-L6-v2 against sentence-transformers in fp32 (vectors.py wrote
// minilm.f16 and minilm.json), and the same bits in other company, on every precision of this machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "common/sts.h"
#include "common/tiny_model.h"
#include "ops/ops.h"

enum {
    DIM = 384,
    SENTENCE_STEP = 9,
    LONG_STEP = 10,
    TEXTS = STS_SENTENCES + STS_LONG,
    SAMPLE = (STS_SENTENCES + SENTENCE_STEP - 1) / SENTENCE_STEP + (STS_LONG + LONG_STEP - 1) / LONG_STEP
};

static struct sts sts;
static struct el_text texts[TEXTS]; // sentences, then long texts
static float expected[SAMPLE][DIM];
static double expected_spearman;
static const char *model;

static int text_of_sample(int sample) {
    const int of_sentences = (STS_SENTENCES + SENTENCE_STEP - 1) / SENTENCE_STEP;
    return sample < of_sentences ? sample * SENTENCE_STEP
                                 : STS_SENTENCES + (sample - of_sentences) * LONG_STEP;
}

static int read_all(void **state) {
    (void)state;
    model = real_model_path();
    if (!model || !sts_read(EL_TEST_DATA "/eval/sts-test.csv", &sts)) {
        model = NULL;
        return 0;
    }
    memcpy(texts, sts.sentence, sizeof sts.sentence);
    memcpy(texts + STS_SENTENCES, sts.long_text, sizeof sts.long_text);

    struct el_map golden = {0};
    assert_int_equal(el_map_open(EL_SOURCE_DIR "/tests/golden/minilm.f16", &golden), 0);
    assert_int_equal(golden.size, SAMPLE * DIM * 2);
    el_to_f32(EL_F16, golden.data, SAMPLE * DIM, &expected[0][0]);
    el_map_close(&golden);
    el_auto_json json_t *facts = NULL;
    assert_int_equal(el_json_parse_file(EL_SOURCE_DIR "/tests/golden/minilm.json", 4096, &facts), 0);
    assert_int_equal(el_json_get_f64_or("minilm.json", facts, "spearman", 0, &expected_spearman), 0);
    return 0;
}

static int drop_all(void **state) {
    (void)state;
    sts_done(&sts);
    return 0;
}

static double cosine(const float *a, const float *b) {
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < DIM; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

// ---- Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank ----

static const double *sort_key;

static int by_key(const void *a, const void *b) {
    const double x = sort_key[*(const int *)a], y = sort_key[*(const int *)b];
    return (x > y) - (x < y);
}

static void rank(const double *value, double *ret_rank) {
    int order[STS_PAIRS];
    for (int i = 0; i < STS_PAIRS; i++)
        order[i] = i;
    sort_key = value;
    qsort(order, STS_PAIRS, sizeof *order, by_key);
    for (int i = 0, end; i < STS_PAIRS; i = end) {
        for (end = i; end < STS_PAIRS && value[order[end]] == value[order[i]]; end++)
            ;
        for (int j = i; j < end; j++)
            ret_rank[order[j]] = (i + end - 1) / 2.0;
    }
}

static double spearman(const double *a, const double *b) {
    double ra[STS_PAIRS], rb[STS_PAIRS], dot = 0, aa = 0, bb = 0;
    const double mean = (STS_PAIRS - 1) / 2.0;
    rank(a, ra);
    rank(b, rb);
    for (int i = 0; i < STS_PAIRS; i++) {
        dot += (ra[i] - mean) * (rb[i] - mean);
        aa += (ra[i] - mean) * (ra[i] - mean);
        bb += (rb[i] - mean) * (rb[i] - mean);
    }
    return dot / sqrt(aa * bb);
}

// ---- the tests ----

static void check_precision(const char *precision, double least_cosine) {
    if (!model) skip();
    const struct el_ops *ops = NULL;
    enum el_precision wanted, found;
    assert_int_equal(el_ops_find(NULL, &ops), 0);
    assert_int_equal(el_precision_parse(precision, &wanted), 0);
    if (el_ops_precision(ops, wanted, &found) < 0) {
        print_message("SKIPPED: %s: %s\n", precision, el_error_detail());
        skip();
    }
    const struct el_embedder_options options = {.precision = precision};
    struct el_embedder *embedder = NULL;
    float(*vectors)[DIM] = NULL;
    int status = el_embedder_open(model, &options, &embedder);
    if (status < 0) print_error("%s\n", el_error_detail());
    assert_int_equal(status, 0);
    assert_int_equal(el_embedder_dim(embedder), DIM);
    assert_int_equal(el_embedder_max_tokens(embedder), 256);
    assert_int_equal(el_alloc(TEXTS, sizeof *vectors, &vectors), 0);
    assert_int_equal(el_embed(embedder, texts, TEXTS, &vectors[0][0]), 0);

    double worst = 1, similarity[STS_PAIRS];
    for (int i = 0; i < SAMPLE; i++)
        worst = fmin(worst, cosine(expected[i], vectors[text_of_sample(i)]));
    for (int i = 0; i < STS_PAIRS; i++)
        similarity[i] = cosine(vectors[2 * i], vectors[2 * i + 1]);
    const double shift = spearman(similarity, sts.score) - expected_spearman;
    print_message("%s on %s: worst cosine %.7f of %d, Spearman off by %+.6f\n", precision, ops->name, worst,
                  SAMPLE, shift);
    assert_true(worst >= least_cosine);
    assert_true(fabs(shift) <= 0.0005);

    // The same bits alone as in company.
    for (int i = 0; i < TEXTS; i += 97) {
        float alone[DIM];
        assert_int_equal(el_embed(embedder, &texts[i], 1, alone), 0);
        assert_memory_equal(alone, vectors[i], sizeof alone);
    }
    el_free(vectors);
    el_embedder_close(embedder);
}

static void fp32_equals_the_reference(void **state) {
    (void)state;
    check_precision("fp32", 0.99999);
}

static void bf16_is_near(void **state) {
    (void)state;
    check_precision("bf16", 0.999);
}

static void int8_is_near(void **state) {
    (void)state;
    check_precision("int8", 0.999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_equals_the_reference),
        cmocka_unit_test(bf16_is_near),
        cmocka_unit_test(int8_is_near),
    };
    return cmocka_run_group_tests_name("vectors", tests, read_all, drop_all);
}
