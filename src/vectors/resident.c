// SPDX-License-Identifier: Apache-2.0
// Exact search on a device. Each part of the rows gives every query its candidates, those of the largest
// products; all parts are queued, then their candidates are fetched. They are complete if the last one of a
// part cannot belong to the list: then nothing behind it can.
#include "vectors/resident.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/pool.h"
#include "ops/ops.h"
#include "vectors/best.h"
#include "vectors/blocks.h"
#include "vectors/bound.h"
#include "vectors/score.h"

enum {
    PART_ROWS = 1 << 18, // what is one block of the device's memory
    MOST_QUERIES = 1024, // at a time
    FEW_QUERIES = 8,     // of top_products_few
    MOST_WANTED = 1024,  // of top_products
    SPARE = 6,           // candidates more than k: what lies within rounding of the last
};

struct part {
    struct el_linear *rows;
    int64_t first, count;
};

struct el_resident {
    struct el_device *device;
    struct el_vector_set set;
    struct el_bound bound;
    double longest; // row
    struct el_exec exec;
    struct part *parts;
    int part_count;
    int64_t left_over;
};

// ---- open and close ----

// Half of each row's square with the sign that a product takes it with; also finds the longest row.
static void measure_rows(struct el_resident *resident, const struct part *part, float *ret_offsets) {
    const struct el_vector_set *set = &resident->set;
    for (int64_t i = 0; i < part->count; i++) {
        const float *row = set->rows + (part->first + i) * set->dim;
        const float square = el_exact_score(EL_METRIC_IP, row, row, set->dim);
        resident->longest = fmax(resident->longest, el_bound_length(&resident->bound, square));
        ret_offsets[i] = set->metric == EL_METRIC_L2 ? -square / 2 : 0;
    }
}

static int open_part(struct el_resident *resident, const struct el_target *target, struct part *part) {
    const struct el_vector_set *set = &resident->set;
    el_auto_free float *offsets = NULL;
    EL_TRY(el_alloc((size_t)part->count, sizeof *offsets, &offsets));
    measure_rows(resident, part, offsets);
    const struct el_tensor rows =
        el_tensor_2d(EL_F32, (void *)(uintptr_t)(set->rows + part->first * set->dim), part->count, set->dim);
    const struct el_tensor bias = el_tensor_1d(EL_F32, offsets, part->count);
    return el_linear_open(target, &rows, &bias, &part->rows);
}

static int fill(struct el_resident *resident) {
    struct el_target target;
    const int64_t count = resident->set.count;
    EL_TRY(el_target_init(resident->device, EL_PRECISION_FP32, &target));
    EL_TRY(el_exec_open(&target, NULL, &resident->exec));
    EL_TRY(el_zalloc((size_t)(count / PART_ROWS + 1), sizeof *resident->parts, &resident->parts));
    for (int64_t first = 0; first < count; first += PART_ROWS) {
        struct part *part = &resident->parts[resident->part_count++];
        *part = (struct part){.first = first, .count = EL_MIN(count - first, PART_ROWS)};
        EL_TRY(open_part(resident, &target, part));
    }
    return 0;
}

int el_resident_open(struct el_device *device, const struct el_vector_set *set,
                     struct el_resident **ret_resident) {
    struct el_resident *resident;
    EL_TRY(el_search_check(set, NULL, 0, 1));
    EL_TRY(el_zalloc(1, sizeof *resident, &resident));
    resident->device = device;
    resident->set = *set;
    resident->bound = el_bound_init(set->metric, set->dim);
    const int status = fill(resident);
    if (status < 0) {
        el_resident_close(resident);
        return status;
    }
    *ret_resident = resident;
    return 0;
}

void el_resident_close(struct el_resident *resident) {
    if (!resident) return;
    el_exec_close(&resident->exec);
    for (int i = 0; i < resident->part_count; i++)
        el_linear_close(resident->parts[i].rows);
    el_free(resident->parts);
    el_free(resident);
}

uint64_t el_resident_room(struct el_device *device) {
    struct el_pool_stats stats;
    el_pool_stats(device->pool, &stats);
    return (stats.budget - EL_MIN(stats.allocated, stats.budget)) / 2;
}

