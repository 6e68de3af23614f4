// SPDX-License-Identifier: Apache-2.0
// Our side of `make bench-ivf`: inverted lists on command, so that bench/ivf.py can take turns with the peer.
// Rows and queries are files of floats, one vector after the other; both rows and lists are mapped, as an
// index's are. Reads a command a line and answers with a line of JSON each:
//     build LISTS               seconds of making lists, training and measuring of recall included
//     probes K RECALL           how many lists that recall needs, and what was measured for so many
//     search BATCH K PROBES     seconds of searching all queries, BATCH at a time
//     rows K PROBES             the rows that they find
//     exact K                   those of exact search
//
//     bench_ivf ROWS QUERIES DIM LISTS_FILE [THREADS]
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "vectors/ivf.h"

struct bench {
    struct el_map rows_file, queries_file;
    struct el_vector_set set;
    const float *queries;
    int query_count;
    const char *path;
    struct el_ivf *ivf;
    struct el_team *team;
};

static double seconds_since(uint64_t began) {
    return (double)(el_now_ns() - began) * 1e-9;
}

static int build(struct bench *bench, int lists) {
    const struct el_ivf_options options = {.lists = lists, .seed = 1, .team = bench->team};
    const uint64_t began = el_now_ns();
    el_ivf_close(bench->ivf);
    bench->ivf = NULL;
    EL_TRY(el_ivf_build(bench->path, &bench->set, 1, &options));
    const double seconds = seconds_since(began);
    EL_TRY(el_ivf_open(bench->path, &bench->ivf));
    printf("{\"seconds\":%.6f,\"bytes\":%llu}\n", seconds,
           (unsigned long long)el_ivf_facts(bench->ivf)->bytes);
    return 0;
}

static int probes(const struct bench *bench, int k, double recall) {
    double expected = 0;
    const int lists = el_ivf_probes(bench->ivf, k, recall, &expected);
    printf("{\"probes\":%d,\"recall\":%.4f}\n", lists, expected);
    return 0;
}

static int search_all(const struct bench *bench, int batch, int k, int lists, struct el_hit *hits) {
    for (int first = 0; first < bench->query_count; first += batch)
        EL_TRY(el_ivf_search(bench->ivf, &bench->set, bench->queries + (int64_t)first * bench->set.dim,
                             EL_MIN(batch, bench->query_count - first), k, lists, bench->team,
                             hits + (int64_t)first * k));
    return 0;
}

static void print_rows(const struct el_hit *hits, int64_t count) {
    printf("{\"rows\":[");
    for (int64_t i = 0; i < count; i++)
        printf("%s%lld", i ? "," : "", (long long)hits[i].row);
    printf("]}\n");
}

static int obey(struct bench *bench, const char *line) {
    el_auto_free struct el_hit *hits = NULL;
    int batch, k, lists;
    double recall;
    if (sscanf(line, "build %d", &lists) == 1) return build(bench, lists);
    const bool is_exact = sscanf(line, "exact %d", &k) == 1;
    if (!is_exact && !bench->ivf) return el_fail(EL_EINVAL, "build comes first");
    if (sscanf(line, "probes %d %lf", &k, &recall) == 2) return probes(bench, k, recall);
    const bool prints = is_exact || sscanf(line, "rows %d %d", &k, &lists) == 2;
    if (!prints && sscanf(line, "search %d %d %d", &batch, &k, &lists) != 3)
        return el_fail(EL_EINVAL, "commands are build, probes, search, rows and exact");
    EL_TRY(el_alloc((size_t)bench->query_count * (size_t)k, sizeof *hits, &hits));
    const uint64_t began = el_now_ns();
    if (is_exact)
        EL_TRY(el_search_exact(&bench->set, bench->queries, bench->query_count, k, bench->team, hits));
    else
        EL_TRY(search_all(bench, prints ? bench->query_count : batch, k, lists, hits));
    if (prints)
        print_rows(hits, (int64_t)bench->query_count * k);
    else
        printf("{\"seconds\":%.6f}\n", seconds_since(began));
    return 0;
}

static int open_bench(int argc, char **argv, struct bench *bench) {
    int64_t dim, threads = el_cpu_count();
    if (argc < 5) return el_fail(EL_EINVAL, "usage: bench_ivf ROWS QUERIES DIM LISTS_FILE [THREADS]");
    EL_TRY(el_parse_i64(argv[3], 1, 1 << 16, &dim));
    if (argc > 5) EL_TRY(el_parse_i64(argv[5], 1, 1024, &threads));
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
    bench->path = argv[4];
    return el_team_open((int)threads, false, &bench->team);
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    char line[100];
    int status = open_bench(argc, argv, &bench);
    if (status < 0) fprintf(stderr, "bench_ivf: %s\n", el_error_detail());
    while (status == 0 && fgets(line, sizeof line, stdin)) {
        if (obey(&bench, line) < 0) printf("{\"error\":\"%s\"}\n", el_error_detail());
        fflush(stdout);
    }
    el_ivf_close(bench.ivf);
    el_team_close(bench.team);
    el_map_close(&bench.rows_file);
    el_map_close(&bench.queries_file);
    return status < 0;
}
