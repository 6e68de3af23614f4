// SPDX-License-Identifier: Apache-2.0
// Searching inverted lists. Queries that look at the same list look at it together, so that its rows are read
// once. In the first pass each looks at its nearest list; what it finds there is what rows of the others, in
// the second pass, are held against. Each thread takes lists and keeps its own k best; they are merged at the
// end, with those of the rows that no list holds.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "vectors/best.h"
#include "vectors/bound.h"
#include "vectors/ivf_scan.h"

enum {
    MOST_QUERIES = 1024,   // at a time
    HITS_BYTES = 64 << 20, // of hits and lists that are kept at once
};

// Who looks at which list.
struct visits {
    int64_t *starts;             // [lists + 1]
    struct el_ivf_visit *visits; // by list
    int *lists;                  // [list_count]: those that somebody looks at
    int list_count;
};

// Up to MOST_QUERIES queries.
struct search {
    struct el_ivf_scan scan; // of this search
    int count, probes, threads;
    int64_t k;                      // of which the set may have fewer
    float *centred;                 // [count][dim]: queries less the origin
    struct el_hit *lists;           // [count][probes], the nearest first
    struct visits visits;           // of the pass at hand
    struct el_best *nearest;        // [count]: from the first pass; then of all
    struct el_best *best;           // [threads][count]: each thread's in the second
    bool is_first;                  // pass
    struct el_ivf_scratch *scratch; // [threads]
    struct el_hit *tail;            // [count][k]: of the rows behind the lists; NULL: there are none
    struct el_hit *hits;            // [count][wanted]
    int wanted;
};

// ---- which lists ----

static void choose_lists(const struct search *search, const float *ratings, int query) {
    const int lists = search->scan.ivf->facts.lists;
    struct el_hit *chosen = search->lists + (int64_t)query * search->probes;
    struct el_best best = {.hits = chosen, .capacity = search->probes};
    for (int l = 0; l < lists; l++) {
        const float rating = ratings[(int64_t)query * lists + l];
        el_best_offer(&best, (struct el_hit){l, isnan(rating) ? -INFINITY : rating});
    }
    el_best_list(&best, search->probes, chosen);
}

struct choosing {
    const struct search *search;
    const float *ratings; // [count][lists]
};

static void choose(void *context, int query, int worker) {
    const struct choosing *choosing = context;
    (void)worker;
    choose_lists(choosing->search, choosing->ratings, query);
}

static int rate_and_choose(const struct search *search, struct el_team *team, struct el_arena *arena) {
    const size_t count = (size_t)search->count;
    struct choosing choosing = {.search = search};
    float *ratings;
    EL_TRY(el_arena_alloc(arena, count * (size_t)search->scan.ivf->facts.lists, sizeof *ratings, &ratings));
    EL_TRY(el_ivf_rate_lists(search->scan.ivf, search->centred, search->count, team, ratings));
    choosing.ratings = ratings;
    el_team_run(team, search->count, choose, &choosing);
    return 0;
}

// Sorts probes first .. end - 1 of each query by list.
static void group_visits(struct search *search, int first, int end) {
    const int lists = search->scan.ivf->facts.lists;
    int64_t *starts = search->visits.starts;
    memset(starts, 0, ((size_t)lists + 1) * sizeof *starts);
    for (int q = 0; q < search->count; q++)
        for (int i = first; i < end; i++)
            starts[search->lists[(int64_t)q * search->probes + i].row + 1]++;
    search->visits.list_count = 0;
    for (int l = 0; l < lists; l++) {
        if (starts[l + 1]) search->visits.lists[search->visits.list_count++] = l;
        starts[l + 1] += starts[l];
    }
    for (int q = 0; q < search->count; q++)
        for (int i = first; i < end; i++) {
            const struct el_hit *list = &search->lists[(int64_t)q * search->probes + i];
            search->visits.visits[starts[list->row]++] = (struct el_ivf_visit){q, list->score};
        }
    memmove(starts + 1, starts, (size_t)lists * sizeof *starts); // each start had moved to the next list's
    starts[0] = 0;
}

// ---- passes ----

static void visit_list(void *context, int task, int worker) {
    const struct search *search = context;
    const int list = search->visits.lists[task];
    const int64_t first = search->visits.starts[list], count = search->visits.starts[list + 1] - first;
    // In the first pass a query is in one list, so no two threads have it.
    struct el_best *best =
        search->is_first ? search->nearest : search->best + (int64_t)worker * search->count;
    el_ivf_scan_list(&search->scan, list, search->visits.visits + first, (int)count, search->nearest,
                     &search->scratch[worker], best);
}

static void merge_query(void *context, int query, int worker) {
    const struct search *search = context;
    struct el_best *nearest = &search->nearest[query];
    (void)worker;
    for (int t = 0; t < search->threads; t++) {
        const struct el_best *best = &search->best[(int64_t)t * search->count + query];
        for (int64_t i = 0; i < best->count; i++)
            el_best_offer(nearest, best->hits[i]);
    }
    for (int64_t i = 0; search->tail && i < search->k; i++) {
        const struct el_hit *hit = &search->tail[query * search->k + i];
        if (hit->row >= 0)
            el_best_offer(nearest, (struct el_hit){hit->row + search->scan.ivf->facts.rows, hit->score});
    }
    el_best_list(nearest, search->wanted, search->hits + (int64_t)query * search->wanted);
}

static void pass(struct search *search, int first, int end, struct el_team *team) {
    if (first == end) return;
    search->is_first = first == 0;
    group_visits(search, first, end);
    el_team_run(team, search->visits.list_count, visit_list, search);
}

// ---- one chunk of queries ----

