// SPDX-License-Identifier: Apache-2.0
// An index of kind ivf: lists are made once there are rows enough and anew as more come; what is found is
// what a flat index finds, as far as the recall goes; lists that are lost or damaged cost time and nothing
// else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/index.h"
#include "unit/vectors/vectors.h"

enum { DIM = 8, ROWS = 12000, CHUNKS = 100, K = 10 };

static char root[] = "/tmp/eleanor-lists-XXXXXX", folder[64], lists_file[96];
static float *rows; // [ROWS][DIM]

static int make_root(void **state) {
    (void)state;
    if (!mkdtemp(root)) return -1;
    snprintf(folder, sizeof folder, "%s/docs", root);
    snprintf(lists_file, sizeof lists_file, "%s/ivf.1", folder);
    vectors_seed = 3;
    rows = new_rows(UNIT, ROWS, DIM);
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    el_free(rows);
    return rmdir(root);
}

static int remove_index(void **state) {
    (void)state;
    return el_index_delete(folder);
}

// Documents "0", "1"... of so many chunks each, with the metadata {"even": true} or false.
static void put(struct el_index *index, int first, int end) {
    char ids[ROWS / CHUNKS][16];
    struct el_index_document documents[ROWS / CHUNKS];
    for (int i = first; i < end; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        documents[i] = (struct el_index_document){
            .id = ids[i], .chunks = CHUNKS, .metadata = i % 2 ? "{\"even\":false}" : "{\"even\":true}"};
    }
    if (el_index_put(index, documents + first, (size_t)(end - first), rows + (size_t)first * CHUNKS * DIM) <
        0)
        fail_msg("%s", el_error_detail());
}

static struct el_index *make_index(enum el_index_kind kind) {
    const struct el_vector_facts facts = {.dim = DIM, .metric = EL_METRIC_L2, .kind = kind, .recall = 0.8F};
    struct el_index *index = NULL;
    if (el_index_create(folder, &facts) < 0 || el_index_open(folder, true, &index) < 0)
        fail_msg("%s", el_error_detail());
    return index;
}

static struct el_query_stats ask(struct el_index *index, int row, double recall, const char *filter,
                                 struct el_str *found) {
    struct el_index_answer answer;
    const struct el_index_query query = {
        .count = 1, .vectors = rows + (size_t)row * DIM, .k = K, .recall = recall, .filter = filter};
    if (el_index_search(index, &query, &answer) < 0) fail_msg("%s", el_error_detail());
    el_str_clear(found);
    for (size_t i = 0; i < answer.lists[0].count; i++)
        assert_int_equal(
            el_str_printf(found, "%s.%d ", answer.lists[0].hits[i].id, (int)answer.lists[0].hits[i].part), 0);
    const struct el_query_stats stats = answer.stats;
    el_index_answer_done(&answer);
    return stats;
}

static struct el_index_stats stats_of(struct el_index *index) {
    struct el_index_stats stats;
    assert_int_equal(el_index_stats(index, &stats), 0);
    return stats;
}

static void lists_are_made_and_used(void **state) {
    (void)state;
    struct el_str found el_auto(el_str_done) = {0}, all el_auto(el_str_done) = {0};
    struct el_index *index = make_index(EL_INDEX_IVF);
    put(index, 0, 90); // 9,000 rows are too few
    assert_int_equal(stats_of(index).lists, 0);
    assert_int_equal(ask(index, 5, 0, NULL, &found).probes, 0);
    put(index, 90, 120);
    const struct el_index_stats stats = stats_of(index);
    assert_true(stats.lists > 100);
    assert_int_equal(stats.listed, ROWS / 64 * 64);
    const struct el_query_stats own = ask(index, 5, 0, NULL, &found), low = ask(index, 5, 0.5, NULL, &found);
    assert_true(own.recall >= 0.8 && own.recall < 0.9 && own.probes > low.probes);
    assert_true(low.recall >= 0.5 && low.recall < 0.8 && low.probes > 0);
    assert_int_equal(ask(index, 11, 1, NULL, &all).probes, stats.lists);
    assert_int_equal(unlink(lists_file), 0);
    assert_int_equal(ask(index, 11, 1, NULL, &found).probes, 0); // every row
    assert_string_equal(found.data, all.data);
    assert_int_equal(el_index_verify(index), 0);
    assert_int_equal(el_index_compact(index), 0);
    assert_int_equal(stats_of(index).lists, stats.lists);
    el_index_close(index);
}

