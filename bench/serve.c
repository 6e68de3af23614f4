// SPDX-License-Identifier: Apache-2.0
// `make bench-serve`: what HTTP costs. The library embeds the 2,758 sentences of sts-test in this process; a
// server on the same model is asked for the same sentences, one a request, by 1, 64 and 1,000 connections; in
// turns, so that a noisy machine is noisy for all. Every answer's vector is compared with the library's. The
// load generator runs on the same processors, and its time counts against us. (bench_latency compares one
// client with the library's call.)
//
//     bench_serve MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]
//
// The server is the program `eleanor` beside this one.
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/sts.h"
#include "load.h"
#include "served.h"
#include "service/embed.h"

enum { WAYS = 3, ROUNDS = 64 };
static const int connections[WAYS] = {1, 64, 1000};
#define WARMUP_S 0.5

struct bench {
    const char *model, *precision;
    struct sts sts;
    struct el_embedder *embedder;
    float *vectors; // [STS_SENTENCES][dim], the library's
    struct request_set requests;
    double library[ROUNDS]; // texts a second
    struct load_result http[WAYS][ROUNDS];
    double library_cpu_s,
        http_cpu_s[WAYS]; // processor seconds a text; of HTTP: the server's and the load generator's
    int rounds;
    double seconds; // of each measurement
};

// ---- preparation ----

static int prepare(struct bench *bench) {
    const struct el_embedder_options options = {.precision = bench->precision};
    EL_TRY(el_embedder_open(bench->model, &options, &bench->embedder));
    const size_t dim = (size_t)el_embedder_dim(bench->embedder);
    EL_TRY(el_alloc(STS_SENTENCES, dim * sizeof(float), &bench->vectors));
    return requests_of_size(bench->embedder, &bench->sts, ONE_SHORT, &bench->requests);
}

// ---- measuring ----

// The library over whole passes of the sentences, for about bench->seconds.
static int measure_library(struct bench *bench, int round) {
    const double cpu = cpu_seconds(0);
    const uint64_t began = el_now_ns();
    double seconds = 0, texts = 0;
    while (seconds < bench->seconds) {
        EL_TRY(el_embed(bench->embedder, bench->sts.sentence, STS_SENTENCES, bench->vectors));
        seconds = (double)(el_now_ns() - began) * 1e-9;
        texts += STS_SENTENCES;
    }
    bench->library[round] = texts / seconds;
    bench->library_cpu_s += (cpu_seconds(0) - cpu) / texts / bench->rounds;
    return 0;
}

static int measure_http(const struct bench *bench, int port, int count, struct load_result *ret_result) {
    const struct load_plan plan = {.port = port,
                                   .connections = count,
                                   .warmup_s = WARMUP_S,
                                   .seconds = bench->seconds,
                                   .requests = bench->requests.request,
                                   .request_count = bench->requests.count};
    return load_run(&plan, ret_result);
}

static int measure_round(struct bench *bench, const struct served *server, int round) {
    EL_TRY(measure_library(bench, round));
    for (int way = 0; way < WAYS; way++) {
        struct load_result *result = &bench->http[way][round];
        const double began = cpu_seconds(server->pid);
        EL_TRY(measure_http(bench, server->port, connections[way], result));
        double texts = rate_of(result) * (bench->seconds + WARMUP_S);
        bench->http_cpu_s[way] += (cpu_seconds(server->pid) - began) / texts / bench->rounds;
    }
    return 0;
}

static int measure_rounds(struct bench *bench) {
    const struct served_options options = {
        .model = bench->model, .precision = bench->precision, .queue_tokens = "262144", .processor = -1};
    struct served server;
    int status = served_start(&options, &server);
    if (status < 0) return status;
    for (int round = 0; round < bench->rounds && status == 0; round++)
        status = measure_round(bench, &server, round);
    served_stop(&server);
    return status;
}

// ---- telling ----

// What the rounds of one kind of measurement come to: medians, and sums of what went wrong.
struct summary {
    double rate, p50_s, p99_s;
    double ratio; // rate to the library's of the same round
    unsigned long long failed, wrong;
};

