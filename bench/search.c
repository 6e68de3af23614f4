// SPDX-License-Identifier: Apache-2.0
// Our side of `make bench-search`: exact search on command, so that bench/search.py can take turns with the
// peers. Rows and queries are files of floats, one vector after the other; rows are mapped, as an index's
// are. Reads a command a line and answers with a line of JSON each:
//     search BATCH K   seconds of one search for the first BATCH queries
//     rows BATCH K     the rows that it finds
//     encode           seconds that it takes to make bytes of the rows, and their memory; the next two need
//     it bytes search BATCH K, bytes rows BATCH K     the same by those bytes read             GB/s at which
//     all threads together read the rows, and do no more product          GFLOP/s of our products alone:
//     1,024 queries, and rows that stay in the cache
//
//     bench_search ROWS QUERIES DIM [THREADS]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "ops/ops.h"
#include "vectors/codes.h"

enum { READ_TASKS = 256, PRODUCT_QUERIES = 1024, PRODUCT_ROWS = 96, PRODUCT_CALLS = 8 };

struct bench {
    struct el_map rows_file, queries_file;
    struct el_vector_set set;
    struct el_codes *codes;
    const float *queries;
    int query_count;
    struct el_team *team;
};

static double seconds_since(uint64_t began) {
    return (double)(el_now_ns() - began) * 1e-9;
}

// `with_codes`: the rows are looked at as bytes first.
static int search(const struct bench *bench, bool with_codes, int batch, int k, bool print) {
    el_auto_free struct el_hit *hits = NULL;
    struct el_vector_set set = bench->set;
    if (with_codes) set.codes = bench->codes;
    if (batch < 1 || batch > bench->query_count || k < 1)
        return el_fail(EL_EINVAL, "a batch of %d of %d queries, k %d", batch, bench->query_count, k);
    EL_TRY(el_alloc((size_t)batch * (size_t)k, sizeof *hits, &hits));
    const uint64_t began = el_now_ns();
    EL_TRY(el_search_exact(&set, bench->queries, batch, k, bench->team, hits));
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
    EL_TRY(el_codes_open(bench->set.dim, &bench->codes));
    EL_TRY(el_codes_append(bench->codes, &bench->set, bench->team));
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
    const int64_t floats = reading->bench->set.count * reading->bench->set.dim;
    const float *rows = reading->bench->set.rows;
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
    el_team_run(bench->team, READ_TASKS, read_part, &reading);
    printf("{\"gb_per_s\":%.2f,\"sum\":%.0f}\n", (double)bench->rows_file.size * 1e-9 / seconds_since(began),
           (double)reading.sums[0]);
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
    const int threads = el_team_size(bench->team), tasks = 8 * threads;
    const uint64_t began = el_now_ns();
    el_team_run(bench->team, tasks, multiply_part, products);
    const double work = 2.0 * tasks * PRODUCT_CALLS * PRODUCT_ROWS * PRODUCT_QUERIES * bench->set.dim;
    printf("{\"gflops\":%.1f}\n", work * 1e-9 / seconds_since(began));
    return products->status;
}

static int multiply(const struct bench *bench) {
    struct el_tensor out[64];
    struct products products = {.out = out};
    el_auto_free float *values = NULL;
    const int64_t threads = el_team_size(bench->team), outputs = PRODUCT_ROWS * PRODUCT_QUERIES;
    if (bench->query_count < PRODUCT_QUERIES || bench->set.count < PRODUCT_ROWS || threads > 64)
        return el_fail(EL_EINVAL, "too few queries or rows, or too many threads, for that");
    EL_TRY(el_alloc((size_t)(threads * outputs), sizeof *values, &values));
    for (int64_t t = 0; t < threads; t++)
        out[t] = el_tensor_2d(EL_F32, values + t * outputs, PRODUCT_ROWS, PRODUCT_QUERIES);
    const struct el_tensor queries =
        el_tensor_2d(EL_F32, (void *)(uintptr_t)bench->queries, PRODUCT_QUERIES, bench->set.dim);
    products.rows = el_tensor_2d(EL_F32, (void *)(uintptr_t)bench->set.rows, PRODUCT_ROWS, bench->set.dim);
    struct el_target target = {.precision = EL_PRECISION_FP32};
    EL_TRY(el_ops_find(NULL, &target.ops));
    EL_TRY(el_linear_open(&target, &queries, NULL, &products.queries));
    products.exec.ops = target.ops;
    const int status = run_products(bench, &products);
    el_linear_close(products.queries);
    return status;
}

// ---- commands ----

static int obey(struct bench *bench, const char *line) {
    int batch, k;
    if (sscanf(line, "search %d %d", &batch, &k) == 2) return search(bench, false, batch, k, false);
    if (sscanf(line, "rows %d %d", &batch, &k) == 2) return search(bench, false, batch, k, true);
    if (sscanf(line, "bytes search %d %d", &batch, &k) == 2) return search(bench, true, batch, k, false);
    if (sscanf(line, "bytes rows %d %d", &batch, &k) == 2) return search(bench, true, batch, k, true);
    if (el_starts_with(line, "encode")) return encode(bench);
    if (el_starts_with(line, "read")) return read_rows(bench);
    if (el_starts_with(line, "product")) return multiply(bench);
    return el_fail(EL_EINVAL, "commands are search BATCH K, rows BATCH K, read, product");
}

static int open_bench(int argc, char **argv, struct bench *bench) {
    int64_t dim, threads = el_cpu_count();
    if (argc < 4) return el_fail(EL_EINVAL, "usage: bench_search ROWS QUERIES DIM [THREADS]");
    EL_TRY(el_parse_i64(argv[3], 1, 1 << 20, &dim));
    if (argc > 4) EL_TRY(el_parse_i64(argv[4], 1, 1024, &threads));
    EL_TRY(el_map_open(argv[1], &bench->rows_file));
    EL_TRY(el_map_open(argv[2], &bench->queries_file));
    const size_t bytes = (size_t)dim * sizeof(float);
    bench->set = (struct el_vector_set){
        .dim = (int)dim,
        .metric = EL_METRIC_COSINE,
        .count = (int64_t)(bench->rows_file.size / bytes),
        .rows = (const void *)bench->rows_file.data,
    };
    bench->queries = (const void *)bench->queries_file.data;
    bench->query_count = (int)(bench->queries_file.size / bytes);
    return el_team_open((int)threads, false, &bench->team);
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    char line[100];
    int status = open_bench(argc, argv, &bench);
    if (status < 0) fprintf(stderr, "bench_search: %s\n", el_error_detail());
    while (status == 0 && fgets(line, sizeof line, stdin)) {
        if (obey(&bench, line) < 0) printf("{\"error\":\"%s\"}\n", el_error_detail());
        fflush(stdout);
    }
    el_codes_close(bench.codes);
    el_team_close(bench.team);
    el_map_close(&bench.rows_file);
    el_map_close(&bench.queries_file);
    return status < 0;
}
