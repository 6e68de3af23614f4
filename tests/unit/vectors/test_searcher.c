// SPDX-License-Identifier: Apache-2.0
// What an index has beside its rows: the lists are those of el_search_exact while rows are appended and
// moved, with devices that are full or lost. The argument names the devices; cuda needs the driver that is
// not there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors.h"
#include "vectors/searcher.h"

enum { SKIPPED = 77, DIM = 8, QUERIES = 3, K = 7, MOST = 9000 };

static struct el_manager *manager; // NULL: none
static float *rows, *queries;

// Searches the first `count` rows, with every filter and without; false: a list is wrong.
static bool search(struct el_searcher *searcher, const float *where, int64_t count, int64_t generation) {
    bool right = true;
    for (int filter = 0; filter < FILTERS; filter++) {
        uint64_t *allowed = new_filter((enum filter)filter, count);
        const struct el_vector_set set = {
            .dim = DIM, .metric = EL_METRIC_L2, .count = count, .rows = where, .allowed = allowed};
        struct el_hit got[QUERIES * K], want[QUERIES * K];
        assert_int_equal(el_search_exact(&set, queries, QUERIES, K, NULL, want), 0);
        assert_int_equal(el_searcher_search(searcher, &set, generation, queries, QUERIES, K, NULL, got), 0);
        for (int i = 0; i < QUERIES * K; i++)
            right = right && got[i].row == want[i].row && got[i].score == want[i].score;
        el_free(allowed);
    }
    return right;
}

static struct el_searcher *new_searcher(bool bytes) {
    struct el_searcher *searcher = NULL;
    const struct el_searcher_options options = {.manager = manager, .bytes = bytes};
    assert_int_equal(el_searcher_open(&options, &searcher), 0);
    return searcher;
}

static void nothing_beside_the_rows_is_as_good(void **state) {
    (void)state;
    assert_true(search(NULL, rows, 500, 1));
}

// Few rows stay where they are; more are copied; some that come later are searched beside the copies, many
// are copied too. Another generation's rows are other rows.
static void copies_follow_the_rows(void **state) {
    (void)state;
    const int64_t counts[] = {100, 3000, 3001, 4500, 9000, 9000};
    const int64_t copied[] = {0, 2944, 2944, 2944, 8960, 8960}; // whole words of a filter
    struct el_searcher *searcher = new_searcher(false);
    for (size_t i = 0; i < EL_COUNT(counts); i++) {
        assert_true(search(searcher, rows, counts[i], 1));
        assert_int_equal(el_searcher_stats(searcher).on_devices, manager ? copied[i] : 0);
        assert_int_equal(el_searcher_stats(searcher).as_bytes, 0);
    }
    assert_true(search(searcher, rows + (int64_t)4000 * DIM, 5000, 2));
    assert_int_equal(el_searcher_stats(searcher).on_devices, manager ? 4992 : 0);
    el_searcher_close(searcher);
}

// A view of the rows that lies elsewhere, as after a file has grown.
static void rows_may_move(void **state) {
    (void)state;
    float *elsewhere;
    struct el_searcher *searcher = new_searcher(false);
    assert_int_equal(el_alloc(MOST * DIM, sizeof *elsewhere, &elsewhere), 0);
    memcpy(elsewhere, rows, MOST * DIM * sizeof *elsewhere);
    assert_true(search(searcher, elsewhere, 4000, 1));
    memset(elsewhere, 0, MOST * DIM * sizeof *elsewhere);
    assert_true(search(searcher, rows, 4000, 1));
    el_free(elsewhere);
    el_searcher_close(searcher);
}

// Bytes are for the processor: where a device has the rows, there are none.
static void bytes_follow_the_rows(void **state) {
    (void)state;
    const int64_t counts[] = {1, 100, 3000, 9000};
    struct el_searcher *searcher = new_searcher(true);
    for (size_t i = 0; i < EL_COUNT(counts); i++) {
        const bool on_device = manager && counts[i] >= 3000;
        assert_true(search(searcher, rows, counts[i], 1));
        assert_int_equal(el_searcher_stats(searcher).as_bytes, on_device ? 0 : counts[i]);
    }
    assert_true(search(searcher, rows + DIM, 50, 2));
    el_searcher_close(searcher);
    el_searcher_close(NULL);
}

static int open_all(const char *devices) {
    const struct el_manager_options options = {.devices = devices};
    vectors_seed = 20261121;
    rows = new_rows(UNIT, MOST, DIM);
    queries = new_rows(UNIT, QUERIES, DIM);
    return devices ? el_manager_open(&options, &manager) : 0;
}

int main(int argc, char **argv) {
    if (open_all(argc > 1 ? argv[1] : NULL) < 0) {
        printf("SKIPPED: %s\n", el_error_detail());
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_beside_the_rows_is_as_good),
        cmocka_unit_test(copies_follow_the_rows),
        cmocka_unit_test(rows_may_move),
        cmocka_unit_test(bytes_follow_the_rows),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    el_manager_close(manager);
    el_free(rows);
    el_free(queries);
    return failed;
}
