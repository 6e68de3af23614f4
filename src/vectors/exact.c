// SPDX-License-Identifier: Apache-2.0
// Exact search in two steps. Blocks of rows that stay in the cache are multiplied with the queries
// (products.h). What comes within its error of a query's k-th best score so far, and only that, is scored
// again in double, which alone decides (exact_scan.h). Each thread takes runs of rows and keeps its own k
// best; they are merged at the end.
#include "vectors/exact.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "vectors/exact_scan.h"

enum {
    MOST_QUERIES = 1024,      // at a time; more read the rows again
    CACHED_BYTES = 384 << 10, // of rows and their scores: they share L2 with the queries
    FIRST_ROWS = 32,          // of a thread's first block: all pass the filter until there are k
    LEAST_TASK_ROWS = 64,     // fewer are not worth waking a thread
    BLOCKS_PER_TASK = 16,
    HITS_BYTES = 64 << 20, // that threads keep at once, where k is large
};

struct worker {
    struct el_exact_scan scan;
    struct el_block_walk walk;
    int64_t block_rows; // of the next block
    int status;
};

// Up to MOST_QUERIES queries.
struct search {
    const struct el_vector_set *set;
    const float *queries; // [count][dim]
    int count;
    int64_t k; // of which the set may have fewer
    struct el_products products;
    int64_t most_rows; // of a block
    int tasks, threads;
    struct worker *workers; // [threads]
    struct el_hit *hits;    // [count][k wanted]
    int wanted;
};

static void search_rows(void *context, int task, int number) {
    const struct search *search = context;
    struct worker *worker = &search->workers[number];
    struct el_block block;
    worker->walk.next = search->set->count * task / search->tasks;
    worker->walk.end = search->set->count * (task + 1) / search->tasks;
    while (worker->status == 0 && el_block_next(&worker->walk, worker->block_rows, &block)) {
        worker->block_rows = EL_MIN(2 * worker->block_rows, search->most_rows);
        worker->status = el_exact_scan_block(&worker->scan, &block);
    }
}

// ---- one chunk of queries ----

// The threads' best of one query as its list.
static void merge_query(void *context, int query, int number) {
    (void)number;
    const struct search *search = context;
    struct el_best *best = &search->workers[0].scan.best[query];
    for (int t = 1; t < search->threads; t++) {
        const struct el_best *other = &search->workers[t].scan.best[query];
        for (int64_t i = 0; i < other->count; i++)
            el_best_offer(best, other->hits[i]);
    }
    el_best_list(best, search->wanted, search->hits + (int64_t)query * search->wanted);
}

static int start_worker(const struct search *search, struct el_arena *arena, struct worker *worker) {
    const struct el_vector_set *set = search->set;
    const struct el_codes *codes = search->products.codes;
    const size_t rows = (size_t)search->most_rows;
    worker->walk = (struct el_block_walk){.set = set, .run = codes ? el_codes_run(codes) : 0};
    worker->block_rows = FIRST_ROWS;
    if (set->allowed && !codes) {
        EL_TRY(el_arena_alloc(arena, rows * (size_t)set->dim, sizeof(float), &worker->walk.copies));
        EL_TRY(el_arena_alloc(arena, rows, sizeof *worker->walk.numbers, &worker->walk.numbers));
    }
    return el_exact_scan_open(&search->products, search->most_rows, search->k, arena, &worker->scan);
}

static int start_workers(struct search *search, struct el_arena *arena) {
    const size_t threads = (size_t)search->threads;
    EL_TRY(el_arena_alloc(arena, threads, sizeof *search->workers, &search->workers));
    memset(search->workers, 0, threads * sizeof *search->workers);
    for (int t = 0; t < search->threads; t++)
        EL_TRY(start_worker(search, arena, &search->workers[t]));
    return 0;
}

// Rows of a block, so that it stays in the cache; runs of blocks as tasks.
static void divide_rows(struct search *search) {
    const int64_t row_bytes = el_products_row_bytes(&search->products), rows = search->set->count;
    search->most_rows = EL_MAX(CACHED_BYTES / row_bytes, FIRST_ROWS);
    search->tasks = (int)EL_MAX(el_divide_up(rows, search->most_rows * BLOCKS_PER_TASK),
                                EL_MIN(search->threads, el_divide_up(rows, LEAST_TASK_ROWS)));
}

static int run_search(struct search *search, struct el_team *team, struct el_arena *arena) {
    EL_TRY(el_products_open(search->set, search->queries, search->count, arena, &search->products));
    divide_rows(search);
    EL_TRY(start_workers(search, arena));
    el_team_run(team, search->tasks, search_rows, search);
    for (int t = 0; t < search->threads; t++)
        if (search->workers[t].status < 0)
            return el_fail(search->workers[t].status, "a thread of a search ran out of memory");
    el_team_run(team, search->count, merge_query, search);
    return 0;
}

static int search_chunk(struct search *search, struct el_team *team) {
    struct el_arena arena;
    el_arena_init(&arena);
    const int status = run_search(search, team, &arena);
    for (int t = 0; search->workers && t < search->threads; t++)
        el_exec_close(&search->workers[t].scan.exec);
    el_products_close(&search->products);
    el_arena_done(&arena);
    return status;
}

struct el_vector_set el_vector_part(const struct el_vector_set *set, int64_t first, int64_t count) {
    struct el_vector_set part = *set;
    part.rows += first * set->dim;
    part.count = count;
    if (part.allowed) part.allowed += first / 64;
    if (first > 0) part.codes = NULL; // they begin with the first row
    return part;
}

static bool is_finite(const float *values, int count) {
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

int el_search_check(const struct el_vector_set *set, const float *queries, int count, int k) {
    if (k < 1) return el_fail(EL_EINVAL, "a search for %d rows; ask for at least 1", k);
    if (set->dim < 1 || set->dim > EL_MOST_DIM)
        return el_fail(EL_EINVAL, "vectors of %d dimensions; searched are 1 to %d", set->dim, EL_MOST_DIM);
    for (int i = 0; i < count; i++)
        if (!is_finite(queries + (int64_t)i * set->dim, set->dim))
            return el_fail(EL_EINVAL, "query %d holds a number that is not finite", i);
    return 0;
}

int el_search_exact(const struct el_vector_set *set, const float *queries, int count, int k,
                    struct el_team *team, struct el_hit *ret_hits) {
    EL_TRY(el_search_check(set, queries, count, k));
    const int threads = el_team_size(team);
    const int64_t kept = EL_MIN(k, set->count);
    const int64_t fit = HITS_BYTES / (threads * EL_MAX(kept, 1) * (int64_t)sizeof(struct el_hit));
    const int at_once = (int)EL_MAX(EL_MIN(fit, MOST_QUERIES), 1);
    for (int first = 0; first < count; first += at_once) {
        struct search search = {
            .set = set,
            .queries = queries + (int64_t)first * set->dim,
            .count = EL_MIN(count - first, at_once),
            .k = kept,
            .threads = threads,
            .hits = ret_hits + (int64_t)first * k,
            .wanted = k,
        };
        EL_TRY(search_chunk(&search, team));
    }
    return 0;
}
