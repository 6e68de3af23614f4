// SPDX-License-Identifier: Apache-2.0
// Nearest centroids by matrix products: the centroids are packed as the weights of a linear layer, and blocks
// of rows that stay in the cache are its input.
#include "vectors/partition.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "vectors/score.h"

enum { CACHED_BYTES = 384 << 10, LEAST_ROWS = 32, LANES = 8 };

int el_partition_pack(const struct el_target *target, const float *centroids, int lists, int dim,
                      enum el_metric metric, struct el_linear **ret_packed) {
    struct el_target processor = {.precision = EL_PRECISION_FP32};
    float *biases el_auto_free = NULL;
    EL_TRY(el_ops_find(NULL, &processor.ops));
    EL_TRY(el_zalloc((size_t)lists, sizeof *biases, &biases));
    for (int64_t l = 0; l < lists && metric == EL_METRIC_L2; l++)
        biases[l] = -el_exact_score(EL_METRIC_IP, centroids + l * dim, centroids + l * dim, dim) / 2;
    const struct el_tensor weights = el_tensor_2d(EL_F32, (void *)(uintptr_t)centroids, lists, dim);
    const struct el_tensor bias = el_tensor_1d(EL_F32, biases, lists);
    return el_linear_open(target ? target : &processor, &weights, &bias, ret_packed);
}

struct worker {
    struct el_exec exec;
    float *rows;   // [most_rows][dim]
    float *scores; // [most_rows][lists], and LANES behind them
    int status;
};

struct assigning {
    const struct el_row_source *source;
    struct el_linear *centroids;
    int lists;
    int64_t most_rows;
    struct worker *workers; // [threads]
    int32_t *list_of;
};

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

// The first of the largest; of those that are numbers.
static int32_t place_of_largest(const float *scores, int count) {
    vec most = scores[0] - (vec){0};
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vec x = *(const vec *)(scores + i);
        const ivec larger = x > most;
        most = (vec)((larger & (ivec)x) | (~larger & (ivec)most));
    }
    float largest = scores[0];
    for (int lane = 0; lane < LANES; lane++)
        largest = most[lane] > largest ? most[lane] : largest;
    for (; i < count; i++)
        largest = scores[i] > largest ? scores[i] : largest;
    for (int place = 0; place < count; place++)
        if (scores[place] == largest) return place;
    return 0;
}

void el_source_gather(const struct el_row_source *source, int64_t first, int64_t count, float *ret_rows) {
    for (int64_t i = 0; i < count; i++) {
        const float *row = el_source_row(source, first + i);
        for (int d = 0; d < source->dim; d++)
            ret_rows[i * source->dim + d] = row[d] - source->origin[d];
    }
}

static void assign_block(void *context, int task, int number) {
    const struct assigning *assigning = context;
    const struct el_row_source *source = assigning->source;
    struct worker *worker = &assigning->workers[number];
    const int64_t first = task * assigning->most_rows;
    const int64_t count = EL_MIN(assigning->most_rows, source->count - first);
    if (worker->status < 0) return;
    el_source_gather(source, first, count, worker->rows);
    const struct el_tensor rows = el_tensor_2d(EL_F32, worker->rows, count, source->dim);
    struct el_tensor scores = el_tensor_2d(EL_F32, worker->scores, count, assigning->lists);
    worker->status =
        worker->exec.ops->linear(&worker->exec, &rows, assigning->centroids, EL_ACT_NONE, NULL, &scores);
    for (int64_t i = 0; i < count && worker->status == 0; i++)
        assigning->list_of[first + i] =
            place_of_largest(worker->scores + i * assigning->lists, assigning->lists);
}

static int start_workers(struct assigning *assigning, int threads, struct el_arena *arena) {
    const size_t rows = (size_t)assigning->most_rows, dim = (size_t)assigning->source->dim;
    EL_TRY(el_arena_alloc(arena, (size_t)threads, sizeof *assigning->workers, &assigning->workers));
    memset(assigning->workers, 0, (size_t)threads * sizeof *assigning->workers);
    for (int t = 0; t < threads; t++) {
        struct worker *worker = &assigning->workers[t];
        el_arena_init(&worker->exec.scratch);
        EL_TRY(el_ops_find(NULL, &worker->exec.ops));
        EL_TRY(el_arena_alloc(arena, rows * dim, sizeof *worker->rows, &worker->rows));
        EL_TRY(
            el_arena_alloc(arena, rows * (size_t)assigning->lists, sizeof *worker->scores, &worker->scores));
    }
    return 0;
}

static int assign(struct assigning *assigning, const float *centroids, struct el_team *team,
                  struct el_arena *arena) {
    const int threads = el_team_size(team);
    EL_TRY(el_partition_pack(NULL, centroids, assigning->lists, assigning->source->dim, EL_METRIC_L2,
                             &assigning->centroids));
    EL_TRY(start_workers(assigning, threads, arena));
    const int64_t blocks = el_divide_up(assigning->source->count, assigning->most_rows);
    el_team_run(team, (int)blocks, assign_block, assigning);
    int status = 0;
    for (int t = 0; t < threads; t++) {
        el_exec_close(&assigning->workers[t].exec);
        status = EL_MIN(status, assigning->workers[t].status);
    }
    return status < 0 ? el_fail(status, "a thread that finds nearest centroids ran out of memory") : 0;
}

int el_partition_assign(const struct el_row_source *source, const float *centroids, int lists,
                        struct el_team *team, int32_t *ret_lists) {
    struct el_arena arena;
    const int64_t row_bytes = (source->dim + lists) * (int64_t)sizeof(float);
    struct assigning assigning = {.source = source,
                                  .lists = lists,
                                  .most_rows = EL_MAX(CACHED_BYTES / row_bytes, LEAST_ROWS),
                                  .list_of = ret_lists};
    el_arena_init(&arena);
    const int status = assign(&assigning, centroids, team, &arena);
    el_linear_close(assigning.centroids);
    el_arena_done(&arena);
    return status;
}

void el_partition_group(const int32_t *list_of, int64_t count, int lists, int64_t *ret_starts,
                        int64_t *ret_order) {
    memset(ret_starts, 0, (size_t)(lists + 1) * sizeof *ret_starts);
    for (int64_t i = 0; i < count; i++)
        ret_starts[list_of[i] + 1]++;
    for (int l = 0; l < lists; l++)
        ret_starts[l + 1] += ret_starts[l];
    for (int64_t i = 0; i < count; i++) // moves each start to the next list's
        ret_order[ret_starts[list_of[i]]++] = i;
    for (int l = lists; l > 0; l--)
        ret_starts[l] = ret_starts[l - 1];
    ret_starts[0] = 0;
}
