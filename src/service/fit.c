// SPDX-License-Identifier: Apache-2.0
// Fits the batches of an embedder to its devices: what the user wants, what was measured, or the formula.
#include "base/error.h"
#include "base/mem.h"
#include "ops/precision.h"
#include "service/embedder.h"

int el_embedder_fit_open(struct el_embedder *embedder, const struct el_embedder_options *options) {
    embedder->wish = (struct el_batch_wish){
        .tokens = options->batch_tokens,
        .texts = options->batch_texts,
        .reserved = options->vram_reserved < 0    ? 0
                    : options->vram_reserved == 0 ? EL_BATCH_RESERVED
                                                  : (uint64_t)options->vram_reserved,
    };
    return options->tuned ? el_strdup(options->tuned, &embedder->wish.tuned) : 0;
}

void el_embedder_fit_close(struct el_embedder *embedder) {
    el_free(embedder->wish.tuned);
}

static struct el_tuned_key key_of(const struct el_embedder *embedder, const struct el_replica_state *place) {
    return (struct el_tuned_key){.model = embedder->path,
                                 .device = place->facts.name,
                                 .driver = place->facts.driver,
                                 .precision = el_precision_text(place->precision)};
}

// 0: nothing was measured there.
static int64_t find_tuned(const struct el_embedder *embedder, const struct el_replica_state *place) {
    const struct el_tuned_key key = key_of(embedder, place);
    int64_t tokens = 0;
    if (!embedder->wish.tuned) return 0;
    int status = el_tuned_read(embedder->wish.tuned, &key, &tokens);
    if (status == 0 || status == EL_ENOENT || !embedder->notice) return tokens;
    el_fail_in(status, "batch sizes that were measured are passed over");
    embedder->notice(embedder->notice_context, el_error_detail());
    return 0;
}

static struct el_batch_choice choose(const struct el_embedder *embedder,
                                     const struct el_replica_state *place) {
    struct el_batch_choice choice;
    const struct el_batch_facts facts = {
        .tokens = embedder->wish.tokens,
        .texts = embedder->wish.texts,
        .tuned = find_tuned(embedder, place),
        .on_host = place->on_host,
        .parameters = el_bert_parameters(&embedder->bert_config),
        .memory = place->memory,
        .reserved = embedder->wish.reserved,
        .max_tokens = embedder->max_tokens,
        .streams = embedder->streams,
    };
    el_batch_choose(&facts, &choice);
    return choice;
}

bool el_embedder_fit_read(const struct el_embedder *embedder, int group, struct el_replica_state *ret_place,
                          struct el_tuned_key *ret_key, struct el_batch_choice *ret_choice) {
    el_replicas_state(embedder->replicas, group, ret_place);
    if (!ret_place->open) return false;
    *ret_key = key_of(embedder, ret_place);
    *ret_choice = choose(embedder, ret_place);
    return true;
}

// Locked.
static void fit(struct el_embedder *embedder) {
    const struct el_batch_group *groups;
    const int count = el_replicas_groups(embedder->replicas, &groups);
    bool first = true;
    for (int i = 0; i < count; i++) {
        struct el_replica_state place;
        el_replicas_state(embedder->replicas, i, &place);
        if (!place.open) {
            el_batcher_resize(embedder->batcher, i, 0, 1);
            continue;
        }
        const struct el_batch_choice choice = choose(embedder, &place);
        el_batcher_resize(embedder->batcher, i, groups[i].workers, choice.tokens);
        if (!first) continue;
        first = false;
        atomic_store(&embedder->fit.tokens, choice.tokens);
        atomic_store(&embedder->fit.texts, choice.texts);
        atomic_store(&embedder->fit.source, choice.source);
    }
}

void el_embedder_fit(struct el_embedder *embedder) {
    pthread_mutex_lock(&embedder->fit.lock);
    fit(embedder);
    pthread_mutex_unlock(&embedder->fit.lock);
}
