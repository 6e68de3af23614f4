// SPDX-License-Identifier: Apache-2.0
// Inverted lists: with all of them, the answer is that of exact search; with some, that of a plain search in
// the rows that these hold; recall is what it is said to be; the file is the same for any number of threads,
// and damage to it is told.
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "vectors.h"
#include "vectors/codes.h"
#include "vectors/ivf_file.h"

enum { MOST_THREADS = 4 };

static struct el_team *teams[MOST_THREADS + 1]; // by size; 1 stays NULL
static char folder[] = "/tmp/eleanor-ivf-XXXXXX", path[64], beside[64];

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/i", folder);
    snprintf(beside, sizeof beside, "%s/i.new", folder);
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        if (el_team_open(threads, false, &teams[threads]) < 0) return -1;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unsetenv("ELEANOR_SIMD");
    unlink(path);
    unlink(beside);
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        el_team_close(teams[threads]);
    return rmdir(folder);
}

static struct el_ivf *build(const struct el_vector_set *set, int lists, struct el_team *team) {
    const struct el_ivf_options options = {.lists = lists, .seed = 7, .team = team};
    struct el_ivf *ivf = NULL;
    if (el_ivf_build(path, set, 42, &options) < 0 || el_ivf_open(path, &ivf) < 0)
        fail_msg("%s", el_error_detail());
    return ivf;
}

// ---- what is found ----

// The lists of the `probes` best ratings, by a plain sum: allowed rows of others are struck out.
static void keep_lists(const struct el_ivf *ivf, const float *query, int probes, uint64_t *allowed) {
    const int lists = ivf->facts.lists, dim = ivf->facts.dim;
    float *centred, *ratings;
    assert_int_equal(el_alloc((size_t)dim, sizeof *centred, &centred), 0);
    assert_int_equal(el_alloc((size_t)lists, sizeof *ratings, &ratings), 0);
    for (int d = 0; d < dim; d++)
        centred[d] = query[d] - ivf->origin[d];
    assert_int_equal(el_ivf_rate_lists(ivf, centred, 1, NULL, ratings), 0);
    for (int l = 0; l < lists; l++) {
        int better = 0;
        for (int other = 0; other < lists; other++)
            better += ratings[other] > ratings[l] || (ratings[other] == ratings[l] && other < l);
        for (int64_t i = 0; better >= probes && i < ivf->entries[l].rows; i++) {
            const int64_t row = ivf->numbers[ivf->entries[l].first_panel * EL_REACH_ROWS + i];
            allowed[row / 64] &= ~(UINT64_C(1) << row % 64);
        }
    }
    el_free(centred);
    el_free(ratings);
}

// What a search that looks at so many lists is to find.
static void plain_ivf(const struct el_ivf *ivf, const struct el_vector_set *set, const float *query, int k,
                      int probes, struct el_hit *ret_hits) {
    struct el_vector_set kept = *set;
    uint64_t *allowed;
    const size_t words = (size_t)(set->count + 63) / 64;
    assert_int_equal(el_alloc(words, sizeof *allowed, &allowed), 0);
    memset(allowed, 0xff, words * sizeof *allowed);
    if (set->allowed) memcpy(allowed, set->allowed, words * sizeof *allowed);
    keep_lists(ivf, query, probes, allowed);
    kept.allowed = allowed;
    plain_search(&kept, query, k, ret_hits);
    el_free(allowed);
}

// One set of rows with lists of it, searched on every instruction set. Rows behind those that the lists hold
// are there whenever their number is no multiple of 64.
static void check_search(const struct search *s, int lists) {
    float *rows = new_rows(s->kind, s->rows, s->dim), *queries = new_rows(s->kind, s->queries, s->dim);
    uint64_t *allowed = new_filter(s->filter, s->rows);
    const struct el_vector_set all = {.dim = s->dim, .metric = s->metric, .count = s->rows, .rows = rows};
    struct el_vector_set set = all;
    struct el_hit *got, *want;
    set.allowed = allowed;
    struct el_ivf *ivf = build(&all, lists, teams[draw_below(MOST_THREADS) + 1]);
    const int probes = draw_below(2) ? lists : 1 + draw_below(lists);
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *got, &got), 0);
    assert_int_equal(el_alloc((size_t)(s->queries * s->k), sizeof *want, &want), 0);
    for (int q = 0; q < s->queries; q++)
        if (probes == lists)
            plain_search(&set, queries + q * s->dim, s->k, want + q * s->k);
        else
            plain_ivf(ivf, &set, queries + q * s->dim, s->k, probes, want + q * s->k);
    const int threads = 1 + draw_below(MOST_THREADS);
    assert_int_equal(el_ivf_search(ivf, &set, queries, s->queries, s->k, probes, teams[threads], got), 0);
    assert_same_hits(s, "lists", threads, got, want);
    el_ivf_close(ivf);
    el_free(rows);
    el_free(queries);
    el_free(allowed);
    el_free(got);
    el_free(want);
}

