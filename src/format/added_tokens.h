// SPDX-License-Identifier: Apache-2.0
// Added tokens: texts such as "[SEP]" that are found in the text before it is cut into words (Hugging Face's
// AddedVocabulary). One set holds those sought in the raw text, another those sought in its normal form.
#ifndef EL_FORMAT_ADDED_TOKENS_H
#define EL_FORMAT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/char_class.h"
#include "format/trie.h"

struct el_added_token {
    int32_t id;
    bool single_word;    // only where no word character touches it
    bool lstrip, rstrip; // takes the spaces on that side with it
};

struct el_added_set {
    struct el_trie trie; // content -> index of tokens
    struct el_added_token *tokens;
    int32_t count;
    bool first[256]; // bytes that some content begins with
};

// EL_ENOMEM.
int el_added_set_init(struct el_added_set *set);
void el_added_set_done(struct el_added_set *set);
// `content` is valid UTF-8 and not empty. *ret_before: the id that has had this content, or EL_TRIE_NONE;
// that one gives way. EL_ENOMEM, EL_ETOOBIG.
int el_added_set_add(struct el_added_set *set, const void *content, size_t length,
                     struct el_added_token token, int32_t *ret_before);

struct el_added_match {
    size_t start, stop; // bytes, with the spaces that were stripped
    int32_t id;
};
// Where the search stands; zero to begin.
struct el_added_cursor {
    size_t search; // the next byte to look at
    size_t taken;  // the end of the last match
};
// The next match, leftmost and then longest, in valid UTF-8; false: no more.
bool el_added_next(const struct el_added_set *set, const struct el_char_table *chars, const uint8_t *text,
                   size_t length, struct el_added_cursor *cursor, struct el_added_match *ret_match);

#endif
