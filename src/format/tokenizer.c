// SPDX-License-Identifier: Apache-2.0
// Text to ids: raw text is cut at added tokens, the pieces between are normalised, cut again at the added
// tokens of normalised text, and what is left goes word by word through WordPiece.
#include "format/tokenizer.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "format/tokenizer_parts.h"
#include "format/utf8.h"

static const size_t text_limit = (size_t)1 << 28; // bytes; so that no count of tokens overflows

// One text on its way.
struct encoding {
    const struct el_tokenizer *tokenizer;
    struct el_tokens *tokens;
    size_t room;  // ids that may be kept
    size_t total; // ids found; those over `room` are not kept
};

// Room for `more` ids behind those that are kept.
static int reserve(struct encoding *e, size_t more) {
    struct el_tokens *tokens = e->tokens;
    size_t needed = EL_MIN(e->total, e->room) + more;
    if (needed <= (size_t)tokens->capacity) return 0;
    size_t capacity = EL_MAX(needed, (size_t)tokens->capacity * 2);
    EL_TRY(el_realloc(&tokens->id, capacity, sizeof *tokens->id));
    tokens->capacity = (int32_t)capacity;
    return 0;
}

// Where the next ids go; those that don't count any more are written over by the next.
static int32_t *next_id(const struct encoding *e) {
    return e->tokens->id + EL_MIN(e->total, e->room);
}

typedef int piece_fn(struct encoding *e, const uint8_t *text, size_t length);

// Cuts text at the added tokens of a set, and hands the pieces between them on.
static int split(struct encoding *e, const struct el_added_set *set, const uint8_t *text, size_t length,
                 piece_fn *piece) {
    struct el_added_cursor cursor = {0};
    struct el_added_match match;
    size_t taken = 0;
    while (el_added_next(set, &e->tokenizer->text.chars, text, length, &cursor, &match)) {
        if (taken < match.start) EL_TRY(piece(e, text + taken, match.start - taken));
        EL_TRY(reserve(e, 1));
        *next_id(e) = match.id;
        e->total++;
        taken = match.stop;
    }
    return taken < length ? piece(e, text + taken, length - taken) : 0;
}

static int encode_words(struct encoding *e, const uint8_t *text, size_t length) {
    const struct el_tokenizer *t = e->tokenizer;
    struct el_word word;
    for (size_t at = 0; el_bert_next_word(&t->text, text, length, &at, &word);) {
        bool too_long = word.chars > (size_t)t->words.max_chars;
        EL_TRY(reserve(e, too_long ? 1 : word.length));
        e->total += el_wordpiece_encode(&t->words, word.start, word.length, word.chars, next_id(e));
    }
    return 0;
}

static int normalize_piece(struct encoding *e, const uint8_t *text, size_t length) {
    struct el_str *form = &e->tokens->normalized;
    el_str_clear(form);
    EL_TRY(el_bert_normalize(&e->tokenizer->text, text, length, form));
    return split(e, &e->tokenizer->normalized, (uint8_t *)form->data, form->length, encode_words);
}

static int put_affix(struct encoding *e, const struct el_affix *affix) {
    EL_TRY(reserve(e, EL_TOKENIZER_MAX_AFFIX));
    memcpy(next_id(e), affix->id, (size_t)affix->count * sizeof affix->id[0]);
    e->total += (size_t)affix->count;
    return 0;
}

int el_tokenizer_encode(const struct el_tokenizer *t, const char *text, size_t length, int32_t limit,
                        struct el_tokens *tokens) {
    size_t most = limit > 0 ? (size_t)limit : SIZE_MAX; // special tokens counted
    size_t suffix = (size_t)t->suffix.count;
    struct encoding e = {.tokenizer = t, .tokens = tokens, .room = most - EL_MIN(most, suffix)};
    if (length > text_limit)
        return el_fail(EL_ETOOBIG, "a text of %zu bytes is over %zu", length, text_limit);
    tokens->count = tokens->total = 0;
    if (el_utf8_valid(text, length) < length) {
        el_str_clear(&tokens->repaired);
        EL_TRY(el_utf8_repair(text, length, &tokens->repaired));
        text = tokens->repaired.data;
        length = tokens->repaired.length;
    }
    EL_TRY(put_affix(&e, &t->prefix));
    EL_TRY(split(&e, &t->raw, (const uint8_t *)text, length, normalize_piece));
    size_t kept = EL_MIN(e.total, e.room);
    e.room = most;
    size_t total = e.total;
    e.total = kept;
    EL_TRY(put_affix(&e, &t->suffix));
    tokens->count = (int32_t)EL_MIN(e.total, most);
    tokens->total = (int32_t)(total + suffix);
    return 0;
}

void el_tokens_done(struct el_tokens *tokens) {
    el_free(tokens->id);
    el_str_done(&tokens->repaired);
    el_str_done(&tokens->normalized);
    *tokens = (struct el_tokens){0};
}