static void what_is_removed_or_filtered_is_not_found(void **state) {
    (void)state;
    struct el_str found el_auto(el_str_done) = {0};
    struct el_index *index = make_index(EL_INDEX_IVF);
    const char *const one[] = {"7"};
    int64_t removed;
    put(index, 0, 120);
    ask(index, 705, 0, NULL, &found); // chunk 5 of document 7 is its own neighbour
    assert_int_equal(strncmp(found.data, "7.5 ", 4), 0);
    assert_int_equal(el_index_remove(index, one, 1, &removed), 0);
    assert_true(ask(index, 705, 0, NULL, &found).probes > 0);
    assert_null(strstr(found.data, "7.5 "));
    const struct el_query_stats stats = ask(index, 5, 0, "{\"even\":false}", &found);
    assert_true(stats.probes > 0 && stats.rows == ROWS / 2 - CHUNKS);
    for (const char *id = found.data; *id; id = strchr(id, ' ') + 1)
        assert_int_equal(strtol(id, NULL, 10) % 2, 1);
    assert_int_equal(el_index_compact(index), 0);
    assert_true(ask(index, 5, 0, NULL, &found).probes > 0);
    put(index, 7, 8); // again, behind the rows that lists hold
    ask(index, 705, 0, NULL, &found);
    assert_int_equal(strncmp(found.data, "7.5 ", 4), 0);
    el_index_close(index);
}

static void damaged_lists_are_told_and_not_used(void **state) {
    (void)state;
    struct el_str found el_auto(el_str_done) = {0}, bytes el_auto(el_str_done) = {0};
    struct el_index *index = make_index(EL_INDEX_IVF);
    put(index, 0, 120);
    el_index_close(index);
    assert_int_equal(el_read_file(lists_file, 1 << 24, &bytes), 0);
    bytes.data[5000] ^= 1;
    assert_int_equal(el_write_file(lists_file, bytes.data, bytes.length), 0);
    assert_int_equal(el_index_open(folder, false, &index), 0);
    assert_int_equal(ask(index, 705, 0, NULL, &found).probes, 0);
    assert_int_equal(strncmp(found.data, "7.5 ", 4), 0);
    assert_int_equal(el_index_verify(index), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), "ivf.1 is damaged"));
    bytes.data[5000] ^= 1;
    assert_int_equal(el_write_file(lists_file, bytes.data, bytes.length), 0);
    assert_int_equal(el_index_verify(index), 0);
    assert_true(ask(index, 705, 0, NULL, &found).probes > 0);
    el_index_close(index);
}

static void a_flat_index_has_none(void **state) {
    (void)state;
    struct el_str found el_auto(el_str_done) = {0};
    struct el_index *index = make_index(EL_INDEX_FLAT);
    put(index, 0, 120);
    assert_int_equal(el_index_compact(index), 0);
    assert_int_equal(stats_of(index).lists, 0);
    const struct el_query_stats stats = ask(index, 705, 0.5, NULL, &found);
    assert_true(stats.probes == 0 && stats.recall == 1);
    el_index_close(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lists_are_made_and_used, remove_index),
        cmocka_unit_test_teardown(what_is_removed_or_filtered_is_not_found, remove_index),
        cmocka_unit_test_teardown(damaged_lists_are_told_and_not_used, remove_index),
        cmocka_unit_test_teardown(a_flat_index_has_none, remove_index),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
