// SPDX-License-Identifier: Apache-2.0
// Finding added tokens: a look at each byte that one of them can begin with, and a walk down the trie there.
// The order of the checks is Hugging Face's (added_vocabulary.rs), since it shows in the result.
#include "format/added_tokens.h"

#include "base/error.h"
#include "base/mem.h"
#include "format/utf8.h"

int el_added_set_init(struct el_added_set *set) {
    return el_trie_init(&set->trie);
}

void el_added_set_done(struct el_added_set *set) {
    el_trie_done(&set->trie);
    el_free(set->tokens);
    set->tokens = NULL;
}

int el_added_set_add(struct el_added_set *set, const void *content, size_t length,
                     struct el_added_token token, int32_t *ret_before) {
    int32_t before = EL_TRIE_NONE;
    EL_TRY(el_realloc(&set->tokens, (size_t)set->count + 1, sizeof *set->tokens));
    EL_TRY(el_trie_add(&set->trie, content, length, set->count, &before));
    set->tokens[set->count++] = token;
    set->first[*(const uint8_t *)content] = true;
    *ret_before = before == EL_TRIE_NONE ? EL_TRIE_NONE : set->tokens[before].id;
    return 0;
}

// The longest content that the text begins with: its token, or NULL.
static const struct el_added_token *longest(const struct el_added_set *set, const uint8_t *text,
                                            size_t length, size_t *ret_length) {
    const struct el_added_token *found = NULL;
    uint32_t node = EL_TRIE_ROOT;
    for (size_t i = 0; i < length && (node = el_trie_step(&set->trie, node, text[i])); i++) {
        if (set->trie.values[node] == EL_TRIE_NONE) continue;
        found = &set->tokens[set->trie.values[node]];
        *ret_length = i + 1;
    }
    return found;
}

static unsigned class_after(const struct el_char_table *chars, const uint8_t *text, size_t at,
                            size_t *ret_length) {
    return el_char_class(chars, el_utf8_decode(text + at, ret_length));
}

static unsigned class_before(const struct el_char_table *chars, const uint8_t *text, size_t at,
                             size_t *ret_start) {
    size_t length;
    *ret_start = el_utf8_before(text, at);
    return el_char_class(chars, el_utf8_decode(text + *ret_start, &length));
}

static bool touches_word(const struct el_char_table *chars, const uint8_t *text, size_t length,
                         const struct el_added_match *match) {
    size_t ignored;
    return (match->start > 0 && class_before(chars, text, match->start, &ignored) & EL_CHAR_WORD) ||
           (match->stop < length && class_after(chars, text, match->stop, &ignored) & EL_CHAR_WORD);
}

// Widens the match over spaces. To the left it gives way to what the match before has taken, which may be all
// of it when a token is made of spaces.
static void strip(const struct el_char_table *chars, const uint8_t *text, size_t length, size_t taken,
                  const struct el_added_token *token, struct el_added_match *match) {
    size_t step;
    while (token->lstrip && match->start > taken &&
           class_before(chars, text, match->start, &step) & EL_CHAR_SPACE)
        match->start = step;
    if (token->lstrip) match->start = EL_MAX(match->start, taken);
    while (token->rstrip && match->stop < length &&
           class_after(chars, text, match->stop, &step) & EL_CHAR_SPACE)
        match->stop += step;
}

bool el_added_next(const struct el_added_set *set, const struct el_char_table *chars, const uint8_t *text,
                   size_t length, struct el_added_cursor *cursor, struct el_added_match *ret_match) {
    while (set->count && cursor->search < length) {
        const struct el_added_token *token = NULL;
        size_t start = cursor->search++, found = 0;
        if (set->first[text[start]]) token = longest(set, text + start, length - start, &found);
        if (!token) continue;
        struct el_added_match match = {.start = start, .stop = start + found, .id = token->id};
        cursor->search = match.stop; // matches do not overlap, not even with one that is dropped here
        if (token->single_word && touches_word(chars, text, length, &match)) continue;
        strip(chars, text, length, cursor->taken, token, &match);
        cursor->taken = match.stop;
        if (match.start >= match.stop) continue;
        *ret_match = match;
        return true;
    }
    return false;
}