static void no_row_of_the_lists_is_missed(void **state) {
    (void)state;
    static const int dims[] = {1, 3, 16, 37, 130}, ks[] = {1, 10, 100, 700};
    static const int row_counts[] = {64, 127, 300, 640, 1111}, query_counts[] = {1, 2, 9, 40};
    vectors_seed = 20261121;
    for (int round = 0; round < 4 * NOT_FINITE; round++)
        for (int metric = EL_METRIC_IP; metric <= EL_METRIC_L2; metric++) {
            const struct search search = {
                .kind = (enum kind)(round % NOT_FINITE),
                .filter = (enum filter)draw_below(FILTERS),
                .metric = (enum el_metric)metric,
                .rows = draw_from(row_counts, EL_COUNT(row_counts)),
                .dim = draw_from(dims, EL_COUNT(dims)),
                .queries = draw_from(query_counts, EL_COUNT(query_counts)),
                .k = draw_from(ks, EL_COUNT(ks)),
            };
            setenv("ELEANOR_SIMD", el_ops_at(round % el_ops_count())->name, 1);
            check_search(&search, 1 + draw_below(24));
        }
    unsetenv("ELEANOR_SIMD");
}

// A set may come with bytes of its rows: those of the first are not those of the rows behind the lists.
static void rows_behind_the_lists_have_no_bytes(void **state) {
    (void)state;
    enum { LISTED = 640, ALL = 1000, WIDE = 37, ASKED = 9, WANTED = 10 };
    static struct el_hit got[ASKED * WANTED], want[ASKED * WANTED];
    const struct search s = {UNIT, NO_FILTER, EL_METRIC_IP, ALL, WIDE, ASKED, WANTED};
    vectors_seed = 9;
    float *rows = new_rows(UNIT, ALL, WIDE), *queries = new_rows(UNIT, ASKED, WIDE);
    struct el_vector_set set = {.dim = WIDE, .metric = EL_METRIC_IP, .count = LISTED, .rows = rows};
    struct el_ivf *ivf = build(&set, 8, NULL);
    struct el_codes *codes;
    set.count = ALL;
    assert_int_equal(el_codes_open(WIDE, &codes), 0);
    assert_int_equal(el_codes_append(codes, &set, NULL), 0);
    for (int q = 0; q < ASKED; q++)
        plain_search(&set, queries + q * WIDE, WANTED, want + q * WANTED);
    set.codes = codes;
    assert_int_equal(el_ivf_search(ivf, &set, queries, ASKED, WANTED, 8, NULL, got), 0);
    assert_same_hits(&s, "lists beside bytes", 1, got, want);
    el_codes_close(codes);
    el_ivf_close(ivf);
    el_free(rows);
    el_free(queries);
}

// ---- recall ----

enum { DIM = 24, CLUSTERS = 50, ROWS = 8000, QUERIES = 400, LISTS = 80 };

// Around centres that are far apart, as much as vectors of texts are.
static float *new_clusters(int64_t count) {
    float *rows = new_rows(UNIT, count, DIM);
    for (int64_t i = 0; i < count; i++) {
        const int cluster = draw_below(CLUSTERS);
        for (int d = 0; d < DIM; d++)
            rows[i * DIM + d] += 0.3F * sinf((float)(cluster * DIM + d) * 1.7F);
    }
    return rows;
}

static double recall_of(const struct el_hit *got, const struct el_hit *want, int queries, int k) {
    int found = 0;
    for (int q = 0; q < queries; q++)
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++)
                found += got[q * k + j].row == want[q * k + i].row;
    return (double)found / (queries * k);
}

static void recall_is_as_it_is_said(void **state) {
    (void)state;
    static const double wanted[] = {0.5, 0.8, 0.95};
    static struct el_hit got[QUERIES * EL_IVF_MOST_K], want[QUERIES * EL_IVF_MOST_K];
    vectors_seed = 5;
    float *rows = new_clusters(ROWS), *queries = new_clusters(QUERIES);
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_L2, .count = ROWS, .rows = rows};
    struct el_ivf *ivf = build(&set, LISTS, teams[2]);
    double said = 0;
    for (int k = 10; k <= EL_IVF_MOST_K; k *= 10) {
        assert_int_equal(el_search_exact(&set, queries, QUERIES, k, teams[2], want), 0);
        for (size_t i = 0; i < EL_COUNT(wanted); i++) {
            const int probes = el_ivf_probes(ivf, k, wanted[i], &said);
            assert_true(said >= wanted[i] && probes < LISTS / 2);
            assert_int_equal(el_ivf_search(ivf, &set, queries, QUERIES, k, probes, teams[2], got), 0);
            const double found = recall_of(got, want, QUERIES, k);
            if (fabs(found - said) > 0.03) fail_msg("k %d: %d lists find %g, not %g", k, probes, found, said);
        }
    }
    assert_int_equal(el_ivf_probes(ivf, 10, 2, &said), LISTS); // more than all there is
    assert_true(said == 1);
    assert_int_equal(el_ivf_probes(ivf, EL_IVF_MOST_K + 1, 0.9, &said), 0);
    el_ivf_close(ivf);
    el_free(rows);
    el_free(queries);
}

