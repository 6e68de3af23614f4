// SPDX-License-Identifier: Apache-2.0
// WordPiece over a trie. Tokens that continue a word are stored with their prefix ("##ing"), so they hang
// below the node that the prefix leads to: one trie serves both.
#include "format/wordpiece.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

int el_wordpiece_init(struct el_wordpiece *words) {
    *words = (struct el_wordpiece){.max_id = -1};
    return el_trie_init(&words->vocab);
}

void el_wordpiece_done(struct el_wordpiece *words) {
    el_trie_done(&words->vocab);
}

int el_wordpiece_add(struct el_wordpiece *words, const void *token, size_t length, int32_t id) {
    int32_t before = EL_TRIE_NONE;
    EL_TRY(el_trie_add(&words->vocab, token, length, id, &before));
    words->tokens += before == EL_TRIE_NONE;
    words->max_id = EL_MAX(words->max_id, id);
    return 0;
}

int el_wordpiece_finish(struct el_wordpiece *words, const char *what, const char *unknown, const char *prefix,
                        int64_t max_chars) {
    words->max_chars = (int32_t)max_chars;
    words->unknown = el_trie_find(&words->vocab, unknown, strlen(unknown));
    if (words->unknown == EL_TRIE_NONE)
        return el_fail(EL_EFORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", what, unknown);
    words->continuing = EL_TRIE_ROOT;
    words->continues = true;
    for (; *prefix && words->continues; prefix++) {
        words->continuing = el_trie_step(&words->vocab, words->continuing, (uint8_t)*prefix);
        words->continues = words->continuing != 0;
    }
    return 0;
}

size_t el_wordpiece_encode(const struct el_wordpiece *words, const uint8_t *word, size_t length, size_t chars,
                           int32_t *ret_ids) {
    size_t count = 0;
    uint32_t root = EL_TRIE_ROOT;
    if (chars > (size_t)words->max_chars) goto unknown;
    for (size_t start = 0; start < length;) {
        int32_t longest = EL_TRIE_NONE;
        size_t end = start;
        uint32_t node = root;
        for (size_t at = start; at < length; at++) {
            node = el_trie_step(&words->vocab, node, word[at]);
            if (!node) break;
            if (words->vocab.values[node] == EL_TRIE_NONE) continue;
            longest = words->vocab.values[node];
            end = at + 1;
        }
        if (longest == EL_TRIE_NONE || (start && !words->continues)) goto unknown;
        ret_ids[count++] = longest;
        start = end;
        root = words->continuing;
    }
    return count;
unknown:
    ret_ids[0] = words->unknown;
    return 1;
}
