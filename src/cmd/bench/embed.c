// SPDX-License-Identifier: Apache-2.0
// `eleanor bench embed`: documents per second by batch size, on the machine at hand, beside the targets of
// requirement 4.
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/bench/bench.h"
#include "commit.h" // made by the build: EL_COMMIT
#include "device/manager/manager.h"
#include "format/hf_config.h"
#include "model/bert.h"
#include "topo/processors.h"

enum {
    SYNTHETIC_TEXTS = 1000, // "--num-docs 1000" of requirement 4
    MOST_BATCH_TOKENS = 1 << 20,
};

struct measuring {
    const struct el_bench_options *options;
    struct el_bench_model model;
    struct el_bench_texts texts;
    int max_tokens;
    double rate; // docs per second of the size before
    double best; // docs per minute so far
    json_t *root, *rows;
};

// ---- facts ----

static json_t *machine_facts(void) {
    struct utsname system = {0};
    char name[128] = "";
    el_processors_name("", name, sizeof name);
    uname(&system);
    return json_pack("{s:s, s:i, s:s, s:s}", "processor", name, "processors", el_cpu_count(), "system",
                     system.sysname, "release", system.release);
}

static json_t *device_facts(const struct el_embed_info *info) {
    const struct el_device_facts *facts = &info->place.facts;
    return json_pack("{s:s, s:s, s:s, s:I}", "id", info->place.device, "name", facts->name, "driver",
                     facts->driver, "memory_bytes", (json_int_t)facts->memory);
}

static int model_facts(const struct el_embed_info *info, json_t **ret_facts) {
    struct el_bert_config config;
    const char *slash = strrchr(info->path, '/');
    EL_TRY(el_bert_config_read(info->path, &config));
    *ret_facts = json_pack("{s:s, s:I, s:i, s:i}", "name", slash && slash[1] ? slash + 1 : info->path,
                           "parameters", (json_int_t)el_bert_parameters(&config), "dimensions", info->dim,
                           "max_tokens", info->max_tokens);
    return 0;
}

static json_t *text_facts(const struct measuring *measuring, double mean_tokens) {
    return json_pack("{s:s, s:I, s:f}", "source",
                     measuring->options->path_count ? measuring->options->paths[0] : "built-in", "count",
                     (json_int_t)measuring->texts.count, "mean_tokens", mean_tokens);
}

static int put_facts(struct measuring *measuring, struct el_embedder *embedder) {
    struct el_embed_info info;
    json_t *model;
    double mean_tokens;
    char date[32];
    const time_t now = time(NULL);
    struct tm utc;
    el_embedder_info(embedder, &info);
    measuring->max_tokens = info.max_tokens;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    EL_TRY(el_bench_mean_tokens(embedder, &measuring->texts, &mean_tokens));
    EL_TRY(model_facts(&info, &model));
    json_t *batch =
        json_pack("{s:I, s:s}", "tokens", (json_int_t)info.batch.tokens, "source", info.batch.source);
    measuring->root =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:o, s:o}", "bench", "embed",
                  "version", EL_VERSION, "commit", EL_COMMIT, "date", date, "machine", machine_facts(),
                  "device", device_facts(&info), "model", model, "precision", info.precision, "operations",
                  info.place.ops, "threads", info.threads, "streams", measuring->model.settings.streams,
                  "texts", text_facts(measuring, mean_tokens), "own_batch", batch);
    return measuring->root ? 0 : el_fail(EL_ENOMEM, "no memory for the result");
}

// ---- measuring ----

// Enough for half a second and for a batch.
static size_t docs_of_round(const struct measuring *measuring, int64_t batch_size) {
    if (measuring->options->docs > 0) return (size_t)measuring->options->docs;
    const size_t docs = (size_t)(measuring->rate * EL_BENCH_ROUND_SECONDS);
    return EL_MIN(EL_MAX(docs, (size_t)EL_MAX(batch_size, 1)), EL_BENCH_MOST_DOCS);
}

