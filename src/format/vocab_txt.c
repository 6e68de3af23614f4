// SPDX-License-Identifier: Apache-2.0
// vocab.txt (a token a line, its number the id) with tokenizer_config.json: what models have that were made
// before there was a tokenizer.json. They get what transformers makes of them.
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/tokenizer_parts.h"
#include "format/utf8.h"

static int read_lines(struct el_wordpiece *words, const char *what, const char *text, size_t length) {
    size_t valid = el_utf8_valid(text, length);
    if (valid < length) return el_fail(EL_EFORMAT, "%s: byte %zu is not UTF-8", what, valid);
    int32_t id = 0;
    for (size_t at = 0; at < length; id++) {
        size_t end = at;
        while (end < length && text[end] != '\n' && text[end] != '\r')
            end++;
        if (id > EL_TOKENIZER_MAX_ID)
            return el_fail(EL_EFORMAT, "%s: over %d lines", what, EL_TOKENIZER_MAX_ID);
        EL_TRY(el_wordpiece_add(words, text + at, end - at, id));
        bool pair = end + 1 < length && text[end] == '\r' && text[end + 1] == '\n';
        at = end + (pair ? 2 : 1);
    }
    return 0;
}

static int read_rules(struct el_bert_text *text, const char *what, const json_t *config) {
    text->clean_text = true;
    EL_TRY(el_json_get_bool_or(what, config, "do_lower_case", true, &text->lowercase));
    EL_TRY(el_json_get_bool_or(what, config, "tokenize_chinese_chars", true, &text->chinese_chars));
    EL_TRY(el_json_get_bool_or(what, config, "strip_accents", text->lowercase, &text->strip_accents));
    return el_bert_text_init(text);
}

// What would make another tokenizer than BERT's.
static int check_config(const char *what, const json_t *config) {
    static const char *const classes[] = {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                                          "DistilBertTokenizerFast"};
    const char *class = NULL;
    bool basic = true, known = false;
    EL_TRY(el_json_get_str_or(what, config, "tokenizer_class", classes[0], &class));
    EL_TRY(el_json_get_bool_or(what, config, "do_basic_tokenize", true, &basic));
    for (size_t i = 0; i < EL_COUNT(classes); i++)
        known = known || strcmp(class, classes[i]) == 0;
    if (!known)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: tokenizer_class %s is not supported from vocab.txt; BertTokenizer is", what,
                       class);
    if (!basic) return el_fail(EL_EUNSUPPORTED, "%s: do_basic_tokenize false is not supported", what);
    if (json_array_size(json_object_get(config, "never_split")))
        return el_fail(EL_EUNSUPPORTED, "%s: never_split is not supported", what);
    return 0;
}

// "cls_token" and the like: a string, or an object with "content"; else the default.
static const char *special(const json_t *config, const char *key, const char *fallback) {
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? json_string_value(value) : fallback;
}

// The five special tokens of BERT, unless added_tokens_decoder has described them.
static int add_special(struct el_tokenizer *t, const char *what, const char *content,
                       struct el_affix *affix) {
    int32_t id = el_trie_find(&t->words.vocab, content, strlen(content));
    if (id == EL_TRIE_NONE)
        return el_fail(EL_EFORMAT, "%s: the special token \"%s\" is not in the vocabulary", what, content);
    if (affix) affix->id[affix->count++] = id;
    if (el_trie_find(&t->contents, content, strlen(content)) != EL_TRIE_NONE) return 0;
    el_auto_json json_t *token =
        json_pack("{s:s, s:b, s:b}", "content", content, "normalized", 0, "special", 1);
    if (!token) return el_fail(EL_ENOMEM, "%s: no memory for a special token", what);
    return el_tokenizer_add_token(t, what, token);
}

// added_tokens_decoder: "id": token. They are added by rising id, as transformers does, which must give them
// these ids.
static int add_decoder_tokens(struct el_tokenizer *t, const char *what, const json_t *decoder) {
    const char *key;
    json_t *token;
    int64_t id = 0;
    size_t added = 0;
    for (int64_t least = 0; added < json_object_size(decoder); least = id + 1, added++) {
        const json_t *next = NULL;
        json_object_foreach((json_t *)(uintptr_t)decoder, key, token) {
            int64_t number = 0;
            EL_TRY(el_parse_i64(key, 0, EL_TOKENIZER_MAX_ID, &number));
            if (number < least || (next && number >= id)) continue;
            id = number;
            next = token;
        }
        if (!next) return el_fail(EL_EFORMAT, "%s: added_tokens_decoder has an id twice", what);
        EL_TRY(el_tokenizer_add_token(t, what, next));
        const char *content = json_string_value(json_object_get(next, "content"));
        if (el_trie_find(&t->contents, content, strlen(content)) != id)
            return el_fail(EL_EUNSUPPORTED, "%s: added token \"%s\" can't have the id %lld that it asks for",
                           what, content, (long long)id);
    }
    return 0;
}

int el_tokenizer_read_vocab(struct el_tokenizer *t, const char *what, const char *text, size_t length,
                            const json_t *config) {
    const json_t *decoder = json_object_get(config, "added_tokens_decoder");
    EL_TRY(check_config(what, config));
    EL_TRY(read_lines(&t->words, what, text, length));
    EL_TRY(el_wordpiece_finish(&t->words, what, special(config, "unk_token", "[UNK]"), "##", 100));
    EL_TRY(read_rules(&t->text, what, config));
    EL_TRY(add_decoder_tokens(t, what, decoder));
    EL_TRY(add_special(t, what, special(config, "unk_token", "[UNK]"), NULL));
    EL_TRY(add_special(t, what, special(config, "pad_token", "[PAD]"), NULL));
    EL_TRY(add_special(t, what, special(config, "mask_token", "[MASK]"), NULL));
    EL_TRY(add_special(t, what, special(config, "cls_token", "[CLS]"), &t->prefix));
    return add_special(t, what, special(config, "sep_token", "[SEP]"), &t->suffix);
}
