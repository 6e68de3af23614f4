// SPDX-License-Identifier: Apache-2.0
// The tokenizer's edges: truncation, long and broken texts, files that must be refused, vocab.txt, threads.
// That its ids are right is for tests/golden/test_tokens.c to say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/tokenizer.h"
#include "format/utf8.h"

enum { PAD, UNK, CLS, SEP, MASK, HELLO, WORLD, UN, AFF, ABLE, COMMA, E, CAFE };

#define VOCAB                                                                                         \
    "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"hello\":5,\"world\":6,\"un\":7," \
    "\"##aff\":8,\"##able\":9,\",\":10,\"e\":11,\"caf\\u0065\":12}"
#define MODEL                                                                               \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
    "\"max_input_chars_per_word\":100,\"vocab\":" VOCAB "}"
#define ADDED(content, more) "{\"id\":0,\"content\":\"" content "\",\"normalized\":false" more "}"
#define TEMPLATE                                                                                             \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"      \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],"      \
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3]}}" \
    "}"
#define NORMALIZER                                                                                           \
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null," \
    "\"lowercase\":true}"
#define SPLITTER "{\"type\":\"BertPreTokenizer\"}"
#define FILE_OF(normalizer, splitter, processor, added, model)                       \
    "{\"version\":\"1.0\",\"normalizer\":" normalizer ",\"pre_tokenizer\":" splitter \
    ",\"post_processor\":" processor ",\"added_tokens\":[" added "],\"model\":" model "}"
static const char plain[] = FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, ADDED("[SEP]", ""), MODEL);

static struct el_tokenizer *parse(const char *file) {
    struct el_tokenizer *tokenizer = NULL;
    if (el_tokenizer_parse("tokenizer.json", file, strlen(file), &tokenizer) < 0)
        fail_msg("%s", el_error_detail());
    return tokenizer;
}

static void check(const struct el_tokenizer *tokenizer, const char *text, size_t length, int32_t limit,
                  const int32_t *ids, int32_t count) {
    struct el_tokens tokens = {0};
    assert_int_equal(el_tokenizer_encode(tokenizer, text, length, limit, &tokens), 0);
    if (tokens.count != count || memcmp(tokens.id, ids, (size_t)count * sizeof *ids) != 0) {
        for (int32_t i = 0; i < EL_MIN(tokens.count, 50); i++)
            print_error("%d ", tokens.id[i]);
        fail_msg("\"%s\": other ids", text);
    }
    el_tokens_done(&tokens);
}
#define IDS(...) (const int32_t[]){__VA_ARGS__}, (int32_t)EL_COUNT(((const int32_t[]){__VA_ARGS__}))

static void words(void **state) {
    (void)state;
    struct el_tokenizer *t = parse(plain);
    assert_int_equal(el_tokenizer_vocab_size(t), 13);
    check(t, "", 0, 0, IDS(CLS, SEP));
    check(t, NULL, 0, 0, IDS(CLS, SEP));
    check(t, "Hello, WORLD", 12, 0, IDS(CLS, HELLO, COMMA, WORLD, SEP));
    check(t, "unaffable unafable", 18, 0, IDS(CLS, UN, AFF, ABLE, UNK, SEP));
    check(t, "hello[SEP]world", 15, 0, IDS(CLS, HELLO, SEP, WORLD, SEP));
    check(t, "caf\xC3\xA9 cafe\xCC\x81", 12, 0, IDS(CLS, CAFE, CAFE, SEP));
    check(t, "hel\0lo", 6, 0, IDS(CLS, HELLO, SEP));
    check(t, "hel\xFFlo\xC3", 7, 0, IDS(CLS, HELLO, SEP)); // U+FFFD is dropped when text is cleaned
    el_tokenizer_close(t);
}

