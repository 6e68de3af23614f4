// SPDX-License-Identifier: Apache-2.0
// Encodings: each comes out as UTF-8, and what is no text does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "eleanor/status.h"
#include "files/encoding.h"

static void expect(const char *bytes, size_t size, const char *named, const char *text, bool converted) {
    struct el_str made el_auto(el_str_done) = {0};
    bool is_converted;
    assert_int_equal(el_str_puts(&made, "before|"), 0);
    assert_int_equal(el_text_decode(bytes, size, named, &made, &is_converted), 0);
    assert_string_equal(made.data + 7, text);
    assert_int_equal(is_converted, converted);
}
#define EXPECT(bytes, named, text, converted) expect(bytes, sizeof(bytes) - 1, named, text, converted)

static void refuse(const char *bytes, size_t size) {
    struct el_str made el_auto(el_str_done) = {0};
    bool untouched = true;
    assert_int_equal(el_text_decode(bytes, size, NULL, &made, &untouched), EL_EFORMAT);
    assert_int_equal(made.length, 0);
    assert_true(untouched);
}
#define REFUSE(bytes) refuse(bytes, sizeof(bytes) - 1)

static void utf8_stays(void **state) {
    (void)state;
    EXPECT("", NULL, "", false);
    EXPECT("plain\n", NULL, "plain\n", false);
    EXPECT("na\xc3\xafve", "ISO-8859-1", "na\xc3\xafve", false); // whatever it says of itself
}

// A mark alone, into a string that has nothing yet.
static void expect_empty(void) {
    struct el_str made el_auto(el_str_done) = {0};
    bool converted;
    assert_int_equal(el_text_decode("\xFE\xFF", 2, NULL, &made, &converted), 0);
    assert_int_equal(made.length, 0);
}

static void marks_go(void **state) {
    (void)state;
    expect_empty();
    EXPECT("\xEF\xBB\xBFhi", NULL, "hi", true);
    EXPECT("\xFF\xFEh\0\xE9\0", NULL, "h\xc3\xa9", true);
    EXPECT("\xFE\xFF\0h\0\xE9", NULL, "h\xc3\xa9", true);
    EXPECT("\xFF\xFE\0\0h\0\0\0", NULL, "h", true);
    EXPECT("\0\0\xFE\xFF\0\0\0h", NULL, "h", true);
    EXPECT("\xFF\xFEh\0\xE9", NULL, "h\xEF\xBF\xBD", true); // cut
}

static void utf16_shows_by_its_zeros(void **state) {
    (void)state;
    EXPECT("h\0e\0l\0l\0o\0", NULL, "hello", true);
    EXPECT("\0h\0e\0l\0l\0o", NULL, "hello", true);
}

static void old_encodings(void **state) {
    (void)state;
    EXPECT("caf\xe9", NULL, "caf\xc3\xa9", true);
    EXPECT("\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? \xdd\xf2\xee "
           "\xf2\xe5\xea\xf1\xf2 \xed\xe0 \xf0\xf3\xf1\xf1\xea\xee\xec.",
           NULL, "Привет, как дела? Это текст на русском.", true);
    EXPECT("\x93\xfa\x96\x7b\x8c\xea", "Shift_JIS", "日本語", true);
    EXPECT("caf\xe9", "no-such-encoding", "caf\xc3\xa9", true);
    EXPECT("t\xea", "WINDOWS-1258", "t\xc3\xaa",
           true); // iconv holds the last letter back: an accent might follow
}

static void a_damaged_place_is_marked(void **state) {
    (void)state;
    EXPECT("äöüäöüäöüäöüäöü \xff äöü", NULL, "äöüäöüäöüäöüäöü \xEF\xBF\xBD äöü", true);
}

// iconv would hand on the four bytes from F5, a code beyond Unicode.
#define MARK "\xEF\xBF\xBD"
static void codes_beyond_unicode_are_marked(void **state) {
    (void)state;
    EXPECT("li\xCD\x9Ft\x93\x90\xF5\x96\x8B\xA4o\n", NULL, "li\xCD\x9Ft" MARK MARK MARK MARK MARK MARK "o\n",
           true);
}

static void what_is_no_text(void **state) {
    (void)state;
    REFUSE("\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    REFUSE("text with one zero\0 only");
    REFUSE("\1\2\3\4");
    REFUSE("\xFF\xFE\1\0\0\0"); // a mark before zeros
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_stays),
        cmocka_unit_test(marks_go),
        cmocka_unit_test(utf16_shows_by_its_zeros),
        cmocka_unit_test(old_encodings),
        cmocka_unit_test(a_damaged_place_is_marked),
        cmocka_unit_test(codes_beyond_unicode_are_marked),
        cmocka_unit_test(what_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
