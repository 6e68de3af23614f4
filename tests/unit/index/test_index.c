// SPDX-License-Identifier: Apache-2.0
// The embedded store: the suite of all stores, and what is its own: one writer, damage, a full disk.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "suite.h"

static void one_writer(void **state) {
    (void)state;
    struct el_index *index = suite_open(true), *other = NULL;
    assert_int_equal(el_index_open(suite_folder, true, &other), EL_EBUSY);
    assert_int_equal(el_index_delete(suite_folder), EL_EBUSY);
    assert_null(other);
    el_index_close(index);
    el_index_close(suite_open(true));
    assert_int_equal(suite_make_index(EL_METRIC_IP), EL_EINVAL); // there is one
    assert_non_null(strstr(el_error_detail(), "there already"));
}

static void folders_that_are_none(void **state) {
    (void)state;
    struct el_index *index = NULL;
    assert_int_equal(el_index_open(suite_folder, false, &index), EL_ENOENT);
    assert_int_equal(el_index_open("/etc", false, &index), EL_EFORMAT);
    assert_int_equal(el_index_delete("/etc"), EL_EFORMAT);
    assert_null(index);
}

static void flip(const char *name, size_t at) {
    char path[128];
    struct el_str bytes el_auto(el_str_done) = {0};
    snprintf(path, sizeof path, "%s/%s", suite_folder, name);
    assert_int_equal(el_read_file(path, 1 << 20, &bytes), 0);
    assert_true(at < bytes.length);
    bytes.data[at] ^= 4;
    assert_int_equal(el_write_file(path, bytes.data, bytes.length), 0);
}

static void damage_is_told(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    for (int n = 1; n <= 3; n++)
        assert_int_equal(suite_put(index, n, 2), 0);
    el_index_close(index);
    flip("vectors.1", 4096 + 5); // rows 0 and 1
    index = suite_open(true);
    assert_int_equal(el_index_verify(index), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), "rows 0 to 1"));
    assert_int_equal(el_index_compact(index), EL_ECHECKSUM); // which would give it a new sum
    el_index_close(index);
    flip("vectors.1", 4096 + 5);
    flip("vectors.1.log", 64 + 2 * 48 + 9); // the last record: to the file alone it looks torn
    index = NULL;
    assert_int_equal(el_index_open(suite_folder, false, &index), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), "4 rows, its documents have 6"));
    flip("vectors.1.log", 64 + 2 * 48 + 9);
    flip("documents.db", 3);
    assert_true(el_index_open(suite_folder, false, &index) < 0);
    assert_non_null(strstr(el_error_detail(), "documents.db"));
    assert_null(index);
    flip("documents.db", 3);
    index = suite_open(false);
    assert_int_equal(el_index_verify(index), 0);
    el_index_close(index);
}

// Whatever file may not grow, nothing is half there, and it goes on when there is room.
static void a_full_disk(void **state) {
    (void)state;
    struct rlimit old;
    int refused = 0;
    struct el_index *index = suite_open(true);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int n = 1; n <= 60; n++) {
        const struct rlimit tight = {(rlim_t)(n * 1800), old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        int status = suite_put(index, n, 2);
        if (status == 0 && n % 7 == 0) status = el_index_compact(index);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (status < 0) {
            refused++;
            assert_int_equal(status, EL_EIO);
            assert_int_equal(suite_put(index, n, 2), 0);
        }
        suite_expect_stats(index, n, n * 2, 0);
        assert_int_equal(el_index_verify(index), 0);
    }
    assert_true(refused > 0);
    el_index_close(index);
}

// More than are searched at once: each has its own list all the same.
static void more_questions_than_a_piece(void **state) {
    (void)state;
    enum { QUESTIONS = 2500, DOCUMENTS = 7 };
    static float vectors[QUESTIONS][SUITE_DIM];
    struct el_index_answer answer;
    assert_int_equal(suite_make_index(EL_METRIC_L2), 0);
    struct el_index *index = suite_open(true);
    for (int n = 0; n < DOCUMENTS; n++)
        assert_int_equal(suite_put(index, n, 1), 0);
    for (int i = 0; i < QUESTIONS; i++) // the very vector of a document
        memcpy(vectors[i], (float[SUITE_DIM]){(float)(i % DOCUMENTS), 0, 1, 0}, sizeof vectors[i]);
    const struct el_index_query query = {.count = QUESTIONS, .vectors = vectors[0], .k = 1};
    if (el_index_search(index, &query, &answer) < 0) fail_msg("%s", el_error_detail());
    for (int i = 0; i < QUESTIONS; i++) {
        char id[16];
        snprintf(id, sizeof id, "doc-%d", i % DOCUMENTS);
        assert_int_equal(answer.lists[i].count, 1);
        assert_string_equal(answer.lists[i].hits[0].id, id);
    }
    el_index_answer_done(&answer);
    el_index_close(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SUITE_TESTS,
        ON_AN_INDEX(one_writer),
        cmocka_unit_test(folders_that_are_none),
        ON_AN_INDEX(damage_is_told),
        cmocka_unit_test_teardown(more_questions_than_a_piece, suite_remove_index),
        ON_AN_INDEX(a_full_disk),
    };
    return cmocka_run_group_tests(tests, suite_make_root, suite_remove_root);
}
