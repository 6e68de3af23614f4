// SPDX-License-Identifier: Apache-2.0
// Our side of `make bench-search`: exact search on command, so that bench/search.py can take turns with the
// peers. Rows and queries are files of floats, one vector after the other; rows are mapped, as an index's
// are. Reads a command a line and answers with a line of JSON each:
//     search BATCH K         seconds of one search for the first BATCH queries
//     rows BATCH K           the rows that it finds
//     floats search BATCH K  as search, but never by bytes
//     floats rows BATCH K
//     encode                 seconds that it takes to make bytes of all rows, and their memory
//     bytes search BATCH K   as search, by those bytes
//     bytes rows BATCH K
//     read                   GB/s at which all threads together read the rows, and do no more
//     product                GFLOP/s of our products alone: 1,024 queries, rows that stay in the cache
//
//     bench_search ROWS QUERIES DIM [THREADS]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "ops/ops.h"
#include "searched.h"
#include "vectors/codes.h"

enum { READ_TASKS = 256, PRODUCT_QUERIES = 1024, PRODUCT_ROWS = 96, PRODUCT_CALLS = 8 };

struct bench {
    struct searched searched;
    struct el_codes *codes;
};

enum way { AS_IT_CHOOSES, BY_FLOATS, BY_KEPT_BYTES };

static int search(const struct bench *bench, enum way way, int batch, int k, bool print) {
    el_auto_free struct el_hit *hits = NULL;
    struct el_vector_set set = bench->searched.set;
    set.only_floats = way == BY_FLOATS;
    if (way == BY_KEPT_BYTES) set.codes = bench->codes;
    if (batch < 1 || batch > bench->searched.query_count || k < 1)
        return el_fail(EL_EINVAL, "a batch of %d of %d queries, k %d", batch, bench->searched.query_count, k);
    EL_TRY(el_alloc((size_t)batch * (size_t)k, sizeof *hits, &hits));
    const uint64_t began = el_now_ns();
    EL_TRY(el_search_exact(&set, bench->searched.queries, batch, k, bench->searched.team, hits));
    printf("{\"seconds\":%.6f", seconds_since(began));
    for (int64_t i = 0; i < (int64_t)batch * k && print; i++)
        printf("%s%lld", i == 0 ? ",\"rows\":[" : ",", (long long)hits[i].row);
    printf(print ? "]}\n" : "}\n");
    return 0;
}

static int encode(struct bench *bench) {
    const uint64_t began = el_now_ns();
    el_codes_close(bench->codes);
    bench->codes = NULL;
    EL_TRY(el_codes_open(bench->searched.set.dim, &bench->codes));
    EL_TRY(el_codes_append(bench->codes, &bench->searched.set, bench->searched.team));
    printf("{\"seconds\":%.6f,\"bytes\":%zu}\n", seconds_since(began), el_codes_bytes(bench->codes));
    return 0;
}

// ---- what the machine can do ----

struct reading {
    const struct bench *bench;
    float sums[READ_TASKS]; // so that the reads are needed
};

typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));

static void read_part(void *context, int task, int worker) {
    (void)worker;
    struct reading *reading = context;
    const int64_t floats = reading->bench->searched.set.count * reading->bench->searched.set.dim;
    const float *rows = reading->bench->searched.set.rows;
    vec sums[4] = {{0}};
    int64_t i = floats * task / READ_TASKS, end = floats * (task + 1) / READ_TASKS - 64;
    for (; i <= end; i += 64)
        for (int j = 0; j < 4; j++)
            sums[j] += *(const vec *)(rows + i + (int64_t)16 * j);
    reading->sums[task] = (sums[0] + sums[1] + sums[2] + sums[3])[0];
}

static int read_rows(const struct bench *bench) {
    struct reading reading = {.bench = bench};
    const uint64_t began = el_now_ns();
    el_team_run(bench->searched.team, READ_TASKS, read_part, &reading);
    printf("{\"gb_per_s\":%.2f,\"sum\":%.0f}\n",
           (double)bench->searched.rows_file.size * 1e-9 / seconds_since(began), (double)reading.sums[0]);
    return 0;
}

