// SPDX-License-Identifier: Apache-2.0
// Token ids against the Hugging Face tokenizer's, which tokens.py wrote down: sample texts and the STS
// sentences with MiniLM's tokenizer, added tokens of all flags with small ones, and every code point.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "common/sts.h"
#include "format/tokenizer.h"
#include "format/utf8.h"

enum { UNKNOWN = 0xD800, CLS, SEP, CONTINUED = 0x110000, BLOCKS = 0x110000 / 256, POINT_SETS = 3 };
static const char separator[] = "\n__ggml_vocab_test__\n";

static json_t *golden;

static int read_golden(void **state) {
    (void)state;
    return el_json_parse_file(EL_SOURCE_DIR "/tests/golden/tokens.json", 1 << 22, &golden);
}

static int drop_golden(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

// MiniLM's tokenizer from the shared data; skips the test where that is not.
static struct el_tokenizer *open_minilm(void) {
    struct el_tokenizer *tokenizer = NULL;
    if (!el_path_exists(EL_TEST_DATA "/minilm/tokenizer.json")) {
        printf("SKIPPED: no %s: MiniLM's ids are not compared\n", EL_TEST_DATA "/minilm/tokenizer.json");
        skip();
    }
    assert_int_equal(el_tokenizer_open(EL_TEST_DATA "/minilm", &tokenizer), 0);
    return tokenizer;
}

static void unhex(const char *hex, struct el_str *bytes) {
    el_str_clear(bytes);
    for (; *hex; hex += 2) {
        const char two[3] = {hex[0], hex[1], '\0'};
        assert_int_equal(el_str_putc(bytes, (char)strtol(two, NULL, 16)), 0);
    }
}

// FNV-1a over ids, as tokens.py has it.
static uint32_t fnv(uint32_t hash, const int32_t *ids, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        for (int shift = 0; shift < 32; shift += 8)
            hash = (hash ^ ((uint32_t)ids[i] >> shift & 0xFF)) * 0x01000193u;
    return hash;
}
static const uint32_t fnv_start = 0x811C9DC5u;

// Each row is [hex, ids]. Truncation keeps a prefix and the last token.
static void check_rows(const struct el_tokenizer *tokenizer, const json_t *rows) {
    struct el_tokens tokens = {0};
    struct el_str text = {0};
    for (size_t row = 0; row < json_array_size(rows); row++) {
        const char *hex = json_string_value(json_array_get(json_array_get(rows, row), 0));
        const json_t *ids = json_array_get(json_array_get(rows, row), 1);
        unhex(hex, &text);
        assert_int_equal(el_tokenizer_encode(tokenizer, text.data, text.length, 0, &tokens), 0);
        bool same = (size_t)tokens.count == json_array_size(ids);
        for (int32_t i = 0; same && i < tokens.count; i++)
            same = tokens.id[i] == json_integer_value(json_array_get(ids, (size_t)i));
        if (!same) print_error("row %zu, text %s\n", row, hex);
        assert_true(same);
        assert_int_equal(tokens.total, tokens.count);
    }
    el_str_done(&text);
    el_tokens_done(&tokens);
}

static void samples_are_equal(void **state) {
    (void)state;
    struct el_tokenizer *tokenizer = open_minilm();
    assert_true(json_array_size(json_object_get(golden, "minilm")) > 100);
    check_rows(tokenizer, json_object_get(golden, "minilm"));
    el_tokenizer_close(tokenizer);
}

static void added_tokens_are_equal(void **state) {
    (void)state;
    const json_t *cases = json_object_get(golden, "cases");
    assert_int_equal(json_array_size(cases), 60);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        struct el_tokenizer *tokenizer = NULL;
        char *file = json_dumps(json_object_get(one, "tokenizer"), 0);
        assert_non_null(file);
        if (el_tokenizer_parse("case", file, strlen(file), &tokenizer) < 0)
            fail_msg("case %zu: %s", i, el_error_detail());
        free(file); // jansson's own malloc
        check_rows(tokenizer, json_object_get(one, "texts"));
        el_tokenizer_close(tokenizer);
    }
}

static void check_hash(const struct el_tokenizer *tokenizer, const char *text, size_t length,
                       const struct el_map *hashes, size_t index) {
    struct el_tokens tokens = {0};
    assert_in_range(index, 0, hashes->size / 4 - 1);
    assert_int_equal(el_tokenizer_encode(tokenizer, text, length, 0, &tokens), 0);
    const uint32_t expected = ((const uint32_t *)(const void *)hashes->data)[index];
    if (fnv(fnv_start, tokens.id, tokens.count) != expected)
        fail_msg("text %zu has other ids: %.*s", index, (int)length, text);
    el_tokens_done(&tokens);
}

