// SPDX-License-Identifier: Apache-2.0
// Text to token ids, exactly as the Hugging Face tokenizer of the model. WordPiece today.
#ifndef EL_FORMAT_TOKENIZER_H
#define EL_FORMAT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct el_tokenizer; // const after open: any number of threads may encode at once

// What one thread encodes into, again and again; zeroed to begin.
struct el_tokens {
    int32_t *id; // owned; special tokens ([CLS] ... [SEP]) included
    int32_t count;
    int32_t capacity;
    int32_t total;                      // what count would be without truncation
    struct el_str repaired, normalized; // the text on its way
};

// Reads `dir`/tokenizer.json, or else `dir`/vocab.txt with tokenizer_config.json. Truncation and padding
// asked for in tokenizer.json are ignored: the caller gives the limit. EL_ENOENT, EL_EFORMAT,
// EL_EUNSUPPORTED (names the part of tokenizer.json that is not supported), EL_ETOOBIG, EL_ENOMEM.
int el_tokenizer_open(const char *dir, struct el_tokenizer **ret_tokenizer);
// The same over the text of tokenizer.json, and over that of vocab.txt with tokenizer_config.json's (NULL:
// missing). `what` names the text in errors.
int el_tokenizer_parse(const char *what, const char *text, size_t length,
                       struct el_tokenizer **ret_tokenizer);
int el_tokenizer_parse_vocab(const char *what, const char *text, size_t length, const char *config,
                             size_t config_length, struct el_tokenizer **ret_tokenizer);
void el_tokenizer_close(struct el_tokenizer *tokenizer);

// One more than the largest id.
int32_t el_tokenizer_vocab_size(const struct el_tokenizer *tokenizer);

// Encodes `text` (any bytes: NULs are kept, bytes that are not UTF-8 count as U+FFFD each maximal part),
// truncated so that count <= limit (special tokens counted; limit 0: none), into *tokens, whose memory is
// used again. EL_ENOMEM, EL_ETOOBIG (over 256 MiB).
int el_tokenizer_encode(const struct el_tokenizer *tokenizer, const char *text, size_t length, int32_t limit,
                        struct el_tokens *tokens);
void el_tokens_done(struct el_tokens *tokens);

#endif