static void truncation(void **state) {
    (void)state;
    static const int32_t all[] = {CLS, HELLO, UN, AFF, ABLE, WORLD, SEP};
    struct el_tokenizer *t = parse(plain);
    struct el_tokens tokens = {0};
    for (int32_t limit = 2; limit < 12; limit++) {
        assert_int_equal(el_tokenizer_encode(t, "hello unaffable world", 21, limit, &tokens), 0);
        assert_int_equal(tokens.total, 7);
        assert_int_equal(tokens.count, EL_MIN(limit, 7));
        assert_memory_equal(tokens.id, all, (size_t)(tokens.count - 1) * sizeof *all);
        assert_int_equal(tokens.id[tokens.count - 1], SEP);
    }
    assert_int_equal(el_tokenizer_encode(t, "hello", 5, 1, &tokens), 0);
    assert_int_equal(tokens.count, 1);
    el_tokens_done(&tokens);
    el_tokenizer_close(t);
}

// Time must stay linear in the text; so these would take hours if it did not.
static void long_texts(void **state) {
    (void)state;
    enum { SIZE = 1000000 };
    struct el_tokenizer *t = parse(plain);
    struct el_tokens tokens = {0};
    struct el_str text = {0};
    assert_int_equal(el_str_reserve(&text, 12 * SIZE), 0);

    memset(text.data, 'u', SIZE); // one word
    assert_int_equal(el_tokenizer_encode(t, text.data, SIZE, 0, &tokens), 0);
    assert_int_equal(tokens.count, 3);
    assert_int_equal(tokens.id[1], UNK);

    for (size_t i = 0; i < SIZE; i++) // marks that trade places, three bytes each, behind a letter
        memcpy(text.data + 1 + 4 * i, i % 2 ? "\xF0\x9D\x85\xA5" : "\xF0\x9D\x85\xAD", 4);
    text.data[0] = 'e';
    assert_int_equal(el_tokenizer_encode(t, text.data, 1 + 4 * SIZE, 0, &tokens), 0);
    assert_int_equal(tokens.count, 3);

    memset(text.data, '[', SIZE); // where an added token might begin
    assert_int_equal(el_tokenizer_encode(t, text.data, SIZE, 16, &tokens), 0);
    assert_int_equal(tokens.count, 16);
    assert_int_equal(tokens.total, SIZE + 2);

    for (size_t i = 0; i < 2 * SIZE; i++)
        memcpy(text.data + 6 * i, "hello ", 6);
    assert_int_equal(el_tokenizer_encode(t, text.data, 12 * SIZE, 0, &tokens), 0);
    assert_int_equal(tokens.count, 2 * SIZE + 2);
    el_str_done(&text);
    el_tokens_done(&tokens);
    el_tokenizer_close(t);
}

static void added_tokens(void **state) {
    (void)state;
    struct el_tokenizer *t = parse(FILE_OF(
        NORMALIZER, SPLITTER, "null",
        ADDED("[new]", "") "," ADDED("[n", "") "," ADDED("one", ",\"single_word\":true") "," ADDED("", ""),
        MODEL));
    enum { NEW = 13, BRACKET, ONE };
    assert_int_equal(el_tokenizer_vocab_size(t), 16);
    check(t, "[new][ne", 8, 0, IDS(NEW, BRACKET, E));
    check(t, "one,onehello", 12, 0, IDS(ONE, COMMA, UNK));
    check(t, "[NEW]", 5, 0, IDS(UNK, UNK, UNK));
    el_tokenizer_close(t);
}

