// SPDX-License-Identifier: Apache-2.0
// Memory, arena, strings, files, JSON and errors of the base.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/dl.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"

static void sizes_are_checked(void **state) {
    (void)state;
    void *p = NULL;
    size_t r = 7;
    assert_int_equal(el_alloc(SIZE_MAX / 2, 3, &p), EL_ENOMEM);
    assert_int_equal(el_alloc_aligned(SIZE_MAX, 1, &p), EL_ENOMEM);
    assert_null(p);
    assert_false(el_mul_size(SIZE_MAX, 2, &r));
    assert_int_equal(r, 7);
    assert_int_equal(el_alloc(0, 8, &p), 0);
    assert_non_null(p);
    el_free(p);
}

static void lists_grow_by_doubling(void **state) {
    (void)state;
    int *list = NULL;
    size_t capacity = 0, growths = 0;
    for (size_t i = 0; i < 1000; i++) {
        const size_t before = capacity;
        assert_int_equal(el_grow(&list, sizeof *list, i, &capacity), 0);
        growths += capacity != before;
        list[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    assert_int_equal(growths, 7); // 16 to 1024
    capacity = SIZE_MAX / 4;
    assert_int_equal(el_grow(&list, sizeof *list, capacity, &capacity), EL_ENOMEM);
    assert_int_equal(capacity, SIZE_MAX / 4);
    assert_int_equal(list[999], 999);
    el_free(list);
}

static void numbers_are_sorted(void **state) {
    (void)state;
    double values[] = {3, -1, 2.5, -INFINITY, 2.5, 0};
    const double want[] = {-INFINITY, -1, 0, 2.5, 2.5, 3};
    el_sort_f64(values, 6);
    for (int i = 0; i < 6; i++)
        assert_true(values[i] == want[i]);
    el_sort_f64(NULL, 0);
}

static void arena_gives_back(void **state) {
    (void)state;
    struct el_arena arena;
    el_arena_init(&arena);
    char *first = NULL, *big = NULL, *again = NULL;
    assert_int_equal(el_arena_alloc(&arena, 100, 1, &first), 0);
    assert_int_equal((uintptr_t)first % EL_CACHE_LINE, 0);
    memset(first, 1, 100);
    struct el_arena_mark mark = el_arena_mark(&arena);
    assert_int_equal(el_arena_alloc(&arena, 1 << 20, 1, &big), 0); // a new block
    memset(big, 2, 1 << 20);
    el_arena_release(&arena, mark);
    assert_int_equal(first[99], 1); // what was taken before the mark is as it was
    el_arena_reset(&arena);
    assert_int_equal(el_arena_alloc(&arena, 1, 1, &again), 0);
    assert_int_equal(el_arena_alloc(&arena, SIZE_MAX, 2, &again), EL_ENOMEM);
    el_arena_done(&arena);
}

static void arena_copies(void **state) {
    (void)state;
    struct el_arena arena;
    const char *text = "untouched", *bytes;
    el_arena_init(&arena);
    assert_int_equal(el_arena_strndup(&arena, "abc", SIZE_MAX, &text), EL_ENOMEM);
    assert_string_equal(text, "untouched");
    assert_int_equal(el_arena_strndup(&arena, "abc", 2, &text), 0);
    assert_string_equal(text, "ab");
    assert_int_equal(el_arena_strdup(&arena, "", &text), 0);
    assert_string_equal(text, "");
    assert_int_equal(el_arena_strdup(&arena, NULL, &text), 0);
    assert_null(text);
    assert_int_equal(el_arena_copy(&arena, "a\0b", 3, &bytes), 0);
    assert_memory_equal(bytes, "a\0b", 3);
    assert_int_equal(el_arena_copy(&arena, NULL, 0, &bytes), 0);
    el_arena_done(&arena);
}

static void errors_gain_context(void **state) {
    (void)state;
    assert_int_equal(el_fail(EL_EIO, "disk %d", 3), EL_EIO);
    assert_int_equal(el_fail_in(EL_EIO, "model %s", "x"), EL_EIO);
    assert_string_equal(el_error_detail(), "model x: disk 3");
    assert_int_equal(el_fail(EL_EIO, "again %s", el_error_detail()), EL_EIO);
    assert_string_equal(el_error_detail(), "again model x: disk 3");
    char long_text[3000];
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    el_fail(EL_EIO, "%s", long_text);
    el_fail_in(EL_EIO, "%s", long_text);
    assert_true(strlen(el_error_detail()) < sizeof long_text);
    assert_string_equal(el_status_text(EL_EBUSY), "queue is full, try again later");
    assert_string_equal(el_status_text(12345), "unknown status");
}

static void numbers_parse_whole(void **state) {
    (void)state;
    int64_t i = -1;
    uint64_t bytes = 0;
    double f = 0;
    bool b = false;
    assert_int_equal(el_parse_i64("42", 0, 100, &i), 0);
    assert_int_equal(i, 42);
    assert_int_equal(el_parse_i64("42x", 0, 100, &i), EL_EINVAL);
    assert_int_equal(el_parse_i64("", 0, 100, &i), EL_EINVAL);
    assert_int_equal(el_parse_i64("101", 0, 100, &i), EL_EINVAL);
    assert_int_equal(el_parse_i64("99999999999999999999", 0, INT64_MAX, &i), EL_EINVAL);
    assert_int_equal(i, 42);
    assert_int_equal(el_parse_f64("nan", 0, 1, &f), EL_EINVAL);
    assert_int_equal(el_parse_bool("Yes", &b), 0);
    assert_true(b);
    assert_int_equal(el_parse_bool("maybe", &b), EL_EINVAL);
    const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"64", 64}, {"1kB", 1000}, {"1 ", 0}, {"2GiB", 2147483648}, {"1.5GB", 1500000000}, {"10Mi", 10485760},
        {"GB", 0},  {"-1", 0},     {"1Q", 0}, {"1e300", 0}};
    for (size_t n = 0; n < EL_COUNT(sizes); n++) {
        int status = el_parse_bytes(sizes[n].text, &bytes);
        assert_int_equal(status, sizes[n].bytes ? 0 : EL_EINVAL);
        if (status == 0) assert_int_equal(bytes, sizes[n].bytes);
    }
}

