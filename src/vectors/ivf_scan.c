// SPDX-License-Identifier: Apache-2.0
// Scanning a list panel by panel. A panel stays in the cache while all queries look at it.
#include "vectors/ivf_scan.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "vectors/blocks.h"
#include "vectors/score.h"

enum { MOST_WAITING = 8 };

// A row that is to be scored for a visit.
struct candidate {
    int64_t row;
    int visit;
};

// One scan of one list.
struct scanning {
    const struct el_ivf_scan *scan;
    const struct el_ivf_list *list;
    const struct el_ivf_visit *visits;
    const struct el_best *floor;
    struct el_reach_query *coded;
    struct el_best *best;
    struct candidate waiting[MOST_WAITING]; // a ring of those that were taken and not scored
    unsigned taken, scored;
};

// What the sum of codes, scaled, must reach, less the row's offset.
// NaN, which leaves nothing out, where floats might not hold the terms.
static float least_of(const struct scanning *s, int v) {
    const int query = s->visits[v].query;
    const double both = s->scan->bounds[query].length + s->list->longest;
    if (!(both * both < (double)FLT_MAX / 16)) return NAN;
    const float least = fmaxf(el_best_least(&s->best[query]), el_best_least(&s->floor[query]));
    return el_bound_least(&s->scan->bound, &s->scan->bounds[query], least,
                          &(struct el_row_bound){.longest = s->list->longest}) -
           s->visits[v].rating;
}

static void start_visit(const struct scanning *s, int v) {
    const struct el_quantised_query *query = &s->scan->quantised[s->visits[v].query];
    s->coded[v] = (struct el_reach_query){.codes = query->codes,
                                          .start = query->start,
                                          .slack = el_code_slack(query, &s->list->spread),
                                          .scale = query->scale,
                                          .least = least_of(s, v)};
}

static void score_oldest(struct scanning *s) {
    const struct candidate *candidate = &s->waiting[s->scored++ % MOST_WAITING];
    const struct el_vector_set *set = s->scan->set;
    const int query = s->visits[candidate->visit].query;
    const float score = el_exact_score(set->metric, s->scan->queries + (int64_t)query * set->dim,
                                       set->rows + candidate->row * set->dim, set->dim);
    el_best_offer(&s->best[query], (struct el_hit){candidate->row, score});
    s->coded[candidate->visit].least = least_of(s, candidate->visit);
}

// The rows of a panel that a visit's query may want, bits of `rows`: read ahead, and scored when some others
// have been found. A processor reads one cold row in the time in which it reads several at once.
static void take_rows(struct scanning *s, int v, const int64_t *numbers, unsigned rows) {
    const struct el_vector_set *set = s->scan->set;
    for (; rows; rows &= rows - 1) {
        const int64_t row = numbers[__builtin_ctz(rows)];
        if (row < 0 || row >= s->scan->ivf->facts.rows || !el_is_allowed(set, row)) continue;
        if (s->taken - s->scored == MOST_WAITING) score_oldest(s);
        s->waiting[s->taken++ % MOST_WAITING] = (struct candidate){row, v};
        for (int d = 0; d < set->dim; d += EL_CACHE_LINE / (int)sizeof(float))
            __builtin_prefetch(set->rows + row * set->dim + d);
    }
}

void el_ivf_scan_list(const struct el_ivf_scan *scan, int list, const struct el_ivf_visit *visits, int count,
                      const struct el_best *floor, const struct el_ivf_scratch *scratch,
                      struct el_best *best) {
    const struct el_ivf *ivf = scan->ivf;
    struct scanning s = {.scan = scan,
                         .list = &ivf->entries[list],
                         .visits = visits,
                         .floor = floor,
                         .coded = scratch->coded,
                         .best = best};
    const int64_t end = s.list->first_panel + el_reach_panels(s.list->rows);
    for (int v = 0; v < count; v++)
        start_visit(&s, v);
    for (int64_t p = s.list->first_panel; p < end; p++) {
        const int64_t first = p * EL_REACH_ROWS;
        const struct el_reach_panel panel = {
            .codes = el_ivf_panel(ivf, p), .scales = ivf->scales + first, .offsets = ivf->offsets + first};
        scan->reach->find(&panel, ivf->units, s.coded, count, scratch->reached);
        for (int v = 0; v < count; v++)
            if (scratch->reached[v]) take_rows(&s, v, ivf->numbers + first, scratch->reached[v]);
    }
    while (s.scored < s.taken)
        score_oldest(&s);
}