static void refused_files(void **state) {
    (void)state;
#define WITH_MODEL(model) FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, "", model)
#define WITH_PROCESSOR(processor) FILE_OF(NORMALIZER, SPLITTER, processor, "", MODEL)
    static const struct {
        const char *text;
        int status;
        const char *detail;
    } cases[] = {
        {"", EL_EFORMAT, "invalid JSON"},
        {"[]", EL_EUNSUPPORTED, "pre_tokenizer"},
        {"{\"model\":", EL_EFORMAT, "invalid JSON"},
        {"{\"model\":{\"vocab\":{\"a\":0", EL_EFORMAT, "invalid JSON"},
        {"{\"model\":{\"vocab\":{\"a\":-1}}}", EL_EFORMAT, "a token id expected"},
        {"{\"model\":{\"vocab\":{\"a\":99999999999}}}", EL_EFORMAT, "token id is over"},
        {"{\"model\":{\"vocab\":{\"a\\ud800\":1}}}", EL_EFORMAT, "surrogates"},
        {"{\"model\":{\"vocab\":{\"a\\q\":1}}}", EL_EFORMAT, "escape"},
        {"{\"model\":{\"vocab\":{\"\xff\":1}}}", EL_EFORMAT, "UTF-8"},
        {"{\"model\":{\"vocab\":{\"a\n\":1}}}", EL_EFORMAT, "end of the string"},
        {"{\"model\":{\"vocab\":{\"a\":1,}}}", EL_EFORMAT, "a string expected"},
        {"{\"model\":{\"vocab\":{}},\"model\":{}}", EL_EFORMAT, "duplicate"},
        {"{\"version\":\"2.0\"}", EL_EUNSUPPORTED, "version 2.0"},
        {"{\"truncation\":{\"direction\":\"Left\"}}", EL_EUNSUPPORTED, "Left"},
        {FILE_OF("{\"type\":\"NFKC\"}", SPLITTER, TEMPLATE, "", MODEL), EL_EUNSUPPORTED, "normalizer NFKC"},
        {FILE_OF("{\"type\":\"BertNormalizer\",\"lowercase\":1}", SPLITTER, TEMPLATE, "", MODEL), EL_EFORMAT,
         "lowercase"},
        {FILE_OF(NORMALIZER, "{\"type\":\"Metaspace\"}", TEMPLATE, "", MODEL), EL_EUNSUPPORTED,
         "pre_tokenizer Metaspace"},
        {FILE_OF(NORMALIZER, "null", TEMPLATE, "", MODEL), EL_EUNSUPPORTED, "pre_tokenizer null"},
        {WITH_PROCESSOR("{\"type\":\"ByteLevel\"}"), EL_EUNSUPPORTED, "post_processor ByteLevel"},
        {WITH_PROCESSOR("{\"type\":\"TemplateProcessing\",\"single\":[]}"), EL_EFORMAT, "lacks sequence A"},
        {WITH_PROCESSOR("{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\"}}]}"),
         EL_EUNSUPPORTED, "sequence A once"},
        {WITH_PROCESSOR(
             "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":1}}]}"),
         EL_EUNSUPPORTED, "type_id"},
        {WITH_PROCESSOR("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]}"),
         EL_EFORMAT, "\"x\" has no ids"},
        {WITH_PROCESSOR("{\"type\":\"BertProcessing\",\"cls\":[\"a\",-1],\"sep\":[\"b\",2]}"), EL_EFORMAT,
         "proper id"},
        {WITH_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}"), EL_EUNSUPPORTED, "model BPE"},
        {WITH_MODEL("{\"type\":\"Unigram\",\"vocab\":[[\"a\",0.5]]}"), EL_EUNSUPPORTED, "model Unigram"},
        {WITH_MODEL("{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}"), EL_EFORMAT,
         "\"[UNK]\" is not in the vocabulary"},
        {WITH_MODEL("{\"type\":\"WordPiece\"}"), EL_EFORMAT, "\"[UNK]\" is not in the vocabulary"},
        {WITH_MODEL("{\"type\":\"WordPiece\",\"max_input_chars_per_word\":0,\"vocab\":{}}"), EL_EFORMAT,
         "max_input_chars_per_word"},
        {FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, "1", MODEL), EL_EFORMAT, "has no content"},
        {FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, ADDED("a", "") "," ADDED("a", ""), MODEL), EL_EUNSUPPORTED,
         "twice"},
        {FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, "{\"content\":\"Foo\"},{\"content\":\"foo\"}", MODEL),
         EL_EUNSUPPORTED, "same as another"},
        {FILE_OF(NORMALIZER, SPLITTER, TEMPLATE, "{\"content\":\"\\u0301\"}", MODEL), EL_EUNSUPPORTED,
         "nothing is left"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_tokenizer *tokenizer = NULL;
        const int status = el_tokenizer_parse("t.json", cases[i].text, strlen(cases[i].text), &tokenizer);
        if (status != cases[i].status || !strstr(el_error_detail(), cases[i].detail))
            fail_msg("%s: got %d \"%s\", wanted \"%s\"", cases[i].text, status, el_error_detail(),
                     cases[i].detail);
        assert_null(tokenizer);
    }
}

