// SPDX-License-Identifier: Apache-2.0
// Tuning: el_batch_tune chooses the sizes, a trial here is some batches of one size on one device. They go
// beside the batcher, so that they are in no statistics and no request waits behind them in a queue.
#include "service/tune.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/manager/manager.h"
#include "service/embedder.h"

enum {
    LEAST_TOKENS = 32,
    MOST_TOKENS = 1 << 18, // of a batch
    TEXT_TOKENS = 64,      // of each text
};
static const uint64_t TRIAL_NS = 200000000; // of batches of one size, at least one
static const uint64_t MOST_BATCH_NS =
    250000000; // a larger batch than now that takes longer makes requests wait

struct tuner {
    struct el_embedder *embedder;
    const struct el_tune_options *options;
    int group;
    bool on_host;
    struct el_batch_choice before; // what batches of the device are now
    double rate_before;            // what those come to; 0: they did not fit
};

// ---- a batch ----

struct made_batch {
    int32_t *ids, *positions, *starts;
    float *vectors;
    struct el_batch batch;
};

static void made_batch_done(struct made_batch *made) {
    el_free(made->ids);
    el_free(made->positions);
    el_free(made->starts);
    el_free(made->vectors);
}

// Texts of TEXT_TOKENS tokens each, or as long as the model takes; ids from all over the vocabulary.
static void fill(struct made_batch *made, int64_t tokens, int64_t text, int64_t vocab_size) {
    const int count = (int)el_divide_up(tokens, text);
    for (int64_t i = 0; i < tokens; i++) {
        made->ids[i] = (int32_t)(i * 7919 % vocab_size);
        made->positions[i] = (int32_t)(i % text);
    }
    for (int i = 0; i <= count; i++)
        made->starts[i] = (int32_t)EL_MIN(i * text, tokens);
    made->batch = (struct el_batch){.ids = made->ids,
                                    .positions = made->positions,
                                    .seqs = {.count = count, .start = made->starts},
                                    .tokens = tokens};
}

static int made_batch_init(const struct el_embedder *embedder, int64_t tokens, struct made_batch *made) {
    const int64_t text = EL_MIN(TEXT_TOKENS, embedder->max_tokens);
    const size_t count = (size_t)el_divide_up(tokens, text);
    const size_t row = (size_t)embedder->bert_config.hidden_size * sizeof *made->vectors;
    EL_TRY(el_alloc((size_t)tokens, sizeof *made->ids, &made->ids));
    EL_TRY(el_alloc((size_t)tokens, sizeof *made->positions, &made->positions));
    EL_TRY(el_alloc(count + 1, sizeof *made->starts, &made->starts));
    EL_TRY(el_alloc(count, row, &made->vectors));
    fill(made, tokens, text, embedder->bert_config.vocab_size);
    return 0;
}

// ---- a trial ----

static int run_once(const struct tuner *tuner, const struct made_batch *made, uint64_t *ret_ns) {
    const struct el_tune_options *options = tuner->options;
    if (options->must_end(options->context)) return el_fail(EL_EBUSY, "tuning gives way to requests");
    const uint64_t began = el_now_ns();
    EL_TRY(el_embedder_run_beside(tuner->embedder, tuner->group, &made->batch, made->vectors));
    *ret_ns = el_now_ns() - began;
    return 0;
}

// By the quickest batch, so that what else the machine does counts little; the first pays for memory and
// kernels that the others find.
static int time_batches(const struct tuner *tuner, const struct made_batch *made, double *ret_rate) {
    uint64_t spent = 0, least = UINT64_MAX, ns;
    EL_TRY(run_once(tuner, made, &ns));
    do {
        EL_TRY(run_once(tuner, made, &ns));
        if (ns > MOST_BATCH_NS && made->batch.tokens > tuner->before.tokens)
            return el_fail(EL_ENOMEM, "a batch takes too long"); // as if it did not fit
        spent += ns;
        least = EL_MIN(least, ns);
    } while (spent < TRIAL_NS);
    *ret_rate = (double)made->batch.seqs.count * 1e9 / (double)EL_MAX(least, 1);
    return 0;
}

// The share of the device's memory that is taken; 0 where it does not tell.
static double memory_share(const struct tuner *tuner) {
    struct el_memory_stats stats;
    if (el_manager_memory_stats(tuner->embedder->manager, tuner->group, &stats) < 0 || stats.total_mb <= 0)
        return 0;
    return stats.reserved_mb / stats.total_mb;
}

static int try_tokens(void *context, int64_t tokens, struct el_batch_trial *ret_trial) {
    struct tuner *tuner = context;
    struct made_batch made = {0};
    el_replicas_trim(tuner->embedder->replicas, tuner->group); // what other sizes took is not this one's
    const double before = memory_share(tuner);
    const int batches = tuner->on_host ? 1 : tuner->embedder->streams; // at once, when requests come
    int status = made_batch_init(tuner->embedder, tokens, &made);
    if (status == 0) status = time_batches(tuner, &made, &ret_trial->rate);
    ret_trial->memory = before + (memory_share(tuner) - before) * batches;
    if (status == 0 && tokens == tuner->before.tokens) tuner->rate_before = ret_trial->rate;
    made_batch_done(&made);
    return status;
}

// ---- a device ----

static int tune_group(struct tuner *tuner, const struct el_replica_state *place,
                      const struct el_tuned_key *key) {
    struct el_embedder *embedder = tuner->embedder;
    const struct el_batch_tuning tuning = {.start = EL_MIN(tuner->before.tokens, MOST_TOKENS),
                                           .least = LEAST_TOKENS,
                                           .most = MOST_TOKENS,
                                           .try = try_tokens,
                                           .context = tuner};
    struct el_batch_trial trial;
    struct el_tune_result result = {
        .place = place, .precision = key->precision, .before = tuner->before, .file = embedder->wish.tuned};
    EL_TRY(el_batch_tune(&tuning, &result.tokens, &trial));
    EL_TRY(el_tuned_write(embedder->wish.tuned, key, result.tokens, trial.rate));
    el_embedder_fit(embedder);
    result.rate = trial.rate;
    result.rate_before = tuner->rate_before;
    tuner->options->tuned(tuner->options->context, &result);
    return 0;
}

int el_embedder_tune(struct el_embedder *embedder, const struct el_tune_options *options) {
    const struct el_batch_group *groups;
    const int count = el_replicas_groups(embedder->replicas, &groups);
    const struct el_batch_wish *wish = &embedder->wish;
    int status = 0;
    if (wish->tokens > 0 || wish->texts > 0 || !wish->tuned) return 0;
    for (int i = 0; i < count && status == 0; i++) {
        struct tuner tuner = {.embedder = embedder, .options = options, .group = i};
        struct el_replica_state place;
        struct el_tuned_key key;
        if (!el_embedder_fit_read(embedder, i, &place, &key, &tuner.before)) continue;
        if (el_streq(tuner.before.source, "tuned")) continue; // like devices: by the first of them
        tuner.on_host = place.on_host;
        status = tune_group(&tuner, &place, &key);
        el_replicas_trim(embedder->replicas, i);
    }
    return status;
}
