// SPDX-License-Identifier: Apache-2.0
// Patterns and rules of .gitignore files, case by case; tests/e2e/index/test_trees.py asks git itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "files/glob.h"
#include "files/ignore.h"

static void patterns(void **state) {
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "ab", false},
        {"*", "abc", true},
        {"*", "a/b", false},
        {"*.c", "x.c", true},
        {"*.c", ".c", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"?", "a", true},
        {"?", "/", false},
        {"a/*/c", "a/b/c", true},
        {"a/*/c", "a/b/b/c", false},
        {"**/c", "c", true},
        {"**/c", "a/b/c", true},
        {"**/c", "a/bc", false},
        {"a/**", "a/b/c", true},
        {"a/**", "a", false},
        {"a/**/c", "a/c", true},
        {"a/**/c", "a/x/y/c", true},
        {"a/**/b/*.c", "a/b/b/b/x.c", true},
        {"**/a/**/b", "x/a/y/a/z/b", true},
        {"a**b", "axb", true},
        {"a**b", "a/b", false},
        {"[abc]", "b", true},
        {"[!abc]", "b", false},
        {"[^abc]", "d", true},
        {"[!abc]", "/", false},
        {"[a-c]x", "bx", true},
        {"[]a]", "]", true},
        {"[a-]", "-", true},
        {"[[:digit:]x]", "7", true},
        {"[[:digit:]x]", "y", false},
        {"[[:none:]]", "n", false},
        {"[", "[", false},
        {"[a", "a", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\", "a", false},
        {"caf\xc3\xa9", "caf\xc3\xa9", true},
    };
    (void)state;
    for (size_t i = 0; i < EL_COUNT(cases); i++)
        if (el_glob_match(cases[i].pattern, cases[i].path) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].path);
}

// What backtracking over every star would take 10^30 steps for.
static void a_hostile_pattern_is_quick(void **state) {
    struct el_str pattern el_auto(el_str_done) = {0};
    char path[256];
    (void)state;
    for (int i = 0; i < 60; i++)
        assert_int_equal(el_str_puts(&pattern, i % 3 ? "*a" : "**/"), 0);
    assert_int_equal(el_str_putc(&pattern, 'b'), 0);
    memset(path, 'a', sizeof path);
    for (size_t i = 5; i < sizeof path; i += 6)
        path[i] = '/';
    path[sizeof path - 1] = '\0';
    assert_false(el_glob_match(pattern.data, path));
}

static struct el_ignore *rules(const char *text, const char *folder, const struct el_ignore *above) {
    struct el_ignore *made = NULL;
    assert_int_equal(el_ignore_parse(text, strlen(text), folder, above, &made), 0);
    return made;
}

static void lines(void **state) {
    static const char text[] = "\xEF\xBB\xBF# a comment\n\n*.o\r\n!keep.o\nbuild/\n/top\nsub/x  \nend\\ \n"
                               "\\#hash\n\\!bang\n/\n!\nlast";
    struct el_ignore *made = rules(text, "/r", NULL);
    (void)state;
    assert_int_equal(el_ignore_judge(made, "/r/a/b.o", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/a/keep.o", false), EL_IGNORE_NO);
    assert_int_equal(el_ignore_judge(made, "/r/a/build", true), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/a/build", false), EL_IGNORE_SILENT);
    assert_int_equal(el_ignore_judge(made, "/r/top", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/a/top", false), EL_IGNORE_SILENT);
    assert_int_equal(el_ignore_judge(made, "/r/sub/x", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/a/sub/x", false), EL_IGNORE_SILENT);
    assert_int_equal(el_ignore_judge(made, "/r/end ", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/#hash", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/!bang", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/r/last", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(made, "/elsewhere/x.o", false), EL_IGNORE_SILENT);
    assert_int_equal(el_ignore_judge(made, "/r", true), EL_IGNORE_SILENT);
    assert_int_equal(el_ignore_judge(NULL, "/r/x.o", false), EL_IGNORE_SILENT);
    el_ignore_free(made);
}

static void the_nearest_rules_count(void **state) {
    struct el_ignore *above = rules("*.log\n", "/", NULL), *below = rules("!a.log\n", "/r", above);
    (void)state;
    assert_int_equal(el_ignore_judge(below, "/r/a.log", false), EL_IGNORE_NO);
    assert_int_equal(el_ignore_judge(below, "/r/b.log", false), EL_IGNORE_YES);
    assert_int_equal(el_ignore_judge(below, "/s/a.log", false), EL_IGNORE_YES);
    el_ignore_free(below);
    el_ignore_free(above);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(a_hostile_pattern_is_quick),
        cmocka_unit_test(lines),
        cmocka_unit_test(the_nearest_rules_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