static void truncated_at_every_byte(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof plain - 1; size++) {
        struct el_tokenizer *tokenizer = NULL;
        char *exact = NULL;
        assert_int_equal(el_alloc(size, 1, &exact), 0);
        memcpy(exact, plain, size);
        assert_int_not_equal(el_tokenizer_parse("t.json", exact, size, &tokenizer), 0);
        el_free(exact);
    }
}

static const char vocab[] =
    "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\nun\n##aff\n##able\n,\ne\ncafe\nHello";

static void vocab_txt(void **state) {
    (void)state;
    struct el_tokenizer *t = NULL;
    assert_int_equal(el_tokenizer_parse_vocab("vocab.txt", vocab, strlen(vocab), NULL, 0, &t), 0);
    check(t, "Hello unaffable[MASK]", 21, 0, IDS(CLS, HELLO, UN, AFF, ABLE, MASK, SEP));
    el_tokenizer_close(t);

    static const char config[] =
        "{\"do_lower_case\":false,\"model_max_length\":1000000000000000019884624838656,\"cls_token\":\"un\","
        "\"sep_token\":{\"content\":\"world\"},\"added_tokens_decoder\":{\"14\":{\"content\":\"more\"},"
        "\"5\":{\"content\":\"hello\",\"single_word\":true,\"normalized\":false}}}";
    assert_int_equal(el_tokenizer_parse_vocab("vocab.txt", vocab, strlen(vocab), config, strlen(config), &t),
                     0);
    assert_int_equal(el_tokenizer_vocab_size(t), 15);
    check(t, "Hello hello more caf\xC3\xA9", 22, 0, IDS(UN, 13, HELLO, 14, UNK, WORLD));
    el_tokenizer_close(t);
}

