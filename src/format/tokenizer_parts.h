// SPDX-License-Identifier: Apache-2.0
// What a tokenizer is made of, for those who read one from its files.
#ifndef EL_FORMAT_TOKENIZER_PARTS_H
#define EL_FORMAT_TOKENIZER_PARTS_H

#include <jansson.h>

#include "format/added_tokens.h"
#include "format/bert_text.h"
#include "format/tokenizer.h"
#include "format/wordpiece.h"

enum { EL_TOKENIZER_MAX_AFFIX = 8, EL_TOKENIZER_MAX_ID = 1 << 24 };

// Special tokens at one end of every text.
struct el_affix {
    int32_t id[EL_TOKENIZER_MAX_AFFIX];
    int32_t count;
};

struct el_tokenizer {
    struct el_bert_text text;
    struct el_wordpiece words;
    struct el_added_set raw;        // added tokens sought before normalisation
    struct el_added_set normalized; // and after it
    struct el_affix prefix, suffix; // [CLS] and [SEP]
    struct el_trie contents;        // of all added tokens -> id
    int32_t added_count;            // added tokens that are not in the vocabulary
    int32_t max_added_id;
};

// Adds an added token as tokenizer.json describes it ("content", "normalized" and so on; "id" does not count,
// as in Hugging Face: the vocabulary's id, or else the next free one). The vocabulary and the text rules are
// complete before. EL_EFORMAT, EL_EUNSUPPORTED, EL_ENOMEM.
int el_tokenizer_add_token(struct el_tokenizer *tokenizer, const char *what, const json_t *token);

// The "vocab" object at `text`, which begins with '{': each "token": id goes into `words`; *ret_length is the
// object's bytes. EL_EFORMAT with the byte, EL_ENOMEM.
int el_vocab_read(struct el_wordpiece *words, const char *what, const char *text, size_t length,
                  size_t *ret_length);
// Where the object model.vocab begins in tokenizer.json; `length` when there is none, or the text is broken
// before it. EL_ENOMEM.
int el_vocab_seek(const char *text, size_t length, size_t *ret_begin);

// Reads tokenizer.json, or vocab.txt with tokenizer_config.json (NULL: missing).
int el_tokenizer_read_json(struct el_tokenizer *tokenizer, const char *what, const char *text, size_t length);
int el_tokenizer_read_vocab(struct el_tokenizer *tokenizer, const char *what, const char *text, size_t length,
                            const json_t *config);

#endif
