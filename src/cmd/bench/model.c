// SPDX-License-Identifier: Apache-2.0
// What `eleanor bench embed` measures: the time in which a model embeds texts, with batches of one size.
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "cmd/bench/bench.h"
#include "device/manager/manager.h"
#include "serve/device_settings.h"
#include "store/store.h"

enum { SAMPLE = 256, WARM_UP_DOCS = 64 };

int el_bench_model_open(const struct el_config *config, struct el_bench_model *ret_model) {
    struct el_bench_model model = {0};
    struct el_device_settings devices;
    if (config->model.count == 0) return el_fail(EL_EINVAL, "no model is named");
    EL_TRY(el_device_settings_read(config, &devices));
    EL_TRY(el_store_find(config->model.item[0], &model.path));
    int status = el_manager_open(&devices.options, &model.manager);
    if (status < 0) {
        el_bench_model_close(&model);
        return status;
    }
    el_embedder_settings(config, model.manager, &model.tuned, &model.settings);
    model.settings.queue_tokens = model.settings.queue_ms = 0; // a round is one call
    model.settings.cache_mb = 0;                               // a text is computed each time
    *ret_model = model;
    return 0;
}

void el_bench_model_close(struct el_bench_model *model) {
    el_manager_close(model->manager);
    el_free(model->path);
    el_free(model->tuned);
    *model = (struct el_bench_model){0};
}

int el_bench_embedder_open(const struct el_bench_model *model, int64_t batch_texts, int64_t batch_tokens,
                           struct el_embedder **ret_embedder) {
    struct el_embedder_options options = model->settings;
    options.batch_texts = (int)batch_texts;
    options.batch_tokens = (int)batch_tokens;
    return el_embedder_open(model->path, &options, ret_embedder);
}

int el_bench_mean_tokens(struct el_embedder *embedder, const struct el_bench_texts *texts,
                         double *ret_tokens) {
    const size_t sample = EL_MIN(texts->count, SAMPLE);
    int64_t sum = 0, tokens;
    for (size_t i = 0; i < sample; i++) {
        EL_TRY(el_embedder_count_tokens(embedder, &texts->text[i], &tokens));
        sum += EL_MIN(tokens, el_embedder_max_tokens(embedder));
    }
    *ret_tokens = (double)sum / (double)sample;
    return 0;
}

static int check_place(struct el_embedder *embedder, const struct el_embed_info *before) {
    struct el_embed_info info;
    el_embedder_info(embedder, &info);
    if (el_streq(info.place.device, before->place.device)) return 0;
    return el_fail(EL_ELOST, "%s was lost and the model moved to %s: the figures mean nothing",
                   before->place.device, info.place.device);
}

static int time_rounds(struct el_embedder *embedder, const struct el_text *texts, size_t docs, size_t rounds,
                       float *vectors, double *ret_seconds) {
    struct el_embed_info before;
    el_embedder_info(embedder, &before);
    EL_TRY(el_embed(embedder, texts, EL_MIN(docs, WARM_UP_DOCS), vectors));
    for (size_t i = 0; i < rounds; i++) {
        const uint64_t began = el_now_ns();
        EL_TRY(el_embed(embedder, texts, docs, vectors));
        ret_seconds[i] = (double)EL_MAX(el_now_ns() - began, 1) * 1e-9;
    }
    return check_place(embedder, &before);
}

int el_bench_time(struct el_embedder *embedder, const struct el_bench_texts *texts, size_t docs,
                  size_t rounds, double *ret_seconds) {
    const size_t dim = (size_t)el_embedder_dim(embedder);
    el_auto_free struct el_text *text = NULL;
    el_auto_free float *vectors = NULL;
    EL_TRY(el_alloc(docs, sizeof *text, &text));
    EL_TRY(el_alloc(docs, dim * sizeof *vectors, &vectors));
    memset(vectors, 0, docs * dim * sizeof *vectors); // so that no page is touched first while time runs
    for (size_t i = 0; i < docs; i++)
        text[i] = texts->text[i % texts->count];
    return time_rounds(embedder, text, docs, rounds, vectors, ret_seconds);
}

int el_bench_guess(struct el_embedder *embedder, const struct el_bench_texts *texts, double *ret_rate) {
    enum { DOCS = 8 };
    double seconds;
    EL_TRY(el_bench_time(embedder, texts, DOCS, 1, &seconds));
    *ret_rate = DOCS / seconds;
    return 0;
}