static void sts_is_equal(void **state) {
    (void)state;
    static struct sts sts;
    struct el_map hashes = {0};
    struct el_str bge = {0};
    struct el_tokenizer *tokenizer = open_minilm();
    if (!sts_read(EL_TEST_DATA "/eval/sts-test.csv", &sts)) skip();
    assert_int_equal(el_map_open(EL_SOURCE_DIR "/tests/golden/tokens_sts.u32", &hashes), 0);
    size_t index = 0;
    for (; index < STS_SENTENCES; index++)
        check_hash(tokenizer, sts.sentence[index].data, sts.sentence[index].length, &hashes, index);

    assert_int_equal(el_read_file(EL_TEST_DATA "/tokenizers/ggml-vocab-bert-bge.gguf.inp", 1 << 20, &bge), 0);
    for (const char *text = bge.data; text; index++) {
        const char *end = strstr(text, separator);
        check_hash(tokenizer, text, end ? (size_t)(end - text) : strlen(text), &hashes, index);
        text = end ? end + strlen(separator) : NULL;
    }
    assert_int_equal(index, hashes.size / 4);
    el_str_done(&bge);
    el_map_close(&hashes);
    sts_done(&sts);
    el_tokenizer_close(tokenizer);
}

// tokenizer.json with a vocabulary of every code point, on its own and continuing a word, so that the ids
// tell each character of the normal form and where words were cut.
static void write_vocab(struct el_str *file) {
    el_str_printf(file, "\"vocab\":{\"[UNK]\":%d,\"[CLS]\":%d,\"[SEP]\":%d", UNKNOWN, CLS, SEP);
    for (uint32_t c = 0; c < CONTINUED; c++) {
        uint8_t utf8[5] = {0};
        if (c == 0xD800) c = 0xE000; // surrogates are no code points
        const size_t length = el_utf8_encode(c, utf8);
        for (int continued = 0; continued < 2; continued++) {
            el_str_puts(file, continued ? ",\"##" : ",\"");
            if (c < 0x20 || c == '"' || c == '\\')
                el_str_printf(file, "\\u%04x", c);
            else
                el_str_append(file, utf8, length);
            el_str_printf(file, "\":%u", continued ? CONTINUED + c : c);
        }
    }
    assert_int_equal(el_str_putc(file, '}'), 0);
}

static struct el_tokenizer *open_points(const char *normalizer) {
    struct el_str file = {0};
    struct el_tokenizer *tokenizer = NULL;
    el_str_printf(
        &file,
        "{\"normalizer\":{\"type\":\"BertNormalizer\",%s},\"pre_tokenizer\":{\"type\":"
        "\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",%d],"
        "\"cls\":[\"[CLS]\",%d]},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",",
        normalizer, SEP, CLS);
    write_vocab(&file);
    assert_int_equal(el_str_puts(&file, "}}"), 0);
    if (el_tokenizer_parse("points", file.data, file.length, &tokenizer) < 0)
        fail_msg("%s", el_error_detail());
    el_str_done(&file);
    return tokenizer;
}

static uint32_t hash_text(const struct el_tokenizer *tokenizer, uint32_t hash, struct el_tokens *tokens,
                          const char *before, uint32_t c, const char *after, bool again) {
    char text[32] = "";
    uint8_t utf8[4];
    size_t length = strlen(before);
    const size_t size = el_utf8_encode(c, utf8);
    memcpy(text, before, length);
    memcpy(text + length, utf8, size);
    length += size;
    memcpy(text + length, after, strlen(after));
    length += strlen(after);
    if (again) memcpy(text + length, utf8, size);
    length += again ? size : 0;
    assert_int_equal(el_tokenizer_encode(tokenizer, text, length, 0, tokens), 0);
    return fnv(hash, tokens->id, tokens->count);
}

static void every_code_point_is_equal(void **state) {
    (void)state;
    static const char *const normalizers[POINT_SETS] = {
        "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true",
        "\"clean_text\":false,\"handle_chinese_chars\":false,\"strip_accents\":true,\"lowercase\":false",
        "\"clean_text\":false,\"handle_chinese_chars\":true,\"strip_accents\":false,\"lowercase\":true"};
    struct el_tokens tokens = {0};
    struct el_map hashes = {0};
    int wrong = 0;
    assert_int_equal(el_map_open(EL_SOURCE_DIR "/tests/golden/tokens_points.u32", &hashes), 0);
    assert_int_equal(hashes.size, POINT_SETS * BLOCKS * 4);
    for (size_t set = 0; set < POINT_SETS; set++) {
        struct el_tokenizer *tokenizer = open_points(normalizers[set]);
        for (uint32_t block = 0; block < BLOCKS; block++) {
            uint32_t hash = fnv_start;
            for (uint32_t c = block * 256; c < block * 256 + 256; c++) {
                if (c >= 0xD800 && c <= 0xDFFF) continue;
                hash = hash_text(tokenizer, hash, &tokens, "", c, "", false);
                hash = hash_text(tokenizer, hash, &tokens, "A", c, "b", false);
                hash = hash_text(tokenizer, hash, &tokens, "e", c, "\u0316\u0301", true);
            }
            if (hash == ((const uint32_t *)(const void *)hashes.data)[set * BLOCKS + block]) continue;
            print_error("U+%04X to U+%04X differ under normaliser %zu\n", block * 256, block * 256 + 255,
                        set);
            wrong++;
        }
        el_tokenizer_close(tokenizer);
    }
    assert_int_equal(wrong, 0);
    el_map_close(&hashes);
    el_tokens_done(&tokens);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_equal),
        cmocka_unit_test(added_tokens_are_equal),
        cmocka_unit_test(sts_is_equal),
        cmocka_unit_test(every_code_point_is_equal),
    };
    return cmocka_run_group_tests(tests, read_golden, drop_golden);
}
