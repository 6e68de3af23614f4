// SPDX-License-Identifier: Apache-2.0
// Fuzzes encoding: the same bytes give the same ids, ids are in range, truncation keeps a prefix, and bytes
// that are no UTF-8 give what their repaired text gives. Once per set of text rules.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "format/tokenizer.h"
#include "format/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 4, LIMIT = 7 };

// Normal form on and off, and added tokens that are sought in the raw text and in the normal form.
static const char *const normalizers[RULES] = {
    "{\"type\":\"BertNormalizer\"}",
    "{\"type\":\"BertNormalizer\",\"clean_text\":false,\"strip_accents\":true,\"lowercase\":false}",
    "{\"type\":\"BertNormalizer\",\"strip_accents\":false,\"handle_chinese_chars\":false}",
    "null",
};
static const char rest[] =
    ",\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
    "\"added_tokens\":[{\"content\":\"[SEP]\",\"special\":true,\"normalized\":false},"
    "{\"content\":\"\\u00e9 \",\"lstrip\":true,\"normalized\":true},"
    "{\"content\":\"ab\",\"single_word\":true,\"rstrip\":true,\"normalized\":false},"
    "{\"content\":\" \",\"lstrip\":true,\"rstrip\":true,\"normalized\":true}],"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":20,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"b\":4,\"abc\":"
    "5,"
    "\"##a\":6,\"##b\":7,\"##bc\":8,\"e\":9,\"##\\u0301\":10,\"\\u4e2d\":11,\"[\":12,\"##\\ud834\\udd65\":13}"
    "}}";

static struct el_tokenizer *open_rules(int index) {
    struct el_tokenizer *tokenizer = NULL;
    struct el_str file = {0};
    if (el_str_printf(&file, "{\"normalizer\":%s%s", normalizers[index], rest) < 0) abort();
    if (el_tokenizer_parse("fuzz", file.data, file.length, &tokenizer) < 0) abort();
    el_str_done(&file);
    return tokenizer;
}

static void check(const struct el_tokenizer *tokenizer, const char *text, size_t length) {
    struct el_tokens all = {0}, again = {0};
    struct el_str repaired = {0};
    if (el_tokenizer_encode(tokenizer, text, length, 0, &all) < 0 || all.count != all.total) abort();
    for (int32_t i = 0; i < all.count; i++)
        if (all.id[i] < 0 || all.id[i] >= el_tokenizer_vocab_size(tokenizer)) abort();

    if (el_tokenizer_encode(tokenizer, text, length, LIMIT, &again) < 0 || again.total != all.total) abort();
    if (again.count != EL_MIN(all.count, LIMIT)) abort();
    if (memcmp(all.id, again.id, (size_t)(again.count - 1) * sizeof *all.id) != 0) abort();
    if (again.id[again.count - 1] != 2) abort();

    if (el_utf8_repair(text, length, &repaired) < 0) abort();
    if (el_utf8_valid(repaired.data, repaired.length) != repaired.length) abort();
    if (el_tokenizer_encode(tokenizer, repaired.data, repaired.length, 0, &again) < 0) abort();
    if (again.count != all.count || memcmp(all.id, again.id, (size_t)all.count * sizeof *all.id) != 0)
        abort();
    el_str_done(&repaired);
    el_tokens_done(&again);
    el_tokens_done(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct el_tokenizer *tokenizers[RULES];
    for (int i = 0; i < RULES; i++) {
        if (!tokenizers[i]) tokenizers[i] = open_rules(i);
        check(tokenizers[i], (const char *)data, size);
    }
    return 0;
}
