// SPDX-License-Identifier: Apache-2.0
// Nearest centroids on a device against the processor's: the same where products are exact, as near where
// they are rounded; and inverted lists that a device trained. The device is the argument's: cpu, opencl,
// cuda.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors.h"
#include "vectors/assigner.h"
#include "vectors/ivf.h"

enum { SKIPPED = 77, LISTS = 70, ROWS = 260, DIM = 16, QUERIES = 200, K = 10 };

static struct el_device *device;

static double distance(const struct el_row_source *source, int64_t i, const float *centroid) {
    double square = 0;
    for (int d = 0; d < source->dim; d++) {
        const double x = (double)(el_source_row(source, i)[d] - source->origin[d]) - (double)centroid[d];
        square += x * x;
    }
    return square;
}

// Rows of one kind in lists by centroids of the same kind, twice, as an iteration follows another.
static void check_kind(enum kind kind, bool exact) {
    static const float origin[DIM] = {0.5F, -1};
    static int64_t numbers[ROWS];
    static int32_t got[ROWS], want[ROWS];
    float *rows = new_rows(kind, 2 * ROWS, DIM), *centroids = new_rows(kind, 2 * LISTS, DIM);
    struct el_row_source source = {
        .rows = rows, .dim = DIM, .origin = origin, .numbers = numbers, .count = ROWS, .device = device};
    struct el_assigner *assigner = NULL;
    for (int64_t i = 0; i < ROWS; i++)
        numbers[i] = 2 * i + draw_below(2);
    assert_int_equal(el_assigner_open(&source, NULL, &assigner), 0);
    for (int round = 0; round < 2; round++) {
        const float *theirs = centroids + (ptrdiff_t)round * LISTS * DIM;
        assert_int_equal(el_assigner_assign(assigner, theirs, LISTS, got), 0);
        assert_int_equal(el_partition_assign(&source, theirs, LISTS, NULL, want), 0);
        for (int64_t i = 0; i < ROWS; i++) {
            if (got[i] == want[i]) continue;
            const double off = distance(&source, i, theirs + (ptrdiff_t)got[i] * DIM) -
                               distance(&source, i, theirs + (ptrdiff_t)want[i] * DIM);
            if (exact || fabs(off) > 1e-5)
                fail_msg("row %d is in list %d, not %d, %g farther", (int)i, got[i], want[i], off);
        }
    }
    assert_int_equal(el_assigner_is_on_device(assigner), !el_device_is_host(device));
    el_assigner_close(assigner);
    el_free(rows);
    el_free(centroids);
}

static void lists_are_the_processors(void **state) {
    (void)state;
    vectors_seed = 20261122;
    check_kind(FEW_VALUES, true);
    check_kind(DUPLICATES, true);
    check_kind(UNIT, false);
}

static struct el_ivf *build(const char *path, const struct el_vector_set *set, struct el_device *where) {
    const struct el_ivf_options options = {.lists = LISTS, .seed = 7, .device = where};
    struct el_ivf *ivf = NULL;
    if (el_ivf_build(path, set, 42, &options) < 0 || el_ivf_open(path, &ivf) < 0)
        fail_msg("%s", el_error_detail());
    return ivf;
}

// Of the K nearest of each query, those that so many lists hold.
static double recall_of(const struct el_ivf *ivf, const struct el_vector_set *set, const float *queries,
                        const struct el_hit *want, int probes) {
    static struct el_hit got[QUERIES * K];
    int found = 0;
    assert_int_equal(el_ivf_search(ivf, set, queries, QUERIES, K, probes, NULL, got), 0);
    for (int i = 0; i < QUERIES * K; i++)
        for (int j = i / K * K; j < (i / K + 1) * K; j++)
            found += got[j].row == want[i].row;
    return (double)found / (QUERIES * K);
}

// Lists that a device trained find as much as those of the processor, within what a few rows on the edge of
// two lists can change; and everything where all lists are looked at.
static void trained_lists_find_as_much(void **state) {
    (void)state;
    static struct el_hit want[QUERIES * K];
    char path[] = "/tmp/eleanor-assigner-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    vectors_seed = 11;
    float *rows = new_rows(UNIT, 4 * ROWS, DIM), *queries = new_rows(UNIT, QUERIES, DIM);
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_L2, .count = 4 * ROWS, .rows = rows};
    assert_int_equal(el_search_exact(&set, queries, QUERIES, K, NULL, want), 0);
    struct el_ivf *here = build(path, &set, NULL);
    struct el_ivf *there = build(path, &set, device);
    for (int probes = 5; probes <= 20; probes *= 2) {
        const double ours = recall_of(here, &set, queries, want, probes);
        const double theirs = recall_of(there, &set, queries, want, probes);
        if (fabs(ours - theirs) > 0.03) fail_msg("%d lists find %g, and %g", probes, ours, theirs);
    }
    assert_true(recall_of(there, &set, queries, want, LISTS) == 1);
    el_ivf_close(here);
    el_ivf_close(there);
    unlink(path);
    el_free(rows);
    el_free(queries);
}

int main(int argc, char **argv) {
    if (el_device_open_id(argc > 1 ? argv[1] : "cpu", NULL, &device) < 0) {
        printf("SKIPPED: %s\n", el_error_detail());
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_the_processors),
        cmocka_unit_test(trained_lists_find_as_much),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    el_device_close(device);
    return failed;
}