size_t el_resident_bytes(const struct el_resident *resident) {
    size_t bytes = 0;
    for (int i = 0; i < resident->part_count; i++)
        bytes += el_linear_bytes(resident->parts[i].rows);
    return bytes;
}

int64_t el_resident_left_over(const struct el_resident *resident) {
    return resident->left_over;
}

// ---- one chunk of queries ----

// What is known of one query's list.
struct progress {
    struct el_query_bound bound;
    struct el_best best;
    bool cut;     // a part had more candidates than were taken,
    float doubt;  // whose products are not above this
    bool strange; // the device has named a row that is not there
};

struct chunk {
    struct el_resident *resident;
    const float *queries; // [count][dim]
    int count, k;
    int64_t wanted; // candidates of a query in a part
    int64_t apart;  // elements from one part's candidates to the next one's: kernels' arguments are aligned
    float *values;  // [parts][apart], of which [count][wanted] are used
    int32_t *places;
    struct progress *progress; // [count]
};

// Queues the search of every part, and fetches what all have found.
static int find_candidates(struct chunk *chunk, const struct el_tensor *queries) {
    const struct el_resident *resident = chunk->resident;
    struct el_exec *exec = &chunk->resident->exec;
    struct el_tensor values, places;
    EL_TRY(el_exec_alloc(exec, EL_F32, resident->part_count, chunk->apart, &values));
    EL_TRY(el_exec_alloc(exec, EL_I32, resident->part_count, chunk->apart, &places));
    for (int i = 0; i < resident->part_count; i++) {
        struct el_tensor own_values =
            el_tensor_2d(EL_F32, el_tensor_rows(&values, i, 1).data, chunk->count, chunk->wanted);
        struct el_tensor own_places =
            el_tensor_2d(EL_I32, el_tensor_rows(&places, i, 1).data, chunk->count, chunk->wanted);
        const struct el_linear *rows = resident->parts[i].rows;
        if (chunk->count <= FEW_QUERIES)
            EL_TRY(exec->ops->top_products_few(exec, queries, rows, &own_values, &own_places));
        else
            EL_TRY(exec->ops->top_products(exec, queries, rows, &own_values, &own_places));
    }
    EL_TRY(el_exec_download(exec, &values, chunk->values));
    return el_exec_download(exec, &places, chunk->places);
}

static int search_device(struct chunk *chunk) {
    struct el_resident *resident = chunk->resident;
    const struct el_tensor here =
        el_tensor_2d(EL_F32, (void *)(uintptr_t)chunk->queries, chunk->count, resident->set.dim);
    struct el_tensor queries;
    if (resident->part_count == 0) return 0; // what is uploaded would be waited for by nobody
    const struct el_exec_mark mark = el_exec_mark(&resident->exec);
    int status = el_exec_upload(&resident->exec, &here, &queries);
    if (status == 0) status = find_candidates(chunk, &queries);
    if (status < 0) el_exec_settle(&resident->exec, status);
    el_exec_release(&resident->exec, mark);
    return status;
}

// ---- from candidates to lists ----

static float least_of(const struct chunk *chunk, const struct progress *progress) {
    return el_bound_least(&chunk->resident->bound, &progress->bound, el_best_least(&progress->best),
                          &(struct el_row_bound){.longest = chunk->resident->longest});
}

static void offer(const struct chunk *chunk, int query, int64_t row) {
    const struct el_vector_set *set = &chunk->resident->set;
    if (!el_is_allowed(set, row)) return;
    const float score = el_exact_score(set->metric, chunk->queries + (int64_t)query * set->dim,
                                       set->rows + row * set->dim, set->dim);
    el_best_offer(&chunk->progress[query].best, (struct el_hit){row, score});
}

