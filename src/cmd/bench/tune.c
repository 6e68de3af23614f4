// SPDX-License-Identifier: Apache-2.0
// `eleanor bench embed --tune`: finds the fastest batch by trying, and remembers it for every later start.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/bench/bench.h"
#include "device/manager/manager.h"
#include "service/batch_size.h"
#include "service/tuned.h"
#include "store/store.h"

enum {
    TEXTS = 4096,
    LEAST_TOKENS = 32,
    MOST_TOKENS = 1 << 18, // of a batch
};

struct tuner {
    const struct el_bench_options *options;
    struct el_bench_model model;
    struct el_bench_texts texts;
    struct el_embed_info info; // of the start; what it points to is gone, but for the precision:
    char precision[16];
    double mean_tokens; // of a text
    double rate;        // texts per second of the trial before
    json_t *trials;
};

// The share of the default device's memory that is taken, once what earlier trials cached is given back.
static double memory_share(struct el_manager *manager) {
    struct el_memory_stats stats;
    if (el_manager_memory_stats(manager, 0, &stats) < 0 || stats.total_mb <= 0) return 0;
    return stats.reserved_mb / stats.total_mb;
}

static void trim_memory(struct el_manager *manager) {
    struct el_device *device = el_manager_device(manager, 0);
    if (device) el_pool_trim(device->pool);
}

// Enough for half a second, and for a batch of every stream.
static size_t docs_of_round(const struct tuner *tuner, int64_t tokens) {
    if (tuner->options->docs > 0) return (size_t)tuner->options->docs;
    const double batches = (double)tokens * tuner->model.settings.streams / tuner->mean_tokens;
    return (size_t)EL_MIN(EL_MAX(tuner->rate * EL_BENCH_ROUND_SECONDS, batches), EL_BENCH_MOST_DOCS);
}

static int time_batches(struct tuner *tuner, struct el_embedder *embedder, int64_t tokens, double *ret_rate) {
    double seconds[EL_BENCH_ROUNDS], best;
    const size_t rounds = (size_t)tuner->options->rounds;
    if (tuner->rate <= 0) EL_TRY(el_bench_guess(embedder, &tuner->texts, &tuner->rate));
    const size_t docs = docs_of_round(tuner, tokens);
    EL_TRY(el_bench_time(embedder, &tuner->texts, docs, rounds, seconds));
    best = seconds[0];
    for (size_t i = 1; i < rounds; i++)
        best = EL_MIN(best, seconds[i]);
    tuner->rate = (double)docs / best;
    *ret_rate = tuner->rate;
    return 0;
}

static void print_trial(int64_t tokens, const struct el_batch_trial *trial) {
    printf("%8" PRId64 " tokens a batch  %10.1f docs/s  %5.1f %% of the memory\n", tokens, trial->rate,
           trial->memory * 100);
    fflush(stdout);
}

static int try_tokens(void *context, int64_t tokens, struct el_batch_trial *ret_trial) {
    struct tuner *tuner = context;
    struct el_embedder *embedder = NULL;
    struct el_batch_trial trial;
    struct el_embed_stats stats;
    trim_memory(tuner->model.manager);
    EL_TRY(el_bench_embedder_open(&tuner->model, 0, tokens, &embedder));
    int status = time_batches(tuner, embedder, tokens, &trial.rate);
    trial.memory = memory_share(tuner->model.manager);
    el_embedder_stats(embedder, &stats);
    el_embedder_close(embedder);
    if (status < 0) return status;
    if (stats.oom_count > 0) // it was computed all the same, in parts
        return el_fail(EL_ENOMEM, "batches of %" PRId64 " tokens do not fit into the memory", tokens);
    json_array_append_new(tuner->trials,
                          json_pack("{s:I, s:f, s:f}", "batch_tokens", (json_int_t)tokens, "docs_per_second",
                                    trial.rate, "memory_pct", trial.memory * 100));
    if (!tuner->options->json) print_trial(tokens, &trial);
    *ret_trial = trial;
    return 0;
}

// Where the tuner begins: what a start without its result would take.
static int find_start(struct tuner *tuner, int64_t *ret_tokens) {
    struct el_embedder *embedder = NULL;
    EL_TRY(el_bench_embedder_open(&tuner->model, 0, 0, &embedder));
    el_embedder_info(embedder, &tuner->info);
    snprintf(tuner->precision, sizeof tuner->precision, "%s", tuner->info.precision);
    *ret_tokens = tuner->info.batch.tokens;
    int status = el_bench_mean_tokens(embedder, &tuner->texts, &tuner->mean_tokens);
    el_embedder_close(embedder);
    return status;
}

static int report(const struct tuner *tuner, int64_t best, const char *path) {
    if (!tuner->options->json) {
        printf("\nfastest: %" PRId64 " tokens a batch on %s in %s; remembered in %s\n", best,
               tuner->info.place.facts.name, tuner->precision, path);
        return 0;
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:O}", "bench", "tune", "model",
                             tuner->model.path, "device", tuner->info.place.facts.name, "driver",
                             tuner->info.place.facts.driver, "precision", tuner->precision, "batch_tokens",
                             (json_int_t)best, "file", path, "trials", tuner->trials);
    el_bench_print_json(root);
    json_decref(root);
    return 0;
}

static int tune(struct tuner *tuner) {
    struct el_batch_tuning tuning = {
        .least = LEAST_TOKENS, .most = MOST_TOKENS, .try = try_tokens, .context = tuner};
    struct el_batch_trial trial;
    int64_t best;
    char *path el_auto_free = NULL;
    EL_TRY(el_store_beside(EL_TUNED_FILE, &path));
    EL_TRY(find_start(tuner, &tuning.start));
    EL_TRY(el_batch_tune(&tuning, &best, &trial));
    const struct el_tuned_key key = {.model = tuner->model.path,
                                     .device = tuner->info.place.facts.name,
                                     .driver = tuner->info.place.facts.driver,
                                     .precision = tuner->precision};
    EL_TRY(el_tuned_write(path, &key, best, trial.rate));
    return report(tuner, best, path);
}

int el_bench_tune(const struct el_config *config, const struct el_bench_options *options) {
    struct tuner tuner = {.options = options, .trials = json_array()};
    int status = el_bench_texts_open(options, TEXTS, true, &tuner.texts);
    if (status == 0) status = el_bench_model_open(config, &tuner.model);
    tuner.model.settings.tuned = NULL;
    if (status == 0) status = tune(&tuner);
    el_bench_model_close(&tuner.model);
    el_bench_texts_close(&tuner.texts);
    json_decref(tuner.trials);
    return status;
}
