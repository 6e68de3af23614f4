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

static void cut(const char *text, int64_t tokens, int64_t overlap, struct el_chunks *ret_chunks) {
    const struct el_chunk_rules rules = {.tokens = tokens, .overlap = overlap, .count = count_words};
    assert_int_equal(el_chunk_text(&(struct el_text){text, strlen(text)}, &rules, ret_chunks), 0);
}

// `expected` has '|' between the chunks.
static void expect(const char *text, int64_t tokens, int64_t overlap, const char *expected) {
    struct el_chunks chunks el_auto(el_chunks_done) = {0};
    struct el_str joined el_auto(el_str_done) = {0};
    cut(text, tokens, overlap, &chunks);
    for (size_t i = 0; i < chunks.count; i++) {
        if (i) assert_int_equal(el_str_putc(&joined, '|'), 0);
        assert_int_equal(el_str_append(&joined, chunks.texts[i].data, chunks.texts[i].length), 0);
    }
    assert_string_equal(joined.data ? joined.data : "", expected);
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
        cut(text, most, most / 4, &chunks);
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
        cmocka_unit_test(nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
