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
#include "base/mem.h"
#include "base/str.h"
#include "searched.h"
#include "vectors/ivf.h"

struct bench {
    struct searched searched;
    const char *path;
    struct el_ivf *ivf;
};

static int build(struct bench *bench, int lists) {
    const struct el_ivf_options options = {.lists = lists, .seed = 1, .team = bench->searched.team};
    const uint64_t began = el_now_ns();
    el_ivf_close(bench->ivf);
    bench->ivf = NULL;
    EL_TRY(el_ivf_build(bench->path, &bench->searched.set, 1, &options));
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
    for (int first = 0; first < bench->searched.query_count; first += batch)
        EL_TRY(el_ivf_search(bench->ivf, &bench->searched.set,
                             bench->searched.queries + (int64_t)first * bench->searched.set.dim,
                             EL_MIN(batch, bench->searched.query_count - first), k, lists,
                             bench->searched.team, hits + (int64_t)first * k));
    return 0;
}

static void print_rows(const struct el_hit *hits, int64_t count) {
    printf("{\"rows\":[");
    for (int64_t i = 0; i < count; i++)
        printf("%s%lld", i ? "," : "", (long long)hits[i].row);
    printf("]}\n");
}

static int obey(void *context, const char *line) {
    struct bench *bench = context;
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
    EL_TRY(el_alloc((size_t)bench->searched.query_count * (size_t)k, sizeof *hits, &hits));
    const uint64_t began = el_now_ns();
    if (is_exact)
        EL_TRY(el_search_exact(&bench->searched.set, bench->searched.queries, bench->searched.query_count, k,
                               bench->searched.team, hits));
    else
        EL_TRY(search_all(bench, prints ? bench->searched.query_count : batch, k, lists, hits));
    if (prints)
        print_rows(hits, (int64_t)bench->searched.query_count * k);
    else
        printf("{\"seconds\":%.6f}\n", seconds_since(began));
    return 0;
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bench_ivf ROWS QUERIES DIM LISTS_FILE [THREADS]\n");
        return 2;
    }
    bench.path = argv[4];
    int status = searched_open(argv[1], argv[2], argv[3], argv[5], &bench.searched);
    if (status < 0) fprintf(stderr, "bench_ivf: %s\n", el_error_detail());
    if (status == 0) obey_lines(obey, &bench);
    el_ivf_close(bench.ivf);
    searched_close(&bench.searched);
    return status < 0;
}
