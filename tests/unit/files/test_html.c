// SPDX-License-Identifier: Apache-2.0
// HTML to text: what is shown, in its layout, and nothing else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "eleanor/status.h"
#include "files/html.h"

static void expect(const char *page, const char *text, const char *title) {
    struct el_str made el_auto(el_str_done) = {0}, made_title el_auto(el_str_done) = {0};
    assert_int_equal(el_html_text(page, strlen(page), &made, &made_title), 0);
    assert_string_equal(made.data ? made.data : "", text);
    assert_string_equal(made_title.data ? made_title.data : "", title);
}

static void layout(void **state) {
    (void)state;
    expect("", "", "");
    expect("plain &amp; simple &eacute;", "plain & simple é", "");
    expect("<p>one\n  two<p>three<br>four", "one two\n\nthree\nfour", "");
    expect("<h2>Head</h2>text<ul><li>a<li>b</ul>end", "## Head\n\ntext\n\n- a\n- b\n\nend", "");
    expect("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>", "a b\nc", "");
    expect("<b>bo</b>ld <i>x</i> y", "bold x y", "");
    expect("a<pre>  x\n    y <b>z</b></pre>b", "a\n\n```\n  x\n    y z\n```\n\nb", "");
}

static void what_is_not_shown(void **state) {
    (void)state;
    expect("<head><title>\n The\n title </title><style>p {}</style></head><script>if (a < b) "
           "x('</p>');</script>hi",
           "hi", "The title");
    expect("a<!-- not this -->b<noscript>nor this</noscript><template><p>nor this</p></template>c", "abc",
           "");
    expect("<svg><title>nor this</title></svg>x<title>late</title>", "x", "late");
}

static void a_wrong_charset_does_not_matter(void **state) {
    (void)state;
    expect("<meta charset=iso-8859-1><p>é", "é", "");
    expect("<?xml version='1.0' encoding='latin1'?><html><body>é</body></html>", "é", "");
}

static void depth(void **state) {
    struct el_str page el_auto(el_str_done) = {0}, text el_auto(el_str_done) = {0},
                       title el_auto(el_str_done) = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(el_str_puts(&page, "<div>"), 0);
    assert_int_equal(el_html_text(page.data, page.length, &text, &title), EL_EFORMAT);
    el_str_clear(&page);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(el_str_puts(&page, "<p><b>x</i>"), 0); // wide, and never closed
    assert_int_equal(el_str_puts(&page, "</b>"), 0);
    const int status = el_html_text(page.data, page.length, &text, &title);
    assert_true(status == 0 || status == EL_EFORMAT);
}

static void signs(void **state) {
    char name[EL_HTML_ENCODING];
    (void)state;
    assert_true(el_is_html(" \n<!DOCTYPE html><p>", 20));
    assert_true(el_is_html("<HTML>", 6));
    assert_false(el_is_html("<p>", 3));
    assert_false(el_is_html("<?xml version='1.0'?><svg/>", 27));
    const char page[] = "<meta http-equiv=x content='text/html; charset=koi8-r'>";
    assert_true(el_html_encoding(page, strlen(page), name));
    assert_string_equal(name, "koi8-r");
    assert_false(el_html_encoding("<meta charset='utf-16'>", 23, name));
    assert_false(el_html_encoding("<meta charset='", 15, name));
    assert_true(el_html_encoding("charset=utf-8", 10, name)); // not a byte beyond the tenth is looked at
    assert_string_equal(name, "ut");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test(what_is_not_shown),
        cmocka_unit_test(a_wrong_charset_does_not_matter),
        cmocka_unit_test(depth),
        cmocka_unit_test(signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