static void json_text_is_escaped(void **state) {
    (void)state;
    struct el_str s = {0};
    assert_int_equal(el_str_put_json(&s, "a\"\\\n\x01\0\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80", 16), 0);
    assert_string_equal(s.data,
                        "\"a\\\"\\\\\\n\\u0001\\u0000\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\"");
    json_t *parsed = json_loadb(s.data, s.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    el_str_done(&s);
}

static void floats_read_back(void **state) {
    (void)state;
    const float values[] = {0.f,    -0.f,          1.f,          0.1f,       1.f / 3,        3.4028235e38f,
                            1e-45f, 0.0123456789f, -123456.789f, 16777216.f, 1.17549435e-38f};
    for (size_t n = 0; n < EL_COUNT(values); n++) {
        struct el_str s = {0};
        assert_int_equal(el_str_put_float(&s, values[n]), 0);
        assert_true(strtof(s.data, NULL) == values[n]);
        el_str_done(&s);
    }
    struct el_str s = {0};
    assert_int_equal(el_str_put_float(&s, NAN), 0);
    assert_string_equal(s.data, "null");
    el_str_done(&s);
}

static void nearest_name(void **state) {
    (void)state;
    const char *const names[] = {"threads", "port", "host"};
    assert_string_equal(el_nearest("thraeds", names, 3), "threads");
    assert_null(el_nearest("completely-different", names, 3));
    assert_true(el_equal_constant_time("abc", 3, "abc", 3));
    assert_false(el_equal_constant_time("abc", 3, "abd", 3));
    assert_false(el_equal_constant_time("abc", 3, "ab", 2));
}

static void paths_lie_below(void **state) {
    (void)state;
    assert_string_equal(el_path_below("/a/b/c", "/a"), "b/c");
    assert_string_equal(el_path_below("/a", "/a"), "");
    assert_string_equal(el_path_below("/a/b", "/"), "a/b");
    assert_string_equal(el_path_below("/", "/"), "");
    assert_null(el_path_below("/ab", "/a")); // only the name's beginning is the same
    assert_null(el_path_below("/a", "/a/b"));
    assert_null(el_path_below("/b/a", "/a"));
}

static void files_appear_whole(void **state) {
    (void)state;
    char dir[] = "/tmp/eleanor-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *deep = NULL, *path = NULL;
    assert_int_equal(el_path_join(dir, "a/b", &deep), 0);
    assert_int_equal(el_mkdirs(deep), 0);
    assert_int_equal(el_mkdirs(deep), 0);
    assert_int_equal(el_path_join(deep, "file", &path), 0);
    assert_int_equal(el_write_file(path, "hello", 5), 0);
    struct el_str text = {0};
    assert_int_equal(el_read_file(path, 5, &text), 0);
    assert_string_equal(text.data, "hello");
    assert_int_equal(el_read_file(path, 4, &text), EL_ETOOBIG);
    struct el_map map = {0};
    assert_int_equal(el_map_open(path, &map), 0);
    assert_int_equal(map.size, 5);
    el_map_close(&map);
    unlink(path);
    assert_int_equal(el_map_open(path, &map), EL_ENOENT);
    assert_non_null(strstr(el_error_detail(), path)); // the error names the file
    assert_int_equal(el_map_open(dir, &map), EL_EIO);
    rmdir(deep);
    deep[strlen(deep) - 2] = '\0';
    rmdir(deep);
    rmdir(dir);
    el_str_done(&text);
    el_free(deep);
    el_free(path);
}

static void json_errors_name_the_place(void **state) {
    (void)state;
    json_t *root = NULL;
    int64_t i = 0;
    assert_int_equal(el_json_parse("x.json", "{\"a\": }", 7, &root), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "x.json:1:"));
    assert_int_equal(el_json_parse("x.json", "{\"a\":1,\"a\":2}", 13, &root), EL_EFORMAT);
    assert_int_equal(el_json_parse("x.json", "", 0, &root), EL_EFORMAT);
    assert_int_equal(el_json_parse("x.json", "{\"a\":5,\"s\":\"t\"}", 15, &root), 0);
    assert_int_equal(el_json_get_i64("x.json", root, "a", 0, 4, &i), EL_EFORMAT);
    assert_string_equal(el_error_detail(), "x.json: \"a\" is 5, not from 0 to 4");
    assert_int_equal(el_json_get_i64("x.json", root, "b", 0, 4, &i), EL_EFORMAT);
    assert_string_equal(el_error_detail(), "x.json: \"b\" is missing");
    assert_int_equal(el_json_get_i64_or("x.json", root, "b", 0, 4, 3, &i), 0);
    assert_int_equal(i, 3);
    assert_int_equal(el_json_get_i64_or("x.json", root, "s", 0, 4, 3, &i), EL_EFORMAT);
    json_decref(root);
}