struct products {
    struct el_exec exec;
    struct el_linear *queries;
    struct el_tensor rows, *out; // [threads]
    int status;
};

static void multiply_part(void *context, int task, int worker) {
    (void)task;
    struct products *products = context;
    struct el_exec exec = {.ops = products->exec.ops};
    for (int i = 0; i < PRODUCT_CALLS; i++)
        if (exec.ops->linear(&exec, &products->rows, products->queries, EL_ACT_NONE, NULL,
                             &products->out[worker]) < 0)
            products->status = EL_ENOMEM;
}

static int run_products(const struct bench *bench, struct products *products) {
    const int threads = el_team_size(bench->searched.team), tasks = 8 * threads;
    const uint64_t began = el_now_ns();
    el_team_run(bench->searched.team, tasks, multiply_part, products);
    const double work =
        2.0 * tasks * PRODUCT_CALLS * PRODUCT_ROWS * PRODUCT_QUERIES * bench->searched.set.dim;
    printf("{\"gflops\":%.1f}\n", work * 1e-9 / seconds_since(began));
    return products->status;
}

static int multiply(const struct bench *bench) {
    struct el_tensor out[64];
    struct products products = {.out = out};
    el_auto_free float *values = NULL;
    const int64_t threads = el_team_size(bench->searched.team), outputs = PRODUCT_ROWS * PRODUCT_QUERIES;
    if (bench->searched.query_count < PRODUCT_QUERIES || bench->searched.set.count < PRODUCT_ROWS ||
        threads > 64)
        return el_fail(EL_EINVAL, "too few queries or rows, or too many threads, for that");
    EL_TRY(el_alloc((size_t)(threads * outputs), sizeof *values, &values));
    for (int64_t t = 0; t < threads; t++)
        out[t] = el_tensor_2d(EL_F32, values + t * outputs, PRODUCT_ROWS, PRODUCT_QUERIES);
    const struct el_tensor queries = el_tensor_2d(EL_F32, (void *)(uintptr_t)bench->searched.queries,
                                                  PRODUCT_QUERIES, bench->searched.set.dim);
    products.rows = el_tensor_2d(EL_F32, (void *)(uintptr_t)bench->searched.set.rows, PRODUCT_ROWS,
                                 bench->searched.set.dim);
    struct el_target target = {.precision = EL_PRECISION_FP32};
    EL_TRY(el_ops_find(NULL, &target.ops));
    EL_TRY(el_linear_open(&target, &queries, NULL, &products.queries));
    products.exec.ops = target.ops;
    const int status = run_products(bench, &products);
    el_linear_close(products.queries);
    return status;
}

// ---- commands ----

static int obey(void *context, const char *line) {
    struct bench *bench = context;
    int batch, k;
    static const char *const ways[] = {"", "floats ", "bytes "}; // as enum way
    for (int way = 0; way < (int)EL_COUNT(ways); way++) {
        if (!el_starts_with(line, ways[way])) continue;
        const char *rest = line + strlen(ways[way]);
        if (sscanf(rest, "search %d %d", &batch, &k) == 2) return search(bench, way, batch, k, false);
        if (sscanf(rest, "rows %d %d", &batch, &k) == 2) return search(bench, way, batch, k, true);
    }
    if (el_starts_with(line, "encode")) return encode(bench);
    if (el_starts_with(line, "read")) return read_rows(bench);
    if (el_starts_with(line, "product")) return multiply(bench);
    return el_fail(EL_EINVAL, "no command: %s", line);
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: bench_search ROWS QUERIES DIM [THREADS]\n");
        return 2;
    }
    int status = searched_open(argv[1], argv[2], argv[3], argv[4], &bench.searched);
    if (status < 0) fprintf(stderr, "bench_search: %s\n", el_error_detail());
    if (status == 0) obey_lines(obey, &bench);
    el_codes_close(bench.codes);
    searched_close(&bench.searched);
    return status < 0;
}
