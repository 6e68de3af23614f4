// SPDX-License-Identifier: Apache-2.0
// The small JSON files beside a Hugging Face model: config.json, modules.json, pooling, sentence_bert_config
// and config_sentence_transformers, read into plain structs with every value checked.
#ifndef EL_FORMAT_HF_CONFIG_H
#define EL_FORMAT_HF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/ops.h"

// config.json of the BERT family.
struct el_bert_config {
    int64_t vocab_size, hidden_size, layers, heads, intermediate_size, max_positions, type_vocab_size;
    double layer_norm_epsilon;
    enum el_act act;
};

struct el_prompt {
    char *name; // "query"
    char *text; // "query: "
};

// What sentence-transformers adds around the encoder.
struct el_sentence_config {
    enum el_pool pool;
    bool normalize;
    int32_t max_seq_length; // tokens, special ones counted
    struct el_prompt *prompts;
    int prompt_count;
    char *default_prompt; // name, or NULL
};

// EL_EUNSUPPORTED names the architecture and those that are supported; EL_EFORMAT names file and key.
int el_bert_config_read(const char *dir, struct el_bert_config *ret_config);
// Missing files mean sentence-transformers' defaults: mean pooling, no normalisation, the encoder's
// max_positions (or the tokenizer's model_max_length, where that is less), no prompts. `max_seq_length` of
// sentence_bert_config.json wins over tokenizer files. What the service can't do as sentence-transformers
// would (a Dense module, another pooling) is EL_EUNSUPPORTED, by name.
int el_sentence_config_read(const char *dir, const struct el_bert_config *bert,
                            struct el_sentence_config *ret_config);
void el_sentence_config_done(struct el_sentence_config *config);

// The same over texts in memory (fuzzing, tests). NULL text: that file is missing.
struct el_config_text {
    const char *text;
    size_t length;
};
struct el_sentence_texts {
    struct el_config_text modules, pooling, sentence_bert, sentence_transformers, tokenizer;
};
int el_bert_config_parse(const char *what, const char *text, size_t length,
                         struct el_bert_config *ret_config);
int el_sentence_config_parse(const struct el_sentence_texts *texts, const struct el_bert_config *bert,
                             struct el_sentence_config *ret_config);

#endif