static struct summary summarise(const struct load_result *results, const double *library, int rounds) {
    double rate[ROUNDS], ratio[ROUNDS], p50[ROUNDS], p99[ROUNDS];
    struct summary sum = {0};
    for (int i = 0; i < rounds; i++) {
        const struct load_result *one = &results[i];
        rate[i] = rate_of(one);
        ratio[i] = rate_of(one) / library[i];
        p50[i] = one->accepted_s.p50;
        p99[i] = one->accepted_s.p99;
        sum.failed += one->errors + one->refused;
        sum.wrong += one->wrong;
    }
    sum.rate = median(rate, (size_t)rounds);
    sum.ratio = median(ratio, (size_t)rounds);
    sum.p50_s = median(p50, (size_t)rounds);
    sum.p99_s = median(p99, (size_t)rounds);
    return sum;
}

struct summaries {
    double library; // texts a second
    struct summary http[WAYS];
};

static void tell(const struct bench *bench, const struct summaries *sum) {
    struct el_embed_info info;
    el_embedder_info(bench->embedder, &info);
    printf("%s on %s, %d threads, %d rounds of %.0f s\n", info.precision, info.place.ops, info.threads,
           bench->rounds, bench->seconds);
    printf("library          %7.0f texts/s   %.0f us of processor a text\n", sum->library,
           bench->library_cpu_s * 1e6);
    for (int way = 0; way < WAYS; way++) {
        const struct summary *http = &sum->http[way];
        printf("%4d connections %7.0f texts/s   p50 %.2f ms   p99 %.2f ms   %.0f us   %.1f %% of the library "
               "  %llu errors, "
               "%llu wrong\n",
               connections[way], http->rate, http->p50_s * 1e3, http->p99_s * 1e3,
               bench->http_cpu_s[way] * 1e6, http->ratio * 100, http->failed, http->wrong);
    }
}

static void tell_json(const struct bench *bench, const struct summaries *sum) {
    printf("{\"bench\":\"serve\",\"unit\":\"texts/"
           "s\",\"precision\":\"%s\",\"ours\":%.1f,\"peers\":{\"library\":%.1f},"
           "\"ratio_vs_best\":%.4f,\"share_of_limit\":%.4f,\"connections\":{",
           bench->precision, sum->http[1].rate, sum->library, sum->http[1].ratio, sum->http[1].ratio);
    for (int way = 0; way < WAYS; way++) {
        const struct summary *http = &sum->http[way];
        printf("%s\"%d\":{\"rate\":%.1f,\"ratio\":%.4f,\"cpu_ratio\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
               "\"errors\":%llu,"
               "\"wrong\":%llu}",
               way ? "," : "", connections[way], http->rate, http->ratio,
               bench->library_cpu_s / bench->http_cpu_s[way], http->p50_s * 1e3, http->p99_s * 1e3,
               http->failed, http->wrong);
    }
    printf("}}\n");
}

static void tell_all(struct bench *bench) {
    struct summaries sum;
    for (int way = 0; way < WAYS; way++)
        sum.http[way] = summarise(bench->http[way], bench->library, bench->rounds);
    sum.library = median(bench->library, (size_t)bench->rounds); // sorts: after all ratios
    tell(bench, &sum);
    tell_json(bench, &sum);
}

// ---- main ----

static int run(struct bench *bench) {
    raise_file_limit();
    EL_TRY(prepare(bench));
    EL_TRY(measure_rounds(bench));
    tell_all(bench);
    return 0;
}

static void finish(struct bench *bench) {
    requests_done(&bench->requests);
    el_free(bench->vectors);
    el_embedder_close(bench->embedder);
    sts_done(&bench->sts);
}

int main(int argc, char **argv) {
    static struct bench bench;
    int64_t rounds = 5;
    bench.seconds = 3;
    if (argc < 3 || argc > 6 || (argc > 4 && el_parse_i64(argv[4], 1, ROUNDS, &rounds) < 0) ||
        (argc > 5 && el_parse_f64(argv[5], 0.1, 600, &bench.seconds) < 0)) {
        fprintf(stderr, "usage: bench_serve MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]\n");
        return 2;
    }
    bench.rounds = (int)rounds;
    bench.model = argv[1];
    bench.precision = argc > 3 ? argv[3] : "auto";
    if (!sts_read(argv[2], &bench.sts)) return 1;
    int status = run(&bench);
    if (status < 0) fprintf(stderr, "bench_serve: %s: %s\n", el_status_text(status), el_error_detail());
    finish(&bench);
    return status < 0;
}
