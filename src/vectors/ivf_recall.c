// SPDX-License-Identifier: Apache-2.0
// Measuring recall.
#include "vectors/ivf_recall.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "vectors/blocks.h"
#include "vectors/kmeans.h"

enum {
    SAMPLE = 1000,            // queries; 10,000 neighbours say a recall of 0.95 to about half a percent
    LEAST_SHARE = 10,         // at most one of so many rows
    KEPT = EL_IVF_MOST_K + 1, // a sample row finds itself, too
};
static const int depths[EL_IVF_CURVES] = {EL_IVF_FEW_K, EL_IVF_MOST_K};

int el_ivf_sample_draw(const struct el_vector_set *set, int64_t rows, uint64_t seed,
                       struct el_ivf_sample *ret_sample) {
    const int64_t wanted = EL_MIN(SAMPLE, EL_MAX(1, rows / LEAST_SHARE));
    struct el_ivf_sample sample = {0};
    EL_TRY(el_alloc((size_t)wanted, sizeof *sample.rows, &sample.rows));
    for (int64_t i = 0; i < wanted; i++) {
        const int64_t first = rows * i / wanted, end = rows * (i + 1) / wanted;
        const int64_t row = first + el_draw(&seed, end - first);
        if (el_is_allowed(set, row)) sample.rows[sample.count++] = row;
    }
    *ret_sample = sample;
    return 0;
}

void el_ivf_sample_done(struct el_ivf_sample *sample) {
    el_free(sample->rows);
    *sample = (struct el_ivf_sample){0};
}

bool el_ivf_sample_has(const struct el_ivf_sample *sample, int64_t row) {
    int64_t first = 0, end = sample->count;
    while (first < end) {
        const int64_t middle = (first + end) / 2;
        if (sample->rows[middle] == row) return true;
        if (sample->rows[middle] < row)
            first = middle + 1;
        else
            end = middle;
    }
    return false;
}

struct measuring {
    const struct el_ivf_sample *sample;
    const struct el_ivf *ivf;
    const int32_t *list_of;
    float *queries;      // [count][dim]
    float *scores;       // [count][lists]
    struct el_hit *hits; // [count][KEPT]
    int64_t *counts;     // [EL_IVF_CURVES][lists]: neighbours in the query's list of that rank
    int64_t found[EL_IVF_CURVES];
};

// How many lists come before list `l`.
static int rank_of(const float *scores, int lists, int l) {
    int rank = 0;
    for (int other = 0; other < lists; other++)
        rank += scores[other] > scores[l] || (other < l && scores[other] == scores[l]);
    return rank;
}

static void count_neighbours(struct measuring *measuring, int64_t query) {
    const int lists = measuring->ivf->facts.lists;
    const struct el_hit *hits = measuring->hits + query * KEPT;
    int place = 0; // among the neighbours
    for (int i = 0; i < KEPT && hits[i].row >= 0 && place < EL_IVF_MOST_K; i++) {
        if (hits[i].row == measuring->sample->rows[query]) continue;
        const int rank = rank_of(measuring->scores + query * lists, lists, measuring->list_of[hits[i].row]);
        for (int c = 0; c < EL_IVF_CURVES; c++) {
            if (place >= depths[c]) continue;
            measuring->counts[(int64_t)c * lists + rank]++;
            measuring->found[c]++;
        }
        place++;
    }
}

static void put_curves(const struct measuring *measuring) {
    const int lists = measuring->ivf->facts.lists;
    for (int c = 0; c < EL_IVF_CURVES; c++) {
        int64_t sum = 0;
        for (int l = 0; l < lists; l++) {
            sum += measuring->counts[c * lists + l];
            measuring->ivf->curves[c * lists + l] =
                measuring->found[c] ? (float)((double)sum / (double)measuring->found[c]) : 1;
        }
    }
}

static int measure(struct measuring *measuring, const struct el_vector_set *set, struct el_team *team) {
    const int64_t count = measuring->sample->count;
    const int dim = set->dim;
    for (int64_t i = 0; i < count; i++)
        memcpy(measuring->queries + i * dim, set->rows + measuring->sample->rows[i] * dim,
               (size_t)dim * sizeof(float));
    EL_TRY(el_search_exact(set, measuring->queries, (int)count, KEPT, team, measuring->hits));
    for (int64_t i = 0; i < count; i++)
        for (int d = 0; d < dim; d++)
            measuring->queries[i * dim + d] -= measuring->ivf->origin[d];
    EL_TRY(el_ivf_rate_lists(measuring->ivf, measuring->queries, count, team, measuring->scores));
    for (int64_t i = 0; i < count; i++)
        count_neighbours(measuring, i);
    put_curves(measuring);
    return 0;
}

int el_ivf_measure_recall(const struct el_ivf_sample *sample, const struct el_vector_set *set,
                          const int32_t *list_of, struct el_team *team, struct el_ivf *ivf) {
    struct measuring measuring = {.sample = sample, .ivf = ivf, .list_of = list_of};
    struct el_vector_set listed = *set;
    const size_t count = (size_t)sample->count, lists = (size_t)ivf->facts.lists;
    listed.count = ivf->facts.rows;
    int status = el_alloc(count * (size_t)set->dim, sizeof(float), &measuring.queries);
    if (status == 0) status = el_alloc(count * lists, sizeof(float), &measuring.scores);
    if (status == 0) status = el_alloc(count * KEPT, sizeof *measuring.hits, &measuring.hits);
    if (status == 0) status = el_zalloc(EL_IVF_CURVES * lists, sizeof(int64_t), &measuring.counts);
    if (status == 0) status = measure(&measuring, &listed, team);
    el_free(measuring.queries);
    el_free(measuring.scores);
    el_free(measuring.hits);
    el_free(measuring.counts);
    return status;
}
