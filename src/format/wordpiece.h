// SPDX-License-Identifier: Apache-2.0
// WordPiece: a word as the longest token that it begins with, then the longest that continues it, and so on;
// one unknown token when that fails anywhere. https://arxiv.org/abs/1609.08144
#ifndef EL_FORMAT_WORDPIECE_H
#define EL_FORMAT_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/trie.h"

struct el_wordpiece {
    struct el_trie vocab;
    int32_t tokens; // distinct strings in the vocabulary
    int32_t max_id;
    int32_t unknown;     // id
    int32_t max_chars;   // a longer word is unknown
    bool continues;      // some token begins with the prefix
    uint32_t continuing; // the node behind the prefix, where the tokens that continue a word hang
};

// An empty vocabulary. EL_ENOMEM.
int el_wordpiece_init(struct el_wordpiece *words);
void el_wordpiece_done(struct el_wordpiece *words);

// A token that is there already gets the new id, as Hugging Face has it. EL_ENOMEM, EL_ETOOBIG.
int el_wordpiece_add(struct el_wordpiece *words, const void *token, size_t length, int32_t id);
// After the last token. EL_EFORMAT: `unknown` is no token.
int el_wordpiece_finish(struct el_wordpiece *words, const char *what, const char *unknown, const char *prefix,
                        int64_t max_chars);

// Writes the ids of a word of `chars` code points and `length` bytes, at most `length` ids, and tells how
// many.
size_t el_wordpiece_encode(const struct el_wordpiece *words, const uint8_t *word, size_t length, size_t chars,
                           int32_t *ret_ids);

#endif
