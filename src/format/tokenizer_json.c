// SPDX-License-Identifier: Apache-2.0
// tokenizer.json of a WordPiece model into the parts of a tokenizer. A file may ask for any of a dozen models
// and a score of normalisers; whatever is not done here is refused by its name.
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/tokenizer_parts.h"

enum { MAX_WORD_CHARS = 1 << 16 };

// `"type"` of an object; "null" for null or nothing.
static const char *type_of(const json_t *object) {
    if (!object || json_is_null(object)) return "null";
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "an object without type";
}

static int unsupported(const char *what, const char *part, const char *type, const char *supported) {
    return el_fail(EL_EUNSUPPORTED, "%s: %s %s is not supported; supported is %s", what, part, type,
                   supported);
}

static int read_normalizer(struct el_bert_text *text, const char *what, const json_t *normalizer) {
    const char *type = type_of(normalizer);
    if (strcmp(type, "null") == 0) return el_bert_text_init(text); // text is taken as it is
    if (strcmp(type, "BertNormalizer") != 0) return unsupported(what, "normalizer", type, "BertNormalizer");
    EL_TRY(el_json_get_bool_or(what, normalizer, "clean_text", true, &text->clean_text));
    EL_TRY(el_json_get_bool_or(what, normalizer, "handle_chinese_chars", true, &text->chinese_chars));
    EL_TRY(el_json_get_bool_or(what, normalizer, "lowercase", true, &text->lowercase));
    EL_TRY(el_json_get_bool_or(what, normalizer, "strip_accents", text->lowercase, &text->strip_accents));
    return el_bert_text_init(text);
}

static int read_model(struct el_wordpiece *words, const char *what, const json_t *model) {
    const char *unknown = NULL, *prefix = NULL, *type = NULL;
    int64_t max_chars = 0;
    // Files of the first versions name no type; these keys tell a WordPiece then.
    const char *untyped = json_object_get(model, "max_input_chars_per_word") ? "WordPiece" : "without type";
    EL_TRY(el_json_get_str_or(what, model, "type", untyped, &type));
    if (strcmp(type, "WordPiece") != 0) return unsupported(what, "model", type, "WordPiece");
    EL_TRY(el_json_get_str_or(what, model, "unk_token", "[UNK]", &unknown));
    EL_TRY(el_json_get_str_or(what, model, "continuing_subword_prefix", "##", &prefix));
    EL_TRY(el_json_get_i64_or(what, model, "max_input_chars_per_word", 1, MAX_WORD_CHARS, 100, &max_chars));
    return el_wordpiece_finish(words, what, unknown, prefix, max_chars);
}

static int put_affix(struct el_affix *affix, const char *what, const json_t *id) {
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > EL_TOKENIZER_MAX_ID)
        return el_fail(EL_EFORMAT, "%s: post_processor: a special token has no proper id", what);
    if (affix->count == EL_TOKENIZER_MAX_AFFIX)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: post_processor: over %d special tokens at one end are not supported", what,
                       EL_TOKENIZER_MAX_AFFIX);
    affix->id[affix->count++] = (int32_t)json_integer_value(id);
    return 0;
}

// One piece of the template for a single text: a special token, or the text itself.
static int read_piece(struct el_tokenizer *t, const char *what, const json_t *piece, const json_t *specials,
                      bool *sequence_seen) {
    const json_t *sequence = json_object_get(piece, "Sequence");
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *part = sequence ? sequence : special;
    const char *id = json_string_value(json_object_get(part, "id"));
    if (!id)
        return el_fail(EL_EFORMAT, "%s: post_processor: a piece is neither Sequence nor SpecialToken", what);
    if (json_integer_value(json_object_get(part, "type_id")) != 0)
        return el_fail(EL_EUNSUPPORTED, "%s: post_processor: type_id other than 0 in \"single\"", what);
    if (sequence) {
        if (*sequence_seen || strcmp(id, "A") != 0)
            return el_fail(EL_EUNSUPPORTED, "%s: post_processor: \"single\" must hold sequence A once", what);
        *sequence_seen = true;
        return 0;
    }
    const json_t *ids = json_object_get(json_object_get(specials, id), "ids");
    if (json_array_size(ids) == 0)
        return el_fail(EL_EFORMAT, "%s: post_processor: special token \"%s\" has no ids", what, id);
    for (size_t i = 0; i < json_array_size(ids); i++)
        EL_TRY(put_affix(*sequence_seen ? &t->suffix : &t->prefix, what, json_array_get(ids, i)));
    return 0;
}

