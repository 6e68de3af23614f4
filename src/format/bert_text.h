// SPDX-License-Identifier: Apache-2.0
// Text as BERT reads it: cleaned, Chinese characters set apart, accents stripped, lower case; then cut into
// words at spaces and around punctuation. Hugging Face calls these BertNormalizer and BertPreTokenizer.
#ifndef EL_FORMAT_BERT_TEXT_H
#define EL_FORMAT_BERT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "format/char_class.h"

struct el_bert_text {
    bool clean_text, chinese_chars, strip_accents, lowercase;
    struct el_char_table chars;
    uint16_t ascii[128]; // what an ASCII character becomes, or EL_BERT_DROPPED
};
enum { EL_BERT_DROPPED = 0x100 };

// Derives the tables from the four switches. EL_ENOMEM.
int el_bert_text_init(struct el_bert_text *text);
void el_bert_text_done(struct el_bert_text *text);

// Appends the normal form of `text`, which must be valid UTF-8. EL_ENOMEM.
int el_bert_normalize(const struct el_bert_text *rules, const uint8_t *text, size_t length,
                      struct el_str *str);

struct el_word {
    const uint8_t *start;
    size_t length, chars; // bytes, code points
};

// The next word of normalised text at *position, which moves on; false: no more.
bool el_bert_next_word(const struct el_bert_text *rules, const uint8_t *text, size_t length, size_t *position,
                       struct el_word *ret_word);

#endif
