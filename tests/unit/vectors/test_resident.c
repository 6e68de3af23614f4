// SPDX-License-Identifier: Apache-2.0
// Exact search on a device against the plain search: same rows, same scores, same order. The device is the
// argument's: cpu, opencl (PoCL where there is no GPU), cuda (the driver that is not there).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors.h"
#include "vectors/resident.h"

enum { SKIPPED = 77, ROUNDS = 4 * KINDS };

static struct el_device *device;

// One set on the device, searched with a filter and without. Returns how many queries the processor had to
// search.
static int64_t check_resident(struct search *s) {
    float *rows = new_rows(s->kind, s->rows, s->dim);
    float *queries = new_rows(s->kind == NOT_FINITE ? FEW_VALUES : s->kind, s->queries, s->dim);
    struct el_vector_set set = {.dim = s->dim, .metric = s->metric, .count = s->rows, .rows = rows};
    struct el_hit *got, *want;
    struct el_resident *resident = NULL;
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *got, &got), 0);
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *want, &want), 0);
    assert_int_equal(el_resident_open(device, &set, &resident), 0);
    assert_true(s->rows == 0 || el_resident_bytes(resident) >= (size_t)(s->rows * s->dim) * sizeof *rows);
    for (int filtered = 0; filtered < 2; filtered++) {
        uint64_t *allowed = filtered ? new_filter(s->filter, s->rows) : NULL;
        set.allowed = allowed;
        for (int q = 0; q < s->queries; q++)
            plain_search(&set, queries + q * s->dim, s->k, want + q * s->k);
        assert_int_equal(el_resident_search(resident, &set, queries, s->queries, s->k, NULL, got), 0);
        assert_same_hits(s, device->id, filtered, got, want);
        el_free(allowed);
    }
    const int64_t left_over = el_resident_left_over(resident);
    el_resident_close(resident);
    el_free(rows);
    el_free(queries);
    el_free(got);
    el_free(want);
    return left_over;
}

static void every_list_is_the_plain_one(void **state) {
    (void)state;
    static const int dims[] = {1, 16, 37}, ks[] = {1, 10, 100, 1100}, query_counts[] = {1, 2, 33, 70};
    static const int row_counts[] = {0, 1, 5, 300, 2048};
    vectors_seed = 20261121;
    for (int round = 0; round < ROUNDS; round++)
        check_resident(&(struct search){
            .kind = (enum kind)(round % KINDS),
            .filter = (enum filter)draw_below(FILTERS),
            .metric = (enum el_metric)draw_below(EL_METRIC_L2 + 1),
            .rows = draw_from(row_counts, EL_COUNT(row_counts)),
            .dim = draw_from(dims, EL_COUNT(dims)),
            .queries = draw_from(query_counts, EL_COUNT(query_counts)),
            .k = draw_from(ks, EL_COUNT(ks)),
        });
}

// More rows than a part of the device's holds.
static void parts_are_merged(void **state) {
    (void)state;
    vectors_seed = 3;
    check_resident(&(struct search){.kind = UNIT,
                                    .filter = HALF,
                                    .metric = EL_METRIC_L2,
                                    .rows = (1 << 18) + 3,
                                    .dim = 3,
                                    .queries = 1,
                                    .k = 10});
}

// The device's fp32 suffices for ordinary vectors; where many rows tie, it cannot.
static void the_processor_is_needed_for_ties_alone(void **state) {
    (void)state;
    vectors_seed = 7;
    struct search s = {.kind = UNIT,
                       .filter = NO_FILTER,
                       .metric = EL_METRIC_COSINE,
                       .rows = 1500,
                       .dim = 32,
                       .queries = 20,
                       .k = 10};
    assert_int_equal(check_resident(&s), 0);
    s.kind = DUPLICATES;
    assert_int_equal(check_resident(&s), 2 * s.queries);
}

static void bad_input_is_refused(void **state) {
    (void)state;
    float rows[4] = {1, 2, 3, 4}, query[2] = {1, 2};
    struct el_vector_set set = {.dim = 0, .count = 2, .rows = rows};
    struct el_resident *resident = NULL;
    struct el_hit hit;
    assert_int_equal(el_resident_open(device, &set, &resident), EL_EINVAL);
    assert_null(resident);
    set.dim = 2;
    assert_int_equal(el_resident_open(device, &set, &resident), 0);
    assert_int_equal(el_resident_search(resident, &set, query, 1, 0, NULL, &hit), EL_EINVAL);
    el_resident_close(resident);
    el_resident_close(NULL);
}

int main(int argc, char **argv) {
    if (el_device_open_id(argc > 1 ? argv[1] : "cpu", NULL, &device) < 0) {
        printf("SKIPPED: %s\n", el_error_detail());
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_list_is_the_plain_one),
        cmocka_unit_test(parts_are_merged),
        cmocka_unit_test(the_processor_is_needed_for_ties_alone),
        cmocka_unit_test(bad_input_is_refused),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    el_device_close(device);
    return failed;
}