static int read_template(struct el_tokenizer *t, const char *what, const json_t *processor) {
    const json_t *single = json_object_get(processor, "single");
    bool sequence_seen = false;
    if (!json_is_array(single))
        return el_fail(EL_EFORMAT, "%s: post_processor: \"single\" must be a list", what);
    for (size_t i = 0; i < json_array_size(single); i++)
        EL_TRY(read_piece(t, what, json_array_get(single, i), json_object_get(processor, "special_tokens"),
                          &sequence_seen));
    if (!sequence_seen) return el_fail(EL_EFORMAT, "%s: post_processor: \"single\" lacks sequence A", what);
    return 0;
}

static int read_post_processor(struct el_tokenizer *t, const char *what, const json_t *processor) {
    const char *type = type_of(processor);
    if (strcmp(type, "null") == 0) return 0;
    if (strcmp(type, "TemplateProcessing") == 0) return read_template(t, what, processor);
    if (strcmp(type, "BertProcessing") != 0)
        return unsupported(what, "post_processor", type, "TemplateProcessing or BertProcessing");
    EL_TRY(put_affix(&t->prefix, what, json_array_get(json_object_get(processor, "cls"), 1)));
    return put_affix(&t->suffix, what, json_array_get(json_object_get(processor, "sep"), 1));
}

static int read_added_tokens(struct el_tokenizer *t, const char *what, const json_t *tokens) {
    if (tokens && !json_is_null(tokens) && !json_is_array(tokens))
        return el_fail(EL_EFORMAT, "%s: \"added_tokens\" must be a list", what);
    for (size_t i = 0; i < json_array_size(tokens); i++)
        EL_TRY(el_tokenizer_add_token(t, what, json_array_get(tokens, i)));
    return 0;
}

static int read_root(struct el_tokenizer *t, const char *what, const json_t *root) {
    const char *version = NULL, *side = NULL;
    const json_t *splitter = json_object_get(root, "pre_tokenizer");
    EL_TRY(el_json_get_str_or(what, root, "version", "1.0", &version));
    if (strcmp(version, "1.0") != 0) return unsupported(what, "version", version, "1.0");
    EL_TRY(el_json_get_str_or(what, json_object_get(root, "truncation"), "direction", "Right", &side));
    if (strcmp(side, "Right") != 0) return unsupported(what, "truncation direction", side, "Right");
    if (strcmp(type_of(splitter), "BertPreTokenizer") != 0)
        return unsupported(what, "pre_tokenizer", type_of(splitter), "BertPreTokenizer");
    EL_TRY(read_model(&t->words, what, json_object_get(root, "model")));
    EL_TRY(read_normalizer(&t->text, what, json_object_get(root, "normalizer")));
    EL_TRY(read_post_processor(t, what, json_object_get(root, "post_processor")));
    return read_added_tokens(t, what, json_object_get(root, "added_tokens"));
}

int el_tokenizer_read_json(struct el_tokenizer *t, const char *what, const char *text, size_t length) {
    el_auto(el_str_done) struct el_str rest = {0};
    el_auto_json json_t *root = NULL;
    size_t begin = length, vocab = 0;
    EL_TRY(el_vocab_seek(text, length, &begin));
    EL_TRY(el_str_append(&rest, text, begin));
    if (begin < length) {
        EL_TRY(el_vocab_read(&t->words, what, text + begin, length - begin, &vocab));
        EL_TRY(el_str_puts(&rest, "{}"));
        EL_TRY(el_str_append(&rest, text + begin + vocab, length - begin - vocab));
    }
    EL_TRY(el_json_parse(what, rest.data, rest.length, &root));
    return read_root(t, what, root);
}
