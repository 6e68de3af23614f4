// SPDX-License-Identifier: Apache-2.0
// The tokenizer: raw text is cut at added tokens, the pieces between are normalised, cut again at the added
// tokens of normalised text, and what is left goes word by word through WordPiece.
#include "format/tokenizer.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/tokenizer_parts.h"
#include "format/utf8.h"

enum { FILE_LIMIT = 256 << 20, CONFIG_LIMIT = 16 << 20 }; // bytes
static const size_t text_limit = (size_t)1 << 28;         // bytes; so that no count of tokens overflows

// One text on its way.
struct encoding {
    const struct el_tokenizer *tokenizer;
    struct el_tokens *tokens;
    size_t room;  // ids that may be kept
    size_t total; // ids found; those over `room` are not kept
};

// opening ----------------------------------------------------------------------------------------------

int el_tokenizer_new(struct el_tokenizer **ret_tokenizer) {
    el_auto(el_tokenizer_close_p) struct el_tokenizer *t = NULL;
    EL_TRY(el_zalloc(1, sizeof *t, &t));
    EL_TRY(el_wordpiece_init(&t->words));
    EL_TRY(el_added_set_init(&t->raw));
    EL_TRY(el_added_set_init(&t->normalized));
    EL_TRY(el_trie_init(&t->contents));
    *ret_tokenizer = el_steal(t);
    return 0;
}

void el_tokenizer_close(struct el_tokenizer *tokenizer) {
    if (!tokenizer) return;
    el_trie_done(&tokenizer->contents);
    el_added_set_done(&tokenizer->normalized);
    el_added_set_done(&tokenizer->raw);
    el_wordpiece_done(&tokenizer->words);
    el_bert_text_done(&tokenizer->text);
    el_free(tokenizer);
}

void el_tokenizer_close_p(struct el_tokenizer **tokenizer) {
    el_tokenizer_close(*tokenizer);
}

// Puts a token into the set it is sought by. In Hugging Face two tokens of one normal form are drawn by lot.
static int add_to_set(struct el_tokenizer *t, const char *what, const char *content, size_t length,
                      bool normalized, struct el_added_token token) {
    el_auto(el_str_done) struct el_str form = {0};
    int32_t before = EL_TRIE_NONE;
    if (!normalized) return el_added_set_add(&t->raw, content, length, token, &before);
    EL_TRY(el_bert_normalize(&t->text, (const uint8_t *)content, length, &form));
    if (!form.length)
        return el_fail(EL_EUNSUPPORTED, "%s: nothing is left of added token \"%s\" after normalisation", what,
                       content);
    EL_TRY(el_added_set_add(&t->normalized, form.data, form.length, token, &before));
    if (before != EL_TRIE_NONE)
        return el_fail(EL_EUNSUPPORTED, "%s: added token \"%s\" is the same as another after normalisation",
                       what, content);
    return 0;
}

int el_tokenizer_add_token(struct el_tokenizer *t, const char *what, const json_t *token) {
    const json_t *content = json_object_get(token, "content");
    bool special = false, normalized = false;
    struct el_added_token added = {0};
    int32_t before = EL_TRIE_NONE;
    if (!json_is_string(content)) return el_fail(EL_EFORMAT, "%s: an added token has no content", what);
    const char *text = json_string_value(content);
    size_t length = json_string_length(content);
    if (!length) return 0;
    EL_TRY(el_json_get_bool_or(what, token, "special", false, &special));
    EL_TRY(el_json_get_bool_or(what, token, "normalized", !special, &normalized));
    EL_TRY(el_json_get_bool_or(what, token, "single_word", false, &added.single_word));
    EL_TRY(el_json_get_bool_or(what, token, "lstrip", false, &added.lstrip));
    EL_TRY(el_json_get_bool_or(what, token, "rstrip", false, &added.rstrip));
    added.id = el_trie_find(&t->words.vocab, text, length);
    if (added.id == EL_TRIE_NONE) added.id = t->words.tokens + t->added_count++;
    EL_TRY(el_trie_add(&t->contents, text, length, added.id, &before));
    if (before != EL_TRIE_NONE)
        return el_fail(EL_EUNSUPPORTED, "%s: added token \"%s\" is there twice", what, text);
    t->max_added_id = EL_MAX(t->max_added_id, added.id);
    return add_to_set(t, what, text, length, normalized, added);
}

int el_tokenizer_parse(const char *what, const char *text, size_t length,
                       struct el_tokenizer **ret_tokenizer) {
    el_auto(el_tokenizer_close_p) struct el_tokenizer *t = NULL;
    EL_TRY(el_tokenizer_new(&t));
    EL_TRY(el_tokenizer_read_json(t, what, text, length));
    *ret_tokenizer = el_steal(t);
    return 0;
}

int el_tokenizer_parse_vocab(const char *what, const char *text, size_t length, const char *config,
                             size_t config_length, struct el_tokenizer **ret_tokenizer) {
    el_auto(el_tokenizer_close_p) struct el_tokenizer *t = NULL;
    el_auto_json json_t *root = NULL;
    if (config) EL_TRY(el_json_parse("tokenizer_config.json", config, config_length, &root));
    EL_TRY(el_tokenizer_new(&t));
    EL_TRY(el_tokenizer_read_vocab(t, what, text, length, root));
    *ret_tokenizer = el_steal(t);
    return 0;
}

static int read_if_there(const char *dir, const char *name, size_t limit, struct el_str *text) {
    el_auto_free char *path = NULL;
    EL_TRY(el_path_join(dir, name, &path));
    return el_path_exists(path) ? el_read_file(path, limit, text) : 0;
}

int el_tokenizer_open(const char *dir, struct el_tokenizer **ret_tokenizer) {
    el_auto(el_str_done) struct el_str text = {0};
    el_auto(el_str_done) struct el_str config = {0};
    el_auto_free char *path = NULL;
    EL_TRY(el_path_join(dir, "tokenizer.json", &path));
    EL_TRY(read_if_there(dir, "tokenizer.json", FILE_LIMIT, &text));
    if (text.data) return el_tokenizer_parse(path, text.data, text.length, ret_tokenizer);
    EL_TRY(read_if_there(dir, "vocab.txt", FILE_LIMIT, &text));
    if (!text.data) return el_fail(EL_ENOENT, "%s has neither tokenizer.json nor vocab.txt", dir);
    EL_TRY(read_if_there(dir, "tokenizer_config.json", CONFIG_LIMIT, &config));
    el_free(path);
    path = NULL;
    EL_TRY(el_path_join(dir, "vocab.txt", &path));
    return el_tokenizer_parse_vocab(path, text.data, text.length, config.data, config.length, ret_tokenizer);
}

int32_t el_tokenizer_vocab_size(const struct el_tokenizer *tokenizer) {
    return EL_MAX(tokenizer->words.max_id, tokenizer->max_added_id) + 1;
}

// encoding ---------------------------------------------------------------------------------------------

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