// ---- the file ----

static void read_all(struct el_str *bytes) {
    el_str_clear(bytes);
    assert_int_equal(el_read_file(path, 1 << 24, bytes), 0);
}

static void any_number_of_threads_writes_the_same(void **state) {
    (void)state;
    struct el_str one el_auto(el_str_done) = {0}, other el_auto(el_str_done) = {0};
    vectors_seed = 6;
    float *rows = new_clusters(2000);
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_IP, .count = 2000, .rows = rows};
    el_ivf_close(build(&set, 30, NULL));
    read_all(&one);
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        el_ivf_close(build(&set, 30, teams[threads]));
        read_all(&other);
        assert_int_equal(one.length, other.length);
        assert_memory_equal(one.data, other.data, one.length);
    }
    el_free(rows);
}

// Writes over the file, without a sync.
static void put(const void *bytes, size_t size, size_t at) {
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(el_write_at(fd, path, bytes, size, at), 0);
    close(fd);
}

// Opens and verifies; the first failure.
static int open_and_verify(void) {
    struct el_ivf *ivf = NULL;
    int status = el_ivf_open(path, &ivf);
    if (status == 0) status = el_ivf_verify(ivf);
    el_ivf_close(ivf);
    return status;
}

static void every_damage_is_told(void **state) {
    (void)state;
    struct el_str bytes el_auto(el_str_done) = {0};
    vectors_seed = 7;
    float *rows = new_rows(UNIT, 128, 3);
    const struct el_vector_set set = {.dim = 3, .metric = EL_METRIC_L2, .count = 128, .rows = rows};
    el_ivf_close(build(&set, 4, NULL));
    read_all(&bytes);
    assert_int_equal(open_and_verify(), 0);
    for (size_t at = 0; at < bytes.length; at += 1 + (at > 200 && at < 4000) * 31) { // few of what is unused
        const char flipped = (char)(bytes.data[at] ^ 16);
        put(&flipped, 1, at);
        if (open_and_verify() == 0) fail_msg("byte %zu", at);
        put(bytes.data + at, 1, at);
    }
    for (size_t length = bytes.length; length > 0; length -= EL_MIN(length, 61)) {
        assert_int_equal(truncate(path, (off_t)length - 1), 0);
        if (open_and_verify() == 0) fail_msg("cut to %zu", length - 1);
    }
    el_free(rows);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    float rows[128 * 2] = {0};
    struct el_hit hit;
    struct el_vector_set set = {.dim = 2, .metric = EL_METRIC_IP, .count = 128, .rows = rows};
    struct el_ivf *ivf = build(&set, 4, NULL);
    set.count = 127; // fewer than the lists hold
    assert_int_equal(el_ivf_search(ivf, &set, rows, 1, 1, 1, NULL, &hit), EL_EINVAL);
    assert_int_equal(el_ivf_build(path, &set, 1, &(struct el_ivf_options){.lists = 120}), EL_EINVAL);
    set.count = 63; // not one unit
    assert_int_equal(el_ivf_build(path, &set, 1, &(struct el_ivf_options){.lists = 1}), EL_EINVAL);
    el_ivf_close(ivf);
    assert_int_equal(open_and_verify(), 0); // the old one is still there
    assert_int_not_equal(access(beside, F_OK), 0);
    assert_int_equal(el_ivf_open("/nonexistent", &ivf), EL_ENOENT);
    assert_int_equal(el_ivf_open("/etc/passwd", &ivf), EL_EFORMAT);
}

// A process that is killed while it builds leaves the old lists or the new, whole.
static void a_killed_build_leaves_what_was(void **state) {
    (void)state;
    const char *kills = getenv("EL_KILLS");
    vectors_seed = 8;
    float *rows = new_clusters(2000);
    const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_IP, .count = 2000, .rows = rows};
    el_ivf_close(build(&set, 20, NULL));
    for (int i = 0; i < (kills ? strtol(kills, NULL, 10) : 20); i++) {
        const pid_t child = fork();
        if (child == 0) {
            for (int n = 0;; n++)
                el_ivf_build(path, &set, 42, &(struct el_ivf_options){.lists = 20 + n % 2, .seed = 7});
        }
        usleep((useconds_t)draw_below(30000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_int_equal(open_and_verify(), 0);
    }
    el_free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_of_the_lists_is_missed),
        cmocka_unit_test(rows_behind_the_lists_have_no_bytes),
        cmocka_unit_test(recall_is_as_it_is_said),
        cmocka_unit_test(any_number_of_threads_writes_the_same),
        cmocka_unit_test(every_damage_is_told),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_killed_build_leaves_what_was),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
