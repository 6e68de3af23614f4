// SPDX-License-Identifier: Apache-2.0
// The file of measured batch sizes: an entry per model, device, driver and precision, and what a damaged file
// does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "service/tuned.h"

static char folder[] = "/tmp/eleanor-tuned-XXXXXX", path[64];

static const struct el_tuned_key a100 = {"/m/minilm", "NVIDIA A100", "CUDA 12.8", "fp16"};

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/tuned.json", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void every_name_of_the_key_counts(void **state) {
    (void)state;
    int64_t tokens = -1;
    assert_int_equal(el_tuned_read(path, &a100, &tokens), EL_ENOENT); // no file yet
    assert_int_equal(el_tuned_write(path, &a100, 16384, 12000.5), 0);
    assert_int_equal(el_tuned_read(path, &a100, &tokens), 0);
    assert_int_equal(tokens, 16384);
    struct el_tuned_key other = a100;
    other.precision = "fp32";
    assert_int_equal(el_tuned_write(path, &other, 8192, 6000), 0);
    const struct el_tuned_key others[] = {{"/m/bge", a100.device, a100.driver, a100.precision},
                                          {a100.model, "NVIDIA H200", a100.driver, a100.precision},
                                          {a100.model, a100.device, "CUDA 13.0", a100.precision},
                                          {a100.model, a100.device, a100.driver, "int8"}};
    for (size_t i = 0; i < EL_COUNT(others); i++) {
        assert_int_equal(el_tuned_read(path, &others[i], &tokens), EL_ENOENT);
        assert_int_equal(tokens, 16384);
    }
    assert_int_equal(el_tuned_write(path, &a100, 32768, 13000), 0); // measured again
    assert_int_equal(el_tuned_read(path, &a100, &tokens), 0);
    assert_int_equal(tokens, 32768);
    assert_int_equal(el_tuned_read(path, &other, &tokens), 0);
    assert_int_equal(tokens, 8192);
}

static void damage_is_told_and_replaced(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } files[] = {
        {"", "tuned.json"},
        {"{\"tuned\": [", "invalid JSON"},
        {"[]", "must be a list"},
        {"{\"tuned\": {}}", "must be a list"},
        {"{\"tuned\": [1]}", "no object"},
        {"{\"tuned\": [{\"model\": 3}]}", "\"model\" must be a string"},
        {"{\"tuned\": [{\"model\": \"/m/minilm\", \"device\": \"NVIDIA A100\", \"driver\": \"CUDA 12.8\", "
         "\"precision\": \"fp16\"}]}",
         "\"batch_tokens\" is missing"},
        {"{\"tuned\": [{\"model\": \"/m/minilm\", \"device\": \"NVIDIA A100\", \"driver\": \"CUDA 12.8\", "
         "\"precision\": \"fp16\", \"batch_tokens\": 0}]}",
         "not from 1 to"},
        {"{\"tuned\": [{\"model\": \"/m/minilm\", \"device\": \"NVIDIA A100\", \"driver\": \"CUDA 12.8\", "
         "\"precision\": \"fp16\", \"batch_tokens\": 1e9}]}",
         "whole number"},
    };
    for (size_t i = 0; i < EL_COUNT(files); i++) {
        int64_t tokens = -1;
        assert_int_equal(el_write_file(path, files[i].text, strlen(files[i].text)), 0);
        assert_int_equal(el_tuned_read(path, &a100, &tokens), EL_EFORMAT);
        assert_int_equal(tokens, -1);
        if (!strstr(el_error_detail(), files[i].says)) fail_msg("%s", el_error_detail());
        assert_int_equal(el_tuned_write(path, &a100, 64, 1), 0);
        assert_int_equal(el_tuned_read(path, &a100, &tokens), 0);
        assert_int_equal(tokens, 64);
    }
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
    (void)state;
    assert_true(el_tuned_write("/no/such/folder/tuned.json", &a100, 64, 1) < 0);
    assert_non_null(strstr(el_error_detail(), "/no/such/folder"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_the_key_counts),
        cmocka_unit_test(damage_is_told_and_replaced),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