static void libraries_load_whole_or_not(void **state) {
    (void)state;
    struct {
        double (*cos)(double);
        void (*no_such_function)(void);
    } api = {.no_such_function = (void (*)(void))abort};
    struct el_dl_symbol symbols[] = {{"cos", 0, false}, {"no_such_function", sizeof api.cos, false}};
    assert_int_equal(el_dl_load("libno-such.so.1", symbols, 1, &api), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "libno-such.so.1"));
    assert_int_equal(el_dl_load("libm.so.6", symbols, 2, &api), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "no_such_function"));
    assert_null(api.cos);
    symbols[1].optional = true;
    assert_int_equal(el_dl_load("libm.so.6", symbols, 2, &api), 0);
    assert_true(api.cos(0) == 1);
    assert_null(api.no_such_function);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(lists_grow_by_doubling),
        cmocka_unit_test(numbers_are_sorted),
        cmocka_unit_test(arena_gives_back),
        cmocka_unit_test(arena_copies),
        cmocka_unit_test(errors_gain_context),
        cmocka_unit_test(numbers_parse_whole),
        cmocka_unit_test(json_text_is_escaped),
        cmocka_unit_test(floats_read_back),
        cmocka_unit_test(nearest_name),
        cmocka_unit_test(paths_lie_below),
        cmocka_unit_test(files_appear_whole),
        cmocka_unit_test(json_errors_name_the_place),
        cmocka_unit_test(libraries_load_whole_or_not),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
