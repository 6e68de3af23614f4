// SPDX-License-Identifier: Apache-2.0
// Chunks: paragraphs stay whole where they fit, nothing is lost, none is too long.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "service/chunk.h"

// A token is a word here; without blanks, eight bytes.
static int count_words(void *context, const struct el_text *text, int64_t *ret_tokens) {
    size_t run = 0;
    int64_t tokens = 0;
    (void)context;
    for (size_t i = 0; i < text->length; i++) {
        run = strchr(" \n", text->data[i]) ? 0 : run + 1;
        tokens += run % 8 == 1;
    }
    *ret_tokens = tokens;
    return 0;
}

static void cut(enum el_chunk_by by, const char *title, const char *text, int64_t tokens, int64_t overlap,
                struct el_chunks *ret_chunks) {
    const struct el_chunk_rules rules = {
        .by = by, .title = title, .tokens = tokens, .overlap = overlap, .count = count_words};
    assert_int_equal(el_chunk_text(&(struct el_text){text, strlen(text)}, &rules, ret_chunks), 0);
}

// `expected` has '|' between the chunks.
static void expect_by(enum el_chunk_by by, const char *title, const char *text, int64_t tokens,
                      int64_t overlap, const char *expected) {
    struct el_chunks chunks el_auto(el_chunks_done) = {0};
    struct el_str joined el_auto(el_str_done) = {0};
    cut(by, title, text, tokens, overlap, &chunks);
    for (size_t i = 0; i < chunks.count; i++) {
        if (i) assert_int_equal(el_str_putc(&joined, '|'), 0);
        assert_int_equal(el_str_append(&joined, chunks.texts[i].data, chunks.texts[i].length), 0);
    }
    assert_string_equal(joined.data ? joined.data : "", expected);
}

static void expect(const char *text, int64_t tokens, int64_t overlap, const char *expected) {
    expect_by(EL_CHUNK_PARAGRAPH, NULL, text, tokens, overlap, expected);
}

static void paragraphs_that_fit(void **state) {
    (void)state;
    expect("", 8, 2, "");
    expect(" \n\n \t", 8, 2, "");
    expect("  one two.  \n", 8, 2, "one two.");
    expect("a b\n\nc d\n\ne f", 8, 2, "a b\n\nc d\n\ne f");
    expect("a b c d e\n\nf g h i j\n\nk l", 8, 2,
           "a b c d e|f g h i j\n\nk l"); // no overlap between whole ones
    expect("a b c d e\r\n\r\nf g h i j", 8, 2, "a b c d e|f g h i j");
}

static void a_paragraph_that_does_not_fit(void **state) {
    (void)state;
    expect("a b c. d e. f g. h i. j k.", 6, 2, "a b c. d e.|d e. f g. h i.|h i. j k.");
    expect("a b c. d e. f g. h i. j k.", 6, 0, "a b c. d e.|f g. h i. j k.");
    expect("a b c. d e. f g h i j k.", 6, 2,
           "a b c. d e.|f g h i j k."); // an overlap that would leave no room
    expect("line one\nline two\nline three\nline four", 4, 0, "line one\nline two|line three\nline four");
}

static void a_sentence_that_does_not_fit(void **state) {
    (void)state;
    expect("a b c d e f g h", 4, 0, "a b c d|e f g h");
    expect("aaaaaaaabbbbbbbbccccccccdddddddd", 2, 0, "aaaaaaaabbbbbbbb|ccccccccdddddddd");
    expect("éééééééééééééééé", 2, 0, "éééééééé|éééééééé"); // never within a code point
}

static void by_tokens_and_sentences(void **state) {
    (void)state;
    expect_by(EL_CHUNK_TOKENS, NULL, "a b. c\n\nd e f g h", 4, 0, "a b. c\n\nd|e f g h");
    expect_by(EL_CHUNK_TOKENS, NULL, "a b c d e f g h", 4, 1, "a b c d|d e f g|g h");
    expect_by(EL_CHUNK_SENTENCE, NULL, "a b. c d.\n\ne f. g h.", 6, 0, "a b. c d.\n\ne f.|g h.");
    expect_by(EL_CHUNK_SENTENCE, NULL, "a b. c d. e f.", 4, 2, "a b. c d.|c d. e f.");
}

