// SPDX-License-Identifier: Apache-2.0
// Tuning while a model is served: it finds a size and remembers it, which is taken from then on; gives way at
// any batch; leaves alone what the user has said; and harms no request meanwhile. On the processor and on a
// GPU that is not there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/tiny_model.h"
#include "service/embed.h"
#include "service/tune.h"
#include "service/tuned.h"

enum { RESERVED = 24 << 20 }; // MiB: of the RTX 4090's 24564, so that the formula begins with small batches

static char *model; // folder of the tiny model
static char tuned[256];

static int write_model(void **state) {
    (void)state;
    model = tiny_model_write(EL_F32);
    snprintf(tuned, sizeof tuned, "%s/tuned.json", model);
    return 0;
}

static int forget(void **state) {
    (void)state;
    unlink(tuned);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

// ---- a tuning, watched ----

struct watch {
    struct el_embedder *embedder;
    int asked, end_at; // must_end: so often; true from then on, 0: never
    int told;
    int64_t tokens, before;
    char device[64], source[16];
    const float *vector; // of "the cat sat" before; NULL: no request meanwhile
};

static bool must_end(void *context) {
    struct watch *watch = context;
    static const struct el_text text = {"the cat sat", 11};
    float vector[TINY_HIDDEN];
    if (watch->vector) {
        assert_int_equal(el_embed(watch->embedder, &text, 1, vector), 0);
        assert_memory_equal(vector, watch->vector, sizeof vector);
    }
    return ++watch->asked == watch->end_at;
}

static void note(void *context, const struct el_tune_result *result) {
    struct watch *watch = context;
    watch->told++;
    watch->tokens = result->tokens;
    watch->before = result->before.tokens;
    snprintf(watch->device, sizeof watch->device, "%s", result->place->device);
    snprintf(watch->source, sizeof watch->source, "%s", result->before.source);
    assert_string_equal(result->file, tuned);
    assert_true(result->rate > 0);
    assert_true(result->rate >= result->rate_before);
}

static int tune(struct watch *watch) {
    const struct el_tune_options options = {.must_end = must_end, .tuned = note, .context = watch};
    return el_embedder_tune(watch->embedder, &options);
}

static struct el_batch_choice batch_of(struct el_embedder *embedder) {
    struct el_embed_info info;
    el_embedder_info(embedder, &info);
    return info.batch;
}

static struct el_embedder *open_on(const char *device, int batch_tokens) {
    struct el_embedder *embedder = NULL;
    const struct el_embedder_options options = {.device = device,
                                                .precision = "fp32",
                                                .threads = 1,
                                                .streams = 2,
                                                .tuned = tuned,
                                                .vram_reserved = (int64_t)RESERVED << 10,
                                                .batch_tokens = batch_tokens};
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    return embedder;
}

// ---- what is so on any device ----

struct place {
    const char *device, *source; // of the batch before a tuning
};
static struct place cpu = {"cpu:0", "default"}, cuda = {"cuda:0", "formula"};

static void the_fastest_is_found_and_remembered(void **state) {
    const struct place *place = *state;
    struct watch watch = {.embedder = open_on(place->device, 0)};
    const struct el_batch_choice before = batch_of(watch.embedder);
    assert_string_equal(before.source, place->source);
    assert_int_equal(tune(&watch), 0);
    assert_int_equal(watch.told, 1);
    assert_int_equal(watch.before, before.tokens);
    assert_string_equal(watch.source, place->source);
    assert_string_equal(watch.device, place->device);
    assert_int_equal(batch_of(watch.embedder).tokens, watch.tokens);
    assert_string_equal(batch_of(watch.embedder).source, "tuned");
    el_embedder_close(watch.embedder);

    struct watch again = {.embedder =
                              open_on(place->device, 0)}; // a later start takes it, and measures nothing
    assert_int_equal(batch_of(again.embedder).tokens, watch.tokens);
    assert_string_equal(batch_of(again.embedder).source, "tuned");
    assert_int_equal(tune(&again), 0);
    assert_int_equal(again.asked, 0);
    el_embedder_close(again.embedder);
}

static void what_the_user_says_is_left_alone(void **state) {
    const struct place *place = *state;
    struct watch watch = {.embedder = open_on(place->device, 96)};
    assert_int_equal(tune(&watch), 0);
    assert_int_equal(watch.asked, 0);
    assert_int_equal(batch_of(watch.embedder).tokens, 96);
    el_embedder_close(watch.embedder);
    assert_int_equal(access(tuned, F_OK), -1);
}

// Before the first batch, the second and a later one; two sizes are tried at least, two batches of each.
static void it_gives_way(void **state) {
    const struct place *place = *state;
    static const int ends[] = {1, 2, 4};
    for (size_t i = 0; i < EL_COUNT(ends); i++) {
        struct watch watch = {.embedder = open_on(place->device, 0), .end_at = ends[i]};
        const struct el_batch_choice before = batch_of(watch.embedder);
        assert_int_equal(tune(&watch), EL_EBUSY);
        assert_int_equal(watch.asked, ends[i]);
        assert_int_equal(watch.told, 0);
        assert_int_equal(batch_of(watch.embedder).tokens, before.tokens);
        assert_string_equal(batch_of(watch.embedder).source, before.source);
        el_embedder_close(watch.embedder);
        assert_int_equal(access(tuned, F_OK), -1);
    }
}

static void requests_are_answered_meanwhile(void **state) {
    const struct place *place = *state;
    static const struct el_text text = {"the cat sat", 11};
    float vector[TINY_HIDDEN];
    struct watch watch = {.embedder = open_on(place->device, 0), .end_at = 4};
    assert_int_equal(el_embed(watch.embedder, &text, 1, vector), 0);
    watch.vector = vector;
    assert_int_equal(tune(&watch), EL_EBUSY);
    struct el_embed_stats stats;
    el_embedder_drain(watch.embedder); // a batch is counted after it was answered
    el_embedder_stats(watch.embedder, &stats);
    assert_int_equal(stats.batches, 5); // the requests' alone
    el_embedder_close(watch.embedder);
}

static void a_damaged_file_is_replaced(void **state) {
    assert_int_equal(el_write_file(tuned, "[", 1), 0);
    the_fastest_is_found_and_remembered(state);
}

#define ON(place, test) \
    { #place "_" #test, test, NULL, forget, &(place) }
#define ON_EACH(test) ON(cpu, test), ON(cuda, test)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        ON_EACH(the_fastest_is_found_and_remembered),
        ON_EACH(what_the_user_says_is_left_alone),
        ON_EACH(it_gives_way),
        ON_EACH(requests_are_answered_meanwhile),
        ON(cpu, a_damaged_file_is_replaced),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
