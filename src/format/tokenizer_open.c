// SPDX-License-Identifier: Apache-2.0
// Opening a tokenizer: which files there are, and the added tokens that both kinds of file have.
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/big_json.h"
#include "format/tokenizer_parts.h"

enum { FILE_LIMIT = 256 << 20, CONFIG_LIMIT = 16 << 20 }; // bytes

static void close_p(struct el_tokenizer **tokenizer) {
    el_tokenizer_close(*tokenizer);
}

// Zeroed parts that can be added to.
static int new_tokenizer(struct el_tokenizer **ret_tokenizer) {
    el_auto(close_p) struct el_tokenizer *t = NULL;
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
    el_auto(close_p) struct el_tokenizer *t = NULL;
    EL_TRY(new_tokenizer(&t));
    EL_TRY(el_tokenizer_read_json(t, what, text, length));
    *ret_tokenizer = el_steal(t);
    return 0;
}

int el_tokenizer_parse_vocab(const char *what, const char *text, size_t length, const char *config,
                             size_t config_length, struct el_tokenizer **ret_tokenizer) {
    el_auto(close_p) struct el_tokenizer *t = NULL;
    el_auto_json json_t *root = NULL;
    if (config) EL_TRY(el_big_json_parse("tokenizer_config.json", config, config_length, &root));
    EL_TRY(new_tokenizer(&t));
    EL_TRY(el_tokenizer_read_vocab(t, what, text, length, root));
    *ret_tokenizer = el_steal(t);
    return 0;
}

static int read_if_there(const char *dir, const char *name, size_t limit, struct el_str *text) {
    el_auto_free char *path = NULL;
    EL_TRY(el_path_join(dir, name, &path));
    return el_path_exists(path) ? el_read_file(path, limit, text) : 0;
}

static int parse_if_there(const char *dir, const char *name, json_t **ret_root) {
    el_auto_free char *path = NULL;
    EL_TRY(el_path_join(dir, name, &path));
    return el_path_exists(path) ? el_big_json_parse_file(path, CONFIG_LIMIT, ret_root) : 0;
}

static int open_file(const char *dir, const json_t *config, struct el_tokenizer *t) {
    el_auto(el_str_done) struct el_str text = {0};
    el_auto_free char *path = NULL;
    EL_TRY(read_if_there(dir, "tokenizer.json", FILE_LIMIT, &text));
    const bool json = text.data != NULL;
    if (!json) EL_TRY(read_if_there(dir, "vocab.txt", FILE_LIMIT, &text));
    if (!text.data) return el_fail(EL_ENOENT, "%s has neither tokenizer.json nor vocab.txt", dir);
    EL_TRY(el_path_join(dir, json ? "tokenizer.json" : "vocab.txt", &path));
    return json ? el_tokenizer_read_json(t, path, text.data, text.length)
                : el_tokenizer_read_vocab(t, path, text.data, text.length, config);
}

// What the files beside may ask for that would give other ids.
static int check_beside(const char *dir, const json_t *config, const struct el_tokenizer *t) {
    el_auto_json json_t *sentence = NULL;
    const char *side = NULL;
    bool lower = false;
    EL_TRY(parse_if_there(dir, "sentence_bert_config.json", &sentence));
    EL_TRY(el_json_get_str_or("tokenizer_config.json", config, "truncation_side", "right", &side));
    EL_TRY(el_json_get_bool_or("sentence_bert_config.json", sentence, "do_lower_case", false, &lower));
    if (strcmp(side, "right") != 0)
        return el_fail(EL_EUNSUPPORTED, "%s: truncation_side \"%s\" is not supported; \"right\" is", dir,
                       side);
    if (lower && !t->text.lowercase)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: do_lower_case in sentence_bert_config.json is not supported with a "
                       "tokenizer that keeps upper case",
                       dir);
    return 0;
}

int el_tokenizer_open(const char *dir, struct el_tokenizer **ret_tokenizer) {
    el_auto(close_p) struct el_tokenizer *t = NULL;
    el_auto_json json_t *config = NULL;
    EL_TRY(new_tokenizer(&t));
    EL_TRY(parse_if_there(dir, "tokenizer_config.json", &config));
    EL_TRY(open_file(dir, config, t));
    EL_TRY(check_beside(dir, config, t));
    *ret_tokenizer = el_steal(t);
    return 0;
}

int32_t el_tokenizer_vocab_size(const struct el_tokenizer *tokenizer) {
    return EL_MAX(tokenizer->words.max_id, tokenizer->max_added_id) + 1;
}
