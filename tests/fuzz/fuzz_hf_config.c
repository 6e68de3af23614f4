// SPDX-License-Identifier: Apache-2.0
// Fuzzes the JSON files of a model folder. The input is five texts with NULs between them: config.json or
// modules.json (both are tried), the pooling's, sentence_bert_config, config_sentence_transformers and
// tokenizer_config; an empty one is a missing file.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_bert(const struct el_config_text *file) {
    struct el_bert_config config;
    if (el_bert_config_parse("fuzz", file->text, file->length, &config) < 0) {
        if (!*el_error_detail()) abort();
        return;
    }
    if (config.hidden_size % config.heads || config.max_positions < 2 || config.vocab_size < 1) abort();
}

static void try_sentence(const struct el_sentence_texts *texts) {
    static const struct el_bert_config bert = {.hidden_size = 384, .max_positions = 512};
    struct el_sentence_config config;
    if (el_sentence_config_parse(texts, &bert, &config) < 0) {
        if (!*el_error_detail()) abort();
        return;
    }
    if (config.max_seq_length < 2 || config.max_seq_length > bert.max_positions) abort();
    for (int i = 0; i < config.prompt_count; i++)
        if (!config.prompts[i].name || !config.prompts[i].text) abort();
    el_sentence_config_done(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_config_text part[5] = {0};
    const char *at = (const char *)data, *end = at + size;
    for (int i = 0; i < 5 && at < end; i++) {
        const char *stop = memchr(at, '\0', (size_t)(end - at));
        if (!stop) stop = end;
        if (stop > at) part[i] = (struct el_config_text){.text = at, .length = (size_t)(stop - at)};
        at = stop + 1;
    }
    if (part[0].text) try_bert(&part[0]);
    try_sentence(&(struct el_sentence_texts){.modules = part[0],
                                             .pooling = part[1],
                                             .sentence_bert = part[2],
                                             .sentence_transformers = part[3],
                                             .tokenizer = part[4]});
    return 0;
}
