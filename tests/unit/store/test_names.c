// SPDX-License-Identifier: Apache-2.0
// Names from outside, and which of many files are the model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/listing.h"
#include "store/names.h"

static void model_names(void **state) {
    (void)state;
    static const char *const good[] = {"a", "all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5", "x_1.2-3"};
    static const char *const bad[] = {"",     ".",    "..", "../x",   "/x",   "x/",  "a/b/c",
                                      "a--b", ".x",   "-x", "a/.b",   "a/-b", "a b", "a\n",
                                      "a\\b", "a..b", "é",  "a/../b", "a//b", "~"};
    for (size_t i = 0; i < EL_COUNT(good); i++)
        assert_int_equal(el_model_name_check(good[i]), 0);
    for (size_t i = 0; i < EL_COUNT(bad); i++)
        assert_int_equal(el_model_name_check(bad[i]), EL_EINVAL);
    char longest[202];
    memset(longest, 'a', sizeof longest);
    longest[200] = '\0';
    assert_int_equal(el_model_name_check(longest), 0);
    longest[200] = 'a';
    longest[201] = '\0';
    assert_int_equal(el_model_name_check(longest), EL_EINVAL);
}

static void folder_names(void **state) {
    (void)state;
    char *folder = NULL;
    assert_int_equal(el_model_folder_name("BAAI/bge", &folder), 0);
    assert_string_equal(folder, "BAAI--bge");
    el_free(folder);
}

static void paths_that_stay_below(void **state) {
    (void)state;
    static const char *const good[] = {"a", "a/b.json", "..a/b..", "a/...", ".hidden"};
    static const char *const bad[] = {"",       "/a",   "..",   "../a",        "a/..",
                                      "a/../b", "a\\b", "a\nb", "a/b/../../.."};
    for (size_t i = 0; i < EL_COUNT(good); i++)
        assert_int_equal(el_path_check(good[i]), 0);
    for (size_t i = 0; i < EL_COUNT(bad); i++)
        assert_int_equal(el_path_check(bad[i]), EL_EINVAL);
}

static void files_that_a_model_needs(void **state) {
    (void)state;
    static const char *const needed[] = {"config.json", "model.safetensors", "1_Pooling/config.json",
                                         "2_Dense/model.safetensors", "vocab.txt"};
    static const char *const others[] = {
        "pytorch_model.bin",       "onnx/model.onnx",    "x/config.json",
        "1_Pooling/x/config.json", "1_/config.json.bak", "../1_P/config.json",
        "1Pooling/config.json",    "config.json/x",      ""};
    for (size_t i = 0; i < EL_COUNT(needed); i++)
        assert_true(el_model_file_is_needed(needed[i]));
    for (size_t i = 0; i < EL_COUNT(others); i++)
        assert_false(el_model_file_is_needed(others[i]));
}

static void list(struct el_listing *listing, const char *const *paths) {
    for (; *paths; paths++)
        assert_int_equal(el_listing_add(listing, *paths, 10), 0);
    el_listing_sort(listing);
}

static void the_model_nearest_to_the_top(void **state) {
    (void)state;
    el_auto(el_listing_done) struct el_listing listing = {0};
    el_auto_free char *folder = NULL;
    list(&listing,
         (const char *const[]){"z/m/2_Dense/model.safetensors", "z/m/2_Dense/config.json",
                               "z/m/model.safetensors", "z/m/config.json", "a/b/c/config.json",
                               "a/b/c/model.safetensors", "model.safetensors", "z/config.json", NULL});
    assert_int_equal(el_listing_find_model(&listing, "x", &folder), 0);
    assert_string_equal(folder, "z/m/");
    assert_string_equal(el_listing_needed(folder, "z/m/config.json"), "config.json");
    assert_null(el_listing_needed(folder, "z/config.json"));
    assert_int_equal(el_listing_needed_bytes(&listing, folder), 40);
}

static void no_model_or_two(void **state) {
    (void)state;
    el_auto(el_listing_done) struct el_listing none = {0}, two = {0};
    char *folder = NULL;
    assert_int_equal(el_listing_find_model(&none, "x.zip", &folder), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "x.zip holds no model"));
    list(&two, (const char *const[]){"a/config.json", "a/model.safetensors", "b/config.json",
                                     "b/model.safetensors", NULL});
    assert_int_equal(el_listing_find_model(&two, "x.zip", &folder), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "a/ and b/"));
    assert_null(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_names),
        cmocka_unit_test(folder_names),
        cmocka_unit_test(paths_that_stay_below),
        cmocka_unit_test(files_that_a_model_needs),
        cmocka_unit_test(the_model_nearest_to_the_top),
        cmocka_unit_test(no_model_or_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
