// SPDX-License-Identifier: Apache-2.0
// The embedding service: a model opened as sentence-transformers would, its options, its end.
#include "service/embedder.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "device/manager/manager.h"

enum { STREAMS = 4 }; // batches in flight on a GPU

int el_embedder_find_prompt(const struct el_embedder *embedder, const char *name,
                            const struct el_prompt **ret_prompt) {
    el_auto(el_str_done) struct el_str names = {0};
    for (int i = 0; i < embedder->sentence.prompt_count; i++) {
        if (el_streq(embedder->sentence.prompts[i].name, name)) {
            *ret_prompt = &embedder->sentence.prompts[i];
            return 0;
        }
        EL_TRY(el_str_printf(&names, "%s%s", i ? ", " : "", embedder->sentence.prompts[i].name));
    }
    return el_fail(EL_EINVAL, "the model has no prompt \"%s\"; it has: %s", name,
                   names.length ? names.data : "none");
}

static int open_model(struct el_embedder *embedder, const struct el_embedder_options *options) {
    struct el_bert_config *config = &embedder->bert_config;
    EL_TRY(el_bert_config_read(embedder->path, config));
    EL_TRY(el_sentence_config_read(embedder->path, config, &embedder->sentence));
    EL_TRY(el_tokenizer_open(embedder->path, &embedder->tokenizer));
    if (el_tokenizer_vocab_size(embedder->tokenizer) > config->vocab_size)
        return el_fail(EL_EFORMAT,
                       "%s: the tokenizer has %" PRId32 " tokens, config.json's vocab_size is %" PRId64,
                       embedder->path, el_tokenizer_vocab_size(embedder->tokenizer), config->vocab_size);
    embedder->max_tokens = (int)EL_MIN(embedder->sentence.max_seq_length, config->max_positions);

    const char *prompt = options->prompt ? options->prompt : embedder->sentence.default_prompt;
    if (prompt) EL_TRY(el_embedder_find_prompt(embedder, prompt, &embedder->prompt));

    return el_embedder_replicas_open(embedder, options);
}

int el_embedder_open(const char *path, const struct el_embedder_options *options,
                     struct el_embedder **ret_embedder) {
    static const struct el_embedder_options defaults = {0};
    struct el_embedder *embedder = NULL;
    if (!options) options = &defaults;
    if (options->threads < 0 || options->batch_tokens < 0 || options->batch_wait_us < 0 ||
        options->queue_tokens < 0 || options->streams < 0 || options->batch_texts < 0 ||
        options->cache_mb < 0 || options->queue_ms < 0 || options->rejoin_longest_ms < 0 ||
        options->rejoin_probes < 0)
        return el_fail(EL_EINVAL,
                       "threads, streams, batch_tokens, batch_texts, batch_wait_us, queue_tokens, "
                       "queue_ms, cache_mb, rejoin_longest_ms and rejoin_probes must not be negative");
    EL_TRY(el_zalloc(1, sizeof *embedder, &embedder));
    pthread_mutex_init(&embedder->kept.lock, NULL);
    pthread_mutex_init(&embedder->fit.lock, NULL);
    embedder->threads = options->threads > 0 ? options->threads : el_cpu_count();
    embedder->streams = options->streams > 0 ? options->streams : STREAMS;
    embedder->queue_tokens = options->queue_tokens;
    embedder->queue_ms = options->queue_ms;
    embedder->notice = options->notice;
    embedder->notice_context = options->notice_context;
    el_histogram_init(&embedder->input_tokens, 4, 2);
    el_histogram_init(&embedder->tokenize_seconds, 1e-5, 2.5);
    int status = el_strdup(path, &embedder->path);
    if (status == 0) status = el_embedder_fit_open(embedder, options);
    if (status == 0) status = open_model(embedder, options);
    if (status == 0 && options->cache_mb > 0)
        status = el_cache_open((size_t)options->cache_mb << 20, el_embedder_dim(embedder), &embedder->cache);
    if (status == 0) status = el_embedder_batcher_open(embedder, options);
    if (status == 0) status = el_embedder_rejoin_start(embedder, options);
    if (status < 0) {
        el_embedder_close(embedder);
        return status;
    }
    *ret_embedder = embedder;
    return 0;
}

void el_embedder_drain(struct el_embedder *embedder) {
    atomic_store(&embedder->draining, true);
    el_batcher_drain(embedder->batcher);
}

void el_embedder_close(struct el_embedder *embedder) {
    if (!embedder) return;
    el_replicas_rejoin_stop(embedder->replicas);
    el_batcher_close(embedder->batcher);
    el_cache_close(embedder->cache);
    el_replicas_close(embedder->replicas);
    el_manager_close(embedder->own_manager);
    el_tokenizer_close(embedder->tokenizer);
    el_sentence_config_done(&embedder->sentence);
    el_embedder_fit_close(embedder);
    el_embed_requests_done(embedder);
    pthread_mutex_destroy(&embedder->kept.lock);
    pthread_mutex_destroy(&embedder->fit.lock);
    el_free(embedder->path);
    el_free(embedder);
}

int el_embedder_encode(const struct el_embedder *embedder, const struct el_prompt *prompt,
                       const struct el_text *text, struct el_tokens *tokens) {
    if (!prompt)
        return el_tokenizer_encode(embedder->tokenizer, text->data, text->length, embedder->max_tokens,
                                   tokens);
    el_auto(el_str_done) struct el_str whole = {0};
    EL_TRY(el_str_puts(&whole, prompt->text));
    EL_TRY(el_str_append(&whole, text->data, text->length));
    return el_tokenizer_encode(embedder->tokenizer, whole.data, whole.length, embedder->max_tokens, tokens);
}