static void by_headings(void **state) {
    (void)state;
    expect_by(EL_CHUNK_MARKDOWN, NULL, "x\n\n# A\n\none\n\n## B ##\ntwo\n\n# C\nthree", 40, 0,
              "x|A\n\none|A > B\n\ntwo|C\n\nthree");
    expect_by(EL_CHUNK_MARKDOWN, "T", "# T\none\n## B\ntwo", 40, 0, "T\n\none|T > B\n\ntwo");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "A\n===\none\n\nB\n---\ntwo", 40, 0, "A\n\none|A > B\n\ntwo");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "# A\n## B\n## C\n#no heading\n", 40, 0, "A > B|A > C\n\n#no heading");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "---\ntitle: x\n---\n# A\none", 40, 0, "---\ntitle: x\n---|A\n\none");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "# A\n", 40, 0, "A");
    expect_by(EL_CHUNK_MARKDOWN, "T", " \n", 40, 0, "");
    // Titles that would take more than a quarter lose the outermost.
    expect_by(EL_CHUNK_MARKDOWN, NULL, "# a b c\n## d\ne f g h i j k l", 8, 0, "d\n\ne f g h|d\n\ni j k l");
}

static void fenced_code(void **state) {
    (void)state;
    expect_by(EL_CHUNK_MARKDOWN, NULL, "# A\n```\n# not a heading\n```\nb", 40, 0,
              "A\n\n```\n# not a heading\n```\nb");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "a b c d e.\n\n```c\nf. g\n\nh. i\n```\n", 8, 0,
              "a b c d e.|```c\nf. g\n\nh. i\n```");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "````\na\n```\nb\n````\n# C\nd", 40, 0,
              "````\na\n```\nb\n````|C\n\nd");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "```\na b c\nd e f\ng h i\n```", 4, 0, "```\na b c|d e f|g h i\n```");
    expect_by(EL_CHUNK_MARKDOWN, NULL, "~~~\nnever closed\n# x", 40, 0, "~~~\nnever closed\n# x");
}

static void by_blocks_of_code(void **state) {
    (void)state;
    expect_by(EL_CHUNK_CODE, NULL, "\n\nint a;\n\nint f() {\n  b c d;\n\n  e;\n}\n\nint g() {\n}\n", 9, 2,
              "int a;|int f() {\n  b c d;\n\n  e;\n}|int g() {\n}");
    expect_by(EL_CHUNK_CODE, NULL, "def f():\n  a b\n\n  c d\n\n  e f g\n", 6, 0,
              "def f():\n  a b\n\n  c d|  e f g");
    expect_by(EL_CHUNK_CODE, NULL, "f(\n  a b\n\n)\ng\n", 3, 0, "f(\n  a b|)\ng");
    expect_by(EL_CHUNK_CODE, NULL, " \n\t\n", 3, 0, "");
}

static void names(void **state) {
    enum el_chunk_by by;
    (void)state;
    assert_int_equal(el_chunk_by_parse("markdown", &by), 0);
    assert_int_equal(by, EL_CHUNK_MARKDOWN);
    assert_int_equal(el_chunk_by_parse("page", &by), EL_EINVAL);
    assert_string_equal(el_error_detail(), "\"page\" is none of paragraph, sentence, tokens, markdown, code");
}

// Random texts: every word is in a chunk, in order; no chunk is over the limit; chunks go forward.
static void nothing_is_lost(void **state) {
    (void)state;
    srand(3);
    for (int round = 0; round < 300; round++) {
        char text[2000];
        size_t length = (size_t)rand() % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = "abcdefgh.  \n\n"[rand() % 13];
        if (length) text[length - 1] = 'x';
        text[EL_MIN(length, sizeof text - 1)] = '\0';
        struct el_chunks chunks el_auto(el_chunks_done) = {0};
        const int64_t most = 1 + rand() % 40;
        const enum el_chunk_by plain[] = {EL_CHUNK_PARAGRAPH, EL_CHUNK_SENTENCE, EL_CHUNK_TOKENS,
                                          EL_CHUNK_CODE};
        cut(plain[round % 4], NULL, text, most, most / 4, &chunks);
        const char *covered = text;
        for (size_t i = 0; i < chunks.count; i++) {
            const struct el_text *chunk = &chunks.texts[i];
            int64_t tokens;
            assert_true(chunk->length > 0);
            count_words(NULL, chunk, &tokens);
            assert_true(tokens <= most);
            for (; covered < chunk->data; covered++)
                assert_non_null(strchr(" \n", *covered)); // what is left out between chunks is blank
            assert_true(chunk->data + chunk->length > covered);
            covered = chunk->data + chunk->length;
        }
        assert_int_equal(strspn(covered, " \n"), strlen(covered));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paragraphs_that_fit),
        cmocka_unit_test(a_paragraph_that_does_not_fit),
        cmocka_unit_test(a_sentence_that_does_not_fit),
        cmocka_unit_test(by_tokens_and_sentences),
        cmocka_unit_test(by_headings),
        cmocka_unit_test(fenced_code),
        cmocka_unit_test(by_blocks_of_code),
        cmocka_unit_test(names),
        cmocka_unit_test(nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