// Offers the candidates of a part, best first, until none can belong to the list.
static void take_part(const struct chunk *chunk, int query, int number) {
    const struct part *part = &chunk->resident->parts[number];
    const int64_t at = number * chunk->apart + query * chunk->wanted;
    const int64_t count = EL_MIN(chunk->wanted, part->count);
    const float *values = chunk->values + at;
    const int32_t *places = chunk->places + at;
    struct progress *progress = &chunk->progress[query];
    for (int64_t i = 0; i < count; i++) {
        if (!el_reaches(values[i], least_of(chunk, progress))) return;
        progress->strange |= places[i] < 0 || places[i] >= part->count;
        if (progress->strange) return;
        offer(chunk, query, part->first + places[i]);
    }
    if (count == part->count) return;
    const float last = isnan(values[count - 1]) ? INFINITY : values[count - 1];
    progress->doubt = progress->cut ? fmaxf(progress->doubt, last) : last;
    progress->cut = true;
}

static void take_candidates(void *context, int query, int worker) {
    const struct chunk *chunk = context;
    (void)worker;
    for (int i = 0; i < chunk->resident->part_count; i++)
        take_part(chunk, query, i);
}

// The lists that are complete; the processor searches the others.
static int tell(struct chunk *chunk, struct el_team *team, struct el_hit *hits) {
    const struct el_vector_set *set = &chunk->resident->set;
    for (int query = 0; query < chunk->count; query++, hits += chunk->k) {
        struct progress *progress = &chunk->progress[query];
        if (progress->strange)
            return el_fail(EL_ELOST, "%s has found a row that it does not have", chunk->resident->device->id);
        if (progress->cut && el_reaches(progress->doubt, least_of(chunk, progress))) {
            chunk->resident->left_over++;
            EL_TRY(el_search_exact(set, chunk->queries + (int64_t)query * set->dim, 1, chunk->k, team, hits));
        } else {
            el_best_list(&progress->best, chunk->k, hits);
        }
    }
    return 0;
}

static int open_chunk(struct chunk *chunk, struct el_arena *arena) {
    const struct el_vector_set *set = &chunk->resident->set;
    const size_t count = (size_t)chunk->count, kept = (size_t)EL_MIN(chunk->k, set->count);
    const size_t parts = (size_t)chunk->resident->part_count, apart = (size_t)chunk->apart;
    struct el_hit *hits;
    EL_TRY(el_arena_alloc(arena, parts, apart * sizeof *chunk->values, &chunk->values));
    EL_TRY(el_arena_alloc(arena, parts, apart * sizeof *chunk->places, &chunk->places));
    EL_TRY(el_arena_alloc(arena, count, sizeof *chunk->progress, &chunk->progress));
    EL_TRY(el_arena_alloc(arena, count * kept, sizeof *hits, &hits));
    for (size_t i = 0; i < count; i++)
        chunk->progress[i] = (struct progress){
            .bound = el_bound_query(&chunk->resident->bound, chunk->queries + i * (size_t)set->dim),
            .best = {.hits = hits + i * kept, .capacity = (int64_t)kept},
        };
    return 0;
}

static int search_chunk(struct chunk *chunk, struct el_team *team, struct el_hit *hits) {
    struct el_arena arena;
    el_arena_init(&arena);
    int status = open_chunk(chunk, &arena);
    if (status == 0) status = search_device(chunk);
    if (status == 0) el_team_run(team, chunk->count, take_candidates, chunk);
    if (status == 0) status = tell(chunk, team, hits);
    el_arena_done(&arena);
    return status;
}

int el_resident_search(struct el_resident *resident, const struct el_vector_set *set, const float *queries,
                       int count, int k, struct el_team *team, struct el_hit *ret_hits) {
    assert(set->count == resident->set.count && set->dim == resident->set.dim);
    EL_TRY(el_search_check(set, queries, count, k));
    resident->set = *set;
    for (int first = 0; first < count; first += MOST_QUERIES) {
        struct chunk chunk = {
            .resident = resident,
            .queries = queries + (int64_t)first * resident->set.dim,
            .count = EL_MIN(count - first, MOST_QUERIES),
            .k = k,
            .wanted = EL_MIN((int64_t)k + SPARE, MOST_WANTED),
        };
        chunk.apart =
            (int64_t)(el_buffer_bytes((size_t)(chunk.count * chunk.wanted) * sizeof(float)) / sizeof(float));
        EL_TRY(search_chunk(&chunk, team, ret_hits + (int64_t)first * k));
    }
    return 0;
}