static int prepare_queries(struct search *search, struct el_arena *arena) {
    const int dim = search->scan.set->dim;
    const size_t count = (size_t)search->count, bytes = (size_t)search->scan.ivf->units * EL_REACH_UNIT;
    struct el_quantised_query *quantised;
    struct el_query_bound *bounds;
    int8_t *codes;
    EL_TRY(el_arena_alloc(arena, count * (size_t)dim, sizeof(float), &search->centred));
    EL_TRY(el_arena_alloc(arena, count, sizeof *quantised, &quantised));
    EL_TRY(el_arena_alloc(arena, count, sizeof *bounds, &bounds));
    EL_TRY(el_arena_alloc(arena, count, bytes, &codes));
    for (size_t q = 0; q < count; q++) {
        float *centred = search->centred + q * (size_t)dim;
        for (int d = 0; d < dim; d++)
            centred[d] = search->scan.queries[q * (size_t)dim + (size_t)d] - search->scan.ivf->origin[d];
        quantised[q].codes = codes + q * bytes;
        el_quantise_query(centred, dim, search->scan.reach->most, &quantised[q]);
        bounds[q] = el_bound_query(&search->scan.bound, centred);
    }
    search->scan.quantised = quantised;
    search->scan.bounds = bounds;
    return 0;
}

static int prepare_visits(struct search *search, struct el_arena *arena) {
    const size_t count = (size_t)search->count, threads = (size_t)search->threads;
    const size_t visits = count * (size_t)search->probes, lists = (size_t)search->scan.ivf->facts.lists;
    EL_TRY(el_arena_alloc(arena, visits, sizeof *search->lists, &search->lists));
    EL_TRY(el_arena_alloc(arena, visits, sizeof *search->visits.visits, &search->visits.visits));
    EL_TRY(el_arena_alloc(arena, lists + 1, sizeof *search->visits.starts, &search->visits.starts));
    EL_TRY(el_arena_alloc(arena, lists, sizeof *search->visits.lists, &search->visits.lists));
    EL_TRY(el_best_alloc(arena, search->count, search->k, &search->nearest));
    EL_TRY(el_best_alloc(arena, (int64_t)search->count * search->threads, search->k, &search->best));
    EL_TRY(el_arena_alloc(arena, threads, sizeof *search->scratch, &search->scratch));
    for (size_t t = 0; t < threads; t++) {
        EL_TRY(el_arena_alloc(arena, count, sizeof(struct el_reach_query), &search->scratch[t].coded));
        EL_TRY(el_arena_alloc(arena, count, sizeof(uint16_t), &search->scratch[t].reached));
    }
    return 0;
}

// Rows that have come since the lists were made.
static int search_tail(struct search *search, struct el_team *team, struct el_arena *arena) {
    const int64_t listed = search->scan.ivf->facts.rows;
    const struct el_vector_set tail =
        el_vector_part(search->scan.set, listed, search->scan.set->count - listed);
    if (tail.count == 0) return 0;
    EL_TRY(el_arena_alloc(arena, (size_t)search->count * (size_t)search->k, sizeof *search->tail,
                          &search->tail));
    return el_search_exact(&tail, search->scan.queries, search->count, (int)search->k, team, search->tail);
}

static int run_search(struct search *search, struct el_team *team, struct el_arena *arena) {
    search->scan.bound = el_bound_init(search->scan.set->metric, search->scan.set->dim);
    search->scan.bound.rounding *= 4; // a centroid's product, that of codes and an offset, each rounded
    const struct el_ops *ops;
    EL_TRY(el_ops_find(NULL, &ops));
    search->scan.reach = el_reach_find(ops);
    EL_TRY(prepare_queries(search, arena));
    EL_TRY(prepare_visits(search, arena));
    EL_TRY(rate_and_choose(search, team, arena));
    EL_TRY(search_tail(search, team, arena));
    pass(search, 0, 1, team);
    pass(search, 1, search->probes, team);
    el_team_run(team, search->count, merge_query, search);
    return 0;
}

static int check(const struct el_ivf *ivf, const struct el_vector_set *set) {
    const struct el_ivf_facts *facts = &ivf->facts;
    if (set->dim == facts->dim && set->metric == facts->metric && set->count >= facts->rows) return 0;
    return el_fail(EL_EINVAL,
                   "%s has lists of %" PRId64 " rows of %d dimensions, not of these %" PRId64 " of %d",
                   ivf->path, facts->rows, facts->dim, set->count, set->dim);
}

int el_ivf_search(const struct el_ivf *ivf, const struct el_vector_set *set, const float *queries, int count,
                  int k, int probes, struct el_team *team, struct el_hit *ret_hits) {
    EL_TRY(check(ivf, set));
    EL_TRY(el_search_check(set, queries, count, k));
    const int threads = el_team_size(team);
    const int64_t kept = EL_MIN(k, set->count);
    const int64_t lists = EL_MAX(1, EL_MIN(probes, ivf->facts.lists));
    const int64_t hits = (threads + 1) * EL_MAX(kept, 1) + lists; // of a query
    const int64_t fit = HITS_BYTES / (hits * (int64_t)sizeof(struct el_hit));
    const int at_once = (int)EL_MAX(EL_MIN(fit, MOST_QUERIES), 1);
    int status = 0;
    for (int first = 0; first < count && status == 0; first += at_once) {
        struct el_arena arena;
        struct search search = {
            .scan = {.ivf = ivf, .set = set, .queries = queries + (int64_t)first * set->dim},
            .count = EL_MIN(count - first, at_once),
            .probes = (int)lists,
            .threads = threads,
            .k = kept,
            .hits = ret_hits + (int64_t)first * k,
            .wanted = k,
        };
        el_arena_init(&arena);
        status = run_search(&search, team, &arena);
        el_arena_done(&arena);
    }
    return status;
}