static int measure(struct measuring *measuring, struct el_embedder *embedder, int64_t batch_size) {
    double seconds[EL_BENCH_ROUNDS];
    struct el_embed_stats stats;
    const size_t rounds = (size_t)measuring->options->rounds;
    if (measuring->rate <= 0) EL_TRY(el_bench_guess(embedder, &measuring->texts, &measuring->rate));
    const size_t docs = docs_of_round(measuring, batch_size);
    EL_TRY(el_bench_time(embedder, &measuring->texts, docs, rounds, seconds));
    json_t *row = el_bench_row(batch_size, docs, seconds, rounds);
    el_embedder_stats(embedder, &stats);
    json_object_set_new(row, "oom_count", json_integer((json_int_t)stats.oom_count));
    measuring->rate = json_number_value(json_object_get(row, "docs_per_second"));
    measuring->best = EL_MAX(measuring->best, measuring->rate * 60);
    json_array_append_new(measuring->rows, row);
    if (!measuring->options->json) el_bench_print_row(row);
    return 0;
}

// With the batches that eleanor makes by itself; the facts are of this one.
static int measure_own(struct measuring *measuring) {
    struct el_embedder *embedder = NULL;
    const struct el_embedder_options *settings = &measuring->model.settings;
    EL_TRY(
        el_bench_embedder_open(&measuring->model, settings->batch_texts, settings->batch_tokens, &embedder));
    int status = put_facts(measuring, embedder);
    if (status == 0 && !measuring->options->json) el_bench_print_head(measuring->root);
    if (status == 0) status = measure(measuring, embedder, 0);
    el_embedder_close(embedder);
    return status;
}

// Batches are bounded in texts alone, as the documents' are.
static int measure_size(struct measuring *measuring, int64_t batch_size) {
    struct el_embedder *embedder = NULL;
    const int64_t tokens = EL_MIN(batch_size * measuring->max_tokens, MOST_BATCH_TOKENS);
    EL_TRY(el_bench_embedder_open(&measuring->model, batch_size, tokens, &embedder));
    int status = measure(measuring, embedder, batch_size);
    el_embedder_close(embedder);
    return status < 0 ? el_fail_in(status, "batches of %d texts", (int)batch_size) : 0;
}

static int measure_all(struct measuring *measuring) {
    const struct el_bench_options *options = measuring->options;
    EL_TRY(measure_own(measuring));
    for (size_t i = 0; i < options->size_count; i++)
        EL_TRY(measure_size(measuring, options->sizes[i]));
    const char *device =
        json_string_value(json_object_get(json_object_get(measuring->root, "device"), "name"));
    json_object_set(measuring->root, "results", measuring->rows);
    json_object_set_new(measuring->root, "targets", el_bench_targets(device, measuring->best));
    return 0;
}

static int report(const struct measuring *measuring) {
    const json_t *const result = measuring->root;
    const char *name = json_string_value(json_object_get(json_object_get(result, "model"), "name"));
    if (measuring->options->json)
        el_bench_print_json(result);
    else
        el_bench_print_tail(result);
    return measuring->options->svg ? el_bench_draw(&result, &name, 1, measuring->options->svg) : 0;
}

int el_bench_embed(const struct el_config *config, const struct el_bench_options *options) {
    struct measuring measuring = {.options = options, .rows = json_array()};
    const size_t count = options->docs ? (size_t)EL_MIN(options->docs, EL_BENCH_MOST_DOCS) : SYNTHETIC_TEXTS;
    int status = el_bench_texts_open(options, count, false, &measuring.texts);
    if (status == 0) status = el_bench_model_open(config, &measuring.model);
    if (status == 0) status = measure_all(&measuring);
    if (status == 0) status = report(&measuring);
    el_bench_model_close(&measuring.model);
    el_bench_texts_close(&measuring.texts);
    json_decref(measuring.rows);
    json_decref(measuring.root);
    return status;
}
