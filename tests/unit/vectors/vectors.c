// SPDX-License-Identifier: Apache-2.0
// Drawing rows, and the plain search.
#include "vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static const char *const kind_text[KINDS] = {"unit", "few values", "duplicates", "huge",
                                             "tiny", "far away",   "not finite"};

uint64_t vectors_seed;

static uint32_t draw(void) {
    vectors_seed = vectors_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(vectors_seed >> 33);
}

int draw_below(int limit) {
    return (int)(draw() % (uint32_t)limit);
}

int draw_from(const int *choices, size_t count) {
    return choices[draw_below((int)count)];
}

static void draw_unit(float *row, int dim) {
    double square = 1e-30;
    for (int i = 0; i < dim; i++) {
        row[i] = (float)draw() * 0x1p-30f - 1;
        square += (double)row[i] * row[i];
    }
    for (int i = 0; i < dim; i++)
        row[i] = (float)(row[i] / sqrt(square));
}

static void draw_row(enum kind kind, float *row, int dim) {
    static const float scale[KINDS] = {[FEW_VALUES] = 1,          [DUPLICATES] = 1, [HUGE_VALUES] = 0x1p100f,
                                       [TINY_VALUES] = 0x1p-100f, [FAR_AWAY] = 1,   [NOT_FINITE] = 1};
    if (kind == UNIT) {
        draw_unit(row, dim);
        return;
    }
    for (int i = 0; i < dim; i++)
        row[i] = (float)(draw_below(5) - 2) * scale[kind] + (kind == FAR_AWAY ? 4096 : 0);
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    if (kind == NOT_FINITE && draw_below(3) == 0) row[draw_below(dim)] = odd[draw_below(3)];
}

float *new_rows(enum kind kind, int64_t count, int dim) {
    float *rows;
    assert_int_equal(el_alloc((size_t)count * (size_t)dim, sizeof *rows, &rows), 0);
    for (int64_t i = 0; i < count; i++) {
        float *row = rows + i * dim;
        if (kind == DUPLICATES && i >= 5)
            memcpy(row, rows + draw_below(5) * dim, (size_t)dim * sizeof *row);
        else
            draw_row(kind, row, dim);
    }
    return rows;
}

uint64_t *new_filter(enum filter filter, int64_t count) {
    uint64_t *allowed = NULL;
    if (filter == NO_FILTER) return NULL;
    assert_int_equal(el_zalloc((size_t)(count + 63) / 64, sizeof *allowed, &allowed), 0);
    bool in_run = false;
    for (int64_t row = 0; row < count; row++) {
        if (draw_below(150) == 0) in_run = !in_run;
        const bool yes[FILTERS] = {
            [HALF] = draw_below(2), [ONE_IN_99] = draw_below(99) == 0, [RUNS] = in_run};
        if (yes[filter]) allowed[row / 64] |= UINT64_C(1) << row % 64;
    }
    return allowed;
}

static float plain_score(const struct el_vector_set *set, const float *query, const float *row) {
    long double sum = 0;
    for (int i = 0; i < set->dim; i++) {
        const long double difference = (long double)query[i] - row[i];
        sum += set->metric == EL_METRIC_L2 ? -difference * difference : (long double)query[i] * row[i];
    }
    return (float)sum;
}

static int compare_hits(const void *a, const void *b) {
    const struct el_hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

void plain_search(const struct el_vector_set *set, const float *query, int k, struct el_hit *ret_hits) {
    struct el_hit *all;
    int64_t found = 0;
    assert_int_equal(el_alloc((size_t)set->count, sizeof *all, &all), 0);
    for (int64_t row = 0; row < set->count; row++) {
        const float score = plain_score(set, query, set->rows + row * set->dim);
        const bool allowed = !set->allowed || (set->allowed[row / 64] >> row % 64 & 1);
        if (allowed && !isnan(score)) all[found++] = (struct el_hit){row, score};
    }
    qsort(all, (size_t)found, sizeof *all, compare_hits);
    for (int i = 0; i < k; i++)
        ret_hits[i] = i < found ? all[i] : (struct el_hit){-1, -INFINITY};
    el_free(all);
}

void assert_same_hits(const struct search *s, const char *ops, int threads, const struct el_hit *got,
                      const struct el_hit *want) {
    for (int i = 0; i < s->queries * s->k; i++)
        if (got[i].row != want[i].row || got[i].score != want[i].score)
            fail_msg("%s, %d threads, %s, filter %d, metric %d, %lld rows of %d, %d queries, k %d: hit %d of "
                     "query %d is row %lld with %.9g, not row %lld with %.9g",
                     ops, threads, kind_text[s->kind], s->filter, s->metric, (long long)s->rows, s->dim,
                     s->queries, s->k, i % s->k, i / s->k, (long long)got[i].row, got[i].score,
                     (long long)want[i].row, want[i].score);
}
