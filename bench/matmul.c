// SPDX-License-Identifier: Apache-2.0
// Matrix products of all-MiniLM-L6-v2, ours and oneDNN's in the same run: each shape again and again (its
// weights stay in the cache), and all 24 in the model's order (each product's weights come from L3 or
// memory). The last line is one JSON object.
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"
#include "matmul_peer.h"
#include "ops/ops.h"

enum { LAYERS = 6, SHAPES = 4, MOST_REPEATS = 2000 };

static const struct shape {
    const char *text;
    int64_t depth, columns;
} shapes[SHAPES] = {{"384 -> 1152", 384, 1152},
                    {"384 -> 384", 384, 384},
                    {"384 -> 1536", 384, 1536},
                    {"1536 -> 384", 1536, 384}};

static const int64_t row_counts[] = {16, 64, 128, 256, 512};

// One shape of one number of rows: ours and the peer's.
struct product {
    struct el_tensor in, out;
    struct el_linear *linear[LAYERS];
    struct peer *peer; // NULL where there is none
};

struct bench {
    struct el_exec exec;
    enum el_precision precision;
    int64_t rows;
    struct product products[SHAPES];
    bool peer; // whose turn it is
};

struct rate {
    double best, median; // GFLOP/s; 0: not measured
};

static void or_exit(int status) {
    if (status == 0) return;
    fprintf(stderr, "bench_matmul: %s: %s\n", el_status_text(status), el_error_detail());
    exit(1);
}

static float *new_floats(int64_t count) {
    float *values;
    or_exit(el_alloc_aligned((size_t)count, sizeof *values, &values));
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(i * 7919 % 2001 - 1000) * 1e-3f;
    return values;
}

static void open_products(struct bench *bench) {
    const struct el_target target = {.ops = bench->exec.ops, .precision = bench->precision};
    for (int s = 0; s < SHAPES; s++) {
        struct product *product = &bench->products[s];
        int64_t depth = shapes[s].depth, columns = shapes[s].columns;
        product->in = el_tensor_2d(EL_F32, new_floats(bench->rows * depth), bench->rows, depth);
        product->out = el_tensor_2d(EL_F32, new_floats(bench->rows * columns), bench->rows, columns);
        struct el_tensor weight = el_tensor_2d(EL_F32, new_floats(columns * depth), columns, depth);
        for (int l = 0; l < LAYERS; l++)
            or_exit(el_linear_open(&target, &weight, NULL, &product->linear[l]));
        el_free(weight.data);
        if (peer_name() &&
            peer_open(bench->precision, bench->rows, depth, columns, LAYERS, &product->peer) < 0)
            printf("# no peer for %s %s: %s\n", el_precision_text(bench->precision), shapes[s].text,
                   el_error_detail());
    }
}

static void close_products(struct bench *bench) {
    for (int s = 0; s < SHAPES; s++) {
        struct product *product = &bench->products[s];
        for (int l = 0; l < LAYERS; l++)
            el_linear_close(product->linear[l]);
        peer_close(product->peer);
        el_free(product->in.data);
        el_free(product->out.data);
    }
    memset(bench->products, 0, sizeof bench->products);
}

static void run_one(struct bench *bench, int shape, int layer) {
    struct product *product = &bench->products[shape];
    if (bench->peer)
        peer_run(product->peer, layer);
    else
        or_exit(bench->exec.ops->linear(&bench->exec, &product->in, product->linear[layer], EL_ACT_NONE, NULL,
                                        &product->out));
}

// `shape` < 0: all, layer after layer.
static void run(struct bench *bench, int shape) {
    if (shape >= 0) {
        run_one(bench, shape, 0);
        return;
    }
    for (int l = 0; l < LAYERS; l++)
        for (int s = 0; s < SHAPES; s++)
            run_one(bench, s, l);
}

static double work(const struct bench *bench, int shape) {
    double sum = 0;
    for (int s = 0; s < SHAPES; s++)
        if (shape < 0 || s == shape)
            sum +=
                2.0 * (double)(bench->rows * shapes[s].depth * shapes[s].columns) * (shape < 0 ? LAYERS : 1);
    return sum;
}

static struct rate measure(struct bench *bench, int shape, bool peer, double seconds) {
    static double took[MOST_REPEATS]; // ns
    int count = 0;
    bench->peer = peer;
    for (int s = 0; peer && s < SHAPES; s++)
        if (!bench->products[s].peer) return (struct rate){0};
    run(bench, shape); // warm
    uint64_t begin = el_now_ns();
    while (count < MOST_REPEATS && (count < 3 || (double)(el_now_ns() - begin) < seconds * 1e9)) {
        uint64_t start = el_now_ns();
        run(bench, shape);
        took[count++] = (double)(el_now_ns() - start);
    }
    el_sort_f64(took, (size_t)count);
    return (struct rate){.best = work(bench, shape) / took[0],
                         .median = work(bench, shape) / took[count / 2]};
}

// What the last line tells: all layers at 128 rows on one thread, against the peer's hottest rate.
struct summary {
    double ours, peer, limit;
};

static void measure_rows(struct bench *bench, int threads, double seconds, struct summary *summary) {
    for (int shape = -1; shape < SHAPES; shape++) {
        struct rate ours = measure(bench, shape, false, seconds), peer = measure(bench, shape, true, seconds);
        printf("%-5s %7d %5lld  %-14s %9.1f %9.1f   %9.1f %9.1f   %5.2f\n",
               el_precision_text(bench->precision), threads, (long long)bench->rows,
               shape < 0 ? "all 24 in turn" : shapes[shape].text, ours.best, ours.median, peer.best,
               peer.median, peer.best > 0 ? ours.best / peer.best : 0);
        fflush(stdout);
        if (threads == 1 && shape >= 0) summary->limit = EL_MAX(summary->limit, peer.best);
        if (threads != 1 || shape >= 0 || bench->rows != 128) continue;
        summary->ours = ours.best;
        summary->peer = peer.best;
    }
}