static void vocab_txt_refused(void **state) {
    (void)state;
    static const struct {
        const char *vocab, *config;
        int status;
        const char *detail;
    } cases[] = {
        {"", NULL, EL_EFORMAT, "\"[UNK]\" is not"},
        {"[UNK]\n[PAD]\n[CLS]", NULL, EL_EFORMAT, "\"[MASK]\" is not"},
        {"\xff\n", NULL, EL_EFORMAT, "byte 0 is not UTF-8"},
        {vocab, "{", EL_EFORMAT, "invalid JSON"},
        {vocab, "{\"tokenizer_class\":\"MPNetTokenizer\"}", EL_EUNSUPPORTED, "MPNetTokenizer"},
        {vocab, "{\"do_basic_tokenize\":false}", EL_EUNSUPPORTED, "do_basic_tokenize"},
        {vocab, "{\"never_split\":[\"a\"]}", EL_EUNSUPPORTED, "never_split"},
        {vocab, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}", EL_EINVAL, "x"},
        {vocab, "{\"added_tokens_decoder\":{\"99\":{\"content\":\"a\"}}}", EL_EUNSUPPORTED, "99"},
        {vocab, "{\"added_tokens_decoder\":{\"5\":{\"content\":\"hello\"},\"05\":{\"content\":\"x\"}}}",
         EL_EFORMAT, "twice"},
        {vocab, "{\"added_tokens_decoder\":{\"5\":{}}}", EL_EFORMAT, "no content"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_tokenizer *t = NULL;
        const char *config = cases[i].config;
        const int status = el_tokenizer_parse_vocab("vocab.txt", cases[i].vocab, strlen(cases[i].vocab),
                                                    config, config ? strlen(config) : 0, &t);
        if (status != cases[i].status || !strstr(el_error_detail(), cases[i].detail))
            fail_msg("case %zu: got %d \"%s\", wanted \"%s\"", i, status, el_error_detail(), cases[i].detail);
    }
}

static void put_file(const char *dir, const char *name, const char *content) {
    char *path = NULL;
    assert_int_equal(el_path_join(dir, name, &path), 0);
    if (content)
        assert_int_equal(el_write_file(path, content, strlen(content)), 0);
    else
        unlink(path);
    el_free(path);
}

static void folders(void **state) {
    (void)state;
    char dir[] = "/tmp/eleanor-tokenizer-XXXXXX";
    struct el_tokenizer *t = NULL;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(el_tokenizer_open(dir, &t), EL_ENOENT);
    put_file(dir, "vocab.txt", vocab);
    assert_int_equal(el_tokenizer_open(dir, &t), 0);
    assert_int_equal(el_tokenizer_vocab_size(t), 14);
    el_tokenizer_close(t);
    put_file(dir, "tokenizer.json", plain); // wins
    assert_int_equal(el_tokenizer_open(dir, &t), 0);
    assert_int_equal(el_tokenizer_vocab_size(t), 13);
    el_tokenizer_close(t);
    put_file(dir, "sentence_bert_config.json", "{\"do_lower_case\":true}"); // it does already
    assert_int_equal(el_tokenizer_open(dir, &t), 0);
    el_tokenizer_close(t);
    put_file(dir, "tokenizer_config.json", "{\"truncation_side\":\"left\"}");
    assert_int_equal(el_tokenizer_open(dir, &t), EL_EUNSUPPORTED);
    put_file(dir, "tokenizer_config.json", "{\"do_lower_case\":false}");
    put_file(dir, "tokenizer.json", NULL);
    assert_int_equal(el_tokenizer_open(dir, &t), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "do_lower_case"));
    put_file(dir, "tokenizer.json", "{");
    assert_int_equal(el_tokenizer_open(dir, &t), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), dir));
    for (const char **name = (const char *[]){"vocab.txt", "tokenizer.json", "sentence_bert_config.json",
                                              "tokenizer_config.json", NULL};
         *name; name++)
        put_file(dir, *name, NULL);
    rmdir(dir);
    el_tokenizer_close(NULL);
}

static void *encode_many(void *tokenizer) {
    struct el_tokens tokens = {0};
    bool right = true;
    for (int i = 0; i < 2000; i++) {
        right =
            right && el_tokenizer_encode(tokenizer, "hello unaffable caf\xC3\xA9 \xFF", 23, 0, &tokens) == 0;
        right = right && tokens.count == 7 && tokens.id[5] == CAFE;
    }
    el_tokens_done(&tokens);
    return right ? tokenizer : NULL;
}

static void threads_share_a_tokenizer(void **state) {
    (void)state;
    pthread_t threads[4];
    struct el_tokenizer *t = parse(plain);
    for (size_t i = 0; i < EL_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_many, t), 0);
    for (size_t i = 0; i < EL_COUNT(threads); i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    el_tokenizer_close(t);
}

static void utf8_repair(void **state) {
    (void)state;
#define U "\xEF\xBF\xBD"
    static const struct {
        const char *bytes, *expected;
    } cases[] = {{"ab", "ab"},
                 {"\xff", U},
                 {"a\xC3", "a" U},
                 {"\xE2\x82x", U "x"},
                 {"\xF0\x9F\x98", U},
                 {"\xF0\x80\x80", U U U},
                 {"\xED\xA0\x80", U U U},
                 {"\xC0\xAF", U U},
                 {"\xF4\x90\x80\x80", U U U U},
                 {"12345678\x80", "12345678" U},
                 {"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9z", "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9z"}};
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_str str = {0};
        assert_int_equal(el_utf8_repair(cases[i].bytes, strlen(cases[i].bytes), &str), 0);
        assert_string_equal(str.data, cases[i].expected);
        el_str_done(&str);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),         cmocka_unit_test(truncation),
        cmocka_unit_test(long_texts),    cmocka_unit_test(added_tokens),
        cmocka_unit_test(refused_files), cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(vocab_txt),     cmocka_unit_test(vocab_txt_refused),
        cmocka_unit_test(folders),       cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(utf8_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