static void measure_precision(const struct el_ops *ops, enum el_precision precision, double seconds,
                              struct summary *summary) {
    const int counts[] = {1, el_cpu_count()};
    struct el_team *team = NULL;
    or_exit(el_team_open(el_cpu_count(), false, &team));
    for (size_t t = 0; t < EL_COUNT(counts) && (t == 0 || counts[t] > 1); t++)
        for (size_t r = 0; r < EL_COUNT(row_counts); r++) {
            struct bench bench = {.precision = precision, .rows = row_counts[r]};
            bench.exec = (struct el_exec){.ops = ops, .team = counts[t] > 1 ? team : NULL};
            el_arena_init(&bench.exec.scratch);
            peer_threads(counts[t]);
            open_products(&bench);
            measure_rows(&bench, counts[t], seconds, summary);
            close_products(&bench);
            el_arena_done(&bench.exec.scratch);
        }
    el_team_close(team);
}

// The peer's rate on all cores: each shape hot, at its best number of rows, weighted as the model weights
// them.
static double peer_limit(const struct el_ops *ops, double seconds) {
    double best[SHAPES] = {0}, all = 0, nanoseconds = 0;
    struct bench bench = {.exec = {.ops = ops}, .precision = EL_PRECISION_FP32};
    peer_threads(el_cpu_count());
    for (size_t r = 0; r < EL_COUNT(row_counts); r++) {
        bench.rows = row_counts[r];
        open_products(&bench);
        for (int shape = 0; shape < SHAPES; shape++) {
            double rate = measure(&bench, shape, true, seconds).best;
            best[shape] = EL_MAX(best[shape], rate);
        }
        close_products(&bench);
    }
    for (int shape = 0; shape < SHAPES; shape++) {
        if (best[shape] == 0) return 0;
        all += work(&bench, shape);
        nanoseconds += work(&bench, shape) / best[shape];
    }
    return all / nanoseconds;
}

static void print_summary(const struct el_ops *ops, const struct summary *summaries) {
    printf("{\"bench\":\"matmul\",\"unit\":\"GFLOP/s\",\"ops\":\"%s\",\"what\":\"all 24 products of "
           "all-MiniLM-L6-v2 in turn, 128 rows, 1 thread; the limit is the peer's best on one hot product\"",
           ops->name);
    static const char *const keys[] = {"ours", "peers", "ratio_vs_best", "share_of_limit"};
    for (size_t k = 0; k < EL_COUNT(keys); k++) {
        printf(",\"%s\":{", keys[k]);
        if (k == 1) printf("\"onednn\":{");
        for (int p = EL_PRECISION_FP32, first = 1; p <= EL_PRECISION_INT8; p++) {
            const struct summary *s = &summaries[p];
            if (s->ours == 0) continue;
            double values[] = {s->ours, s->peer, s->peer > 0 ? s->ours / s->peer : 0,
                               s->limit > 0 ? s->ours / s->limit : 0};
            printf("%s\"%s\":%.3f", first ? "" : ",", el_precision_text((enum el_precision)p), values[k]);
            first = 0;
        }
        printf(k == 1 ? "}}" : "}");
    }
    printf("}\n");
}

struct options {
    double seconds; // per figure
    const char *ops;
    bool limit;
};

static const char usage[] =
    "usage: bench_matmul [--ops FILLING] [--seconds S] [--limit]\n"
    "Times the matrix products of all-MiniLM-L6-v2, ours and oneDNN's.\n"
    "  --ops FILLING  not the best of this processor but avx512, avx2, sse2 or neon\n"
    "  --seconds S    time for each figure (default 0.15)\n"
    "  --limit        oneDNN's fp32 rate on hot products and all cores, and no more\n";

static int read_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {{"ops", required_argument, NULL, 'o'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"limit", no_argument, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    int option, status = 0;
    while (status == 0 && (option = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (option) {
        case 'o':
            options->ops = optarg;
            break;
        case 's':
            status = el_parse_f64(optarg, 0.001, 60, &options->seconds);
            break;
        case 'l':
            options->limit = true;
            break;
        default:
            status = EL_EINVAL;
        }
    return optind < argc ? EL_EINVAL : status;
}

int main(int argc, char **argv) {
    struct options options = {.seconds = 0.15};
    const struct el_ops *ops;
    struct summary summaries[EL_PRECISION_INT8 + 1] = {{0}};
    if (read_options(argc, argv, &options) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    or_exit(el_ops_find(options.ops, &ops));
    printf("# ours: %s; peer: %s\n", ops->name, peer_name() ? peer_name() : "NONE, oneDNN is not installed");
    if (options.limit) {
        double limit = peer_limit(ops, options.seconds);
        printf("{\"bench\":\"matmul-limit\",\"onednn_gflops\":%.1f,\"threads\":%d}\n", limit, el_cpu_count());
        return 0;
    }
    printf("# GFLOP/s, best and median of %g s each\n", options.seconds);
    printf("# precision, threads, rows, product    ours best    median   peer best    median   ratio\n");
    for (int p = EL_PRECISION_FP32; p <= EL_PRECISION_INT8; p++) {
        enum el_precision precision;
        if (el_ops_precision(ops, (enum el_precision)p, &precision) == 0)
            measure_precision(ops, precision, options.seconds, &summaries[p]);
        else
            printf("# %s: skipped: %s\n", el_precision_text((enum el_precision)p), el_error_detail());
    }
    print_summary(ops, summaries);
    return 0;
}
