// SPDX-License-Identifier: Apache-2.0
// `make bench-serve`: what HTTP costs. The library embeds the 2,758 sentences of sts-test in this process; a
// server on the same model is asked for the same sentences, one a request, by 1, 64 and 1,000 connections; in
// turns, so that a noisy machine is noisy for all. Then a server with a short queue gets ten times what it
// can do. Every answer's vector is compared with the library's. The load generator runs on the same
// processors, and its time counts against us.
//
//     bench_serve MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]
//
// The server is the program `eleanor` beside this one.
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/sts.h"
#include "load.h"
#include "serve/vector_text.h"
#include "service/embed.h"

enum { WAYS = 3, ROUNDS = 64, ONE_CALLS = 300, OVERLOAD_FACTOR = 10, OVERLOAD_CONNECTIONS = 1000 };
static const int connections[WAYS] = {1, 64, 1000};
static const char overload_queue[] = "4096"; // tokens: a few hundred sentences
#define WARMUP_S 0.5

struct bench {
    char binary[4096];
    const char *model, *precision;
    struct sts sts;
    struct el_embedder *embedder;
    float *vectors; // [STS_SENTENCES][dim], the library's
    struct load_request requests[STS_SENTENCES];
    struct el_str text[2 * STS_SENTENCES]; // owns the requests' bytes
    double library[ROUNDS];                // texts a second
    double library_one_s;                  // seconds of one call with one text
    struct load_result http[WAYS][ROUNDS], overload;
    double peak; // texts a second before the overload, same server
    int rounds;
    double seconds; // of each measurement
};

// ---- the server ----

struct child {
    pid_t pid;
    int port;
};

static int start_server(const struct bench *bench, const char *queue_tokens, struct child *ret_child) {
    int out[2];
    char line[256] = "";
    if (pipe(out) < 0) return el_fail(EL_EIO, "no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        execl(bench->binary, bench->binary, "serve", "--port", "0", "--model", bench->model, "--precision",
              bench->precision, "--max-queue-tokens", queue_tokens, "--log-level", "warn", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *stream = fdopen(out[0], "r");
    const char *got = stream ? fgets(line, sizeof line, stream) : NULL;
    if (stream) fclose(stream);
    const char *colon = got ? strrchr(line, ':') : NULL;
    if (pid < 0 || !colon) return el_fail(EL_EIO, "%s serve does not start", bench->binary);
    *ret_child = (struct child){pid, (int)strtol(colon + 1, NULL, 10)};
    return 0;
}

static void stop_server(const struct child *child) {
    kill(child->pid, SIGTERM);
    waitpid(child->pid, NULL, 0);
}

// ---- preparation ----

static int make_request(struct bench *bench, size_t index) {
    const size_t dim = (size_t)el_embedder_dim(bench->embedder);
    const struct el_text *sentence = &bench->sts.sentence[index];
    struct el_str *request = &bench->text[2 * index], *expected = &bench->text[2 * index + 1];
    el_auto(el_str_done) struct el_str body = {0};
    EL_TRY(el_str_puts(&body, "{\"encoding_format\":\"base64\",\"input\":"));
    EL_TRY(el_str_put_json(&body, sentence->data, sentence->length));
    EL_TRY(el_str_putc(&body, '}'));
    EL_TRY(
        el_str_printf(request,
                      "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      body.length));
    EL_TRY(el_str_append(request, body.data, body.length));
    EL_TRY(el_vector_put_base64(expected, bench->vectors + index * dim, dim));
    bench->requests[index] =
        (struct load_request){request->data, request->length, expected->data, expected->length};
    return 0;
}

static int prepare(struct bench *bench) {
    const struct el_embedder_options options = {.precision = bench->precision};
    EL_TRY(el_embedder_open(bench->model, &options, &bench->embedder));
    EL_TRY(
        el_alloc(STS_SENTENCES, (size_t)el_embedder_dim(bench->embedder) * sizeof(float), &bench->vectors));
    EL_TRY(el_embed(bench->embedder, bench->sts.sentence, STS_SENTENCES, bench->vectors));
    for (size_t i = 0; i < STS_SENTENCES; i++)
        EL_TRY(make_request(bench, i));
    return 0;
}

// ---- measuring ----

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median; sorts `values`.
static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

// Texts a second of the library over whole passes of the sentences, for about bench->seconds.
static int measure_library(struct bench *bench, double *ret_rate) {
    const uint64_t began = el_now_ns();
    double seconds = 0;
    int passes = 0;
    while (seconds < bench->seconds) {
        EL_TRY(el_embed(bench->embedder, bench->sts.sentence, STS_SENTENCES, bench->vectors));
        seconds = (double)(el_now_ns() - began) * 1e-9;
        passes++;
    }
    *ret_rate = passes * (double)STS_SENTENCES / seconds;
    return 0;
}

static int measure_one_call(struct bench *bench, double *ret_seconds) {
    double seconds[ONE_CALLS];
    for (size_t i = 0; i < ONE_CALLS; i++) {
        const uint64_t began = el_now_ns();
        EL_TRY(el_embed(bench->embedder, &bench->sts.sentence[i], 1, bench->vectors));
        seconds[i] = (double)(el_now_ns() - began) * 1e-9;
    }
    *ret_seconds = median(seconds, ONE_CALLS);
    return 0;
}

static int measure_http(const struct bench *bench, int port, int count, double rate,
                        struct load_result *ret_result) {
    const struct load_plan plan = {.port = port,
                                   .connections = count,
                                   .warmup_s = WARMUP_S,
                                   .seconds = bench->seconds,
                                   .rate = rate,
                                   .requests = bench->requests,
                                   .request_count = STS_SENTENCES};
    return load_run(&plan, ret_result);
}

static double rate_of(const struct load_result *result) {
    return (double)result->accepted / result->seconds;
}

static int measure_rounds(struct bench *bench) {
    struct child server;
    EL_TRY(start_server(bench, "262144", &server));
    int status = measure_one_call(bench, &bench->library_one_s);
    for (int round = 0; round < bench->rounds && status == 0; round++) {
        status = measure_library(bench, &bench->library[round]);
        for (int way = 0; way < WAYS && status == 0; way++)
            status = measure_http(bench, server.port, connections[way], 0, &bench->http[way][round]);
    }
    stop_server(&server);
    return status;
}

static int measure_overload(struct bench *bench) {
    struct child server;
    struct load_result peak;
    EL_TRY(start_server(bench, overload_queue, &server));
    int status = measure_http(bench, server.port, 64, 0, &peak);
    bench->peak = status == 0 ? rate_of(&peak) : 0;
    if (status == 0)
        status = measure_http(bench, server.port, OVERLOAD_CONNECTIONS, OVERLOAD_FACTOR * bench->peak,
                              &bench->overload);
    stop_server(&server);
    return status;
}

// ---- telling ----

// The median over the rounds of http / library of the same round.
static double ratio(const struct bench *bench, int way) {
    double ratios[ROUNDS];
    for (int round = 0; round < bench->rounds; round++)
        ratios[round] = rate_of(&bench->http[way][round]) / bench->library[round];
    return median(ratios, (size_t)bench->rounds);
}

// All rounds of a way as one: median rate and latencies, summed errors.
static struct load_result together(const struct bench *bench, int way) {
    struct load_result sum = bench->http[way][0];
    double rate[ROUNDS], p50[ROUNDS], p99[ROUNDS];
    sum.errors = sum.wrong = 0;
    for (int round = 0; round < bench->rounds; round++) {
        const struct load_result *one = &bench->http[way][round];
        rate[round] = rate_of(one);
        p50[round] = one->accepted_s.p50;
        p99[round] = one->accepted_s.p99;
        sum.errors += one->errors + one->refused;
        sum.wrong += one->wrong;
        sum.accepted_s.max = EL_MAX(sum.accepted_s.max, one->accepted_s.max);
    }
    sum.accepted = (uint64_t)(median(rate, (size_t)bench->rounds) * sum.seconds);
    sum.accepted_s.p50 = median(p50, (size_t)bench->rounds);
    sum.accepted_s.p99 = median(p99, (size_t)bench->rounds);
    return sum;
}

static void tell(struct bench *bench) {
    struct el_embed_info info;
    el_embedder_info(bench->embedder, &info);
    double library[ROUNDS], ratios[WAYS];
    struct load_result http[WAYS];
    memcpy(library, bench->library, sizeof library);
    double library_rate = median(library, (size_t)bench->rounds);
    printf("%s on %s, %d threads, %d rounds of %.0f s\n", info.precision, info.simd, info.threads,
           bench->rounds, bench->seconds);
    printf("library             %8.0f texts/s   one text %.2f ms\n", library_rate,
           bench->library_one_s * 1e3);
    for (int way = 0; way < WAYS; way++) {
        http[way] = together(bench, way);
        ratios[way] = ratio(bench, way);
        printf("%5d connections   %8.0f texts/s   p50 %.2f ms   p99 %.2f ms   %.1f %% of the library   %llu "
               "errors, %llu wrong\n",
               connections[way], rate_of(&http[way]), http[way].accepted_s.p50 * 1e3,
               http[way].accepted_s.p99 * 1e3, ratios[way] * 100, (unsigned long long)http[way].errors,
               (unsigned long long)http[way].wrong);
    }
    const struct load_result *over = &bench->overload;
    printf("overload x%d        %8.0f texts/s   %.1f %% of the peak %.0f   429: %.0f/s, p50 %.2f ms, p99 "
           "%.2f ms, max "
           "%.2f ms   %llu errors, %llu wrong, %llu unsent\n",
           OVERLOAD_FACTOR, rate_of(over), rate_of(over) / bench->peak * 100, bench->peak,
           (double)over->refused / over->seconds, over->refused_s.p50 * 1e3, over->refused_s.p99 * 1e3,
           over->refused_s.max * 1e3, (unsigned long long)over->errors, (unsigned long long)over->wrong,
           (unsigned long long)over->unsent);
    printf("{\"bench\":\"serve\",\"unit\":\"texts/"
           "s\",\"precision\":\"%s\",\"ours\":%.1f,\"peers\":{\"library\":%.1f},"
           "\"ratio_vs_best\":%.4f,\"share_of_limit\":%.4f,\"connections\":{",
           info.precision, rate_of(&http[1]), library_rate, ratios[1], ratios[1]);
    for (int way = 0; way < WAYS; way++)
        printf("%s\"%d\":{\"rate\":%.1f,\"ratio\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"errors\":%llu,"
               "\"wrong\":%llu}",
               way ? "," : "", connections[way], rate_of(&http[way]), ratios[way],
               http[way].accepted_s.p50 * 1e3, http[way].accepted_s.p99 * 1e3,
               (unsigned long long)http[way].errors, (unsigned long long)http[way].wrong);
    printf("},\"one_text_ms\":{\"library\":%.3f,\"http\":%.3f},\"overload\":{\"factor\":%d,\"goodput\":%.1f,"
           "\"of_peak\":%.4f,"
           "\"refused_p50_ms\":%.3f,\"refused_p99_ms\":%.3f,\"refused_max_ms\":%.3f,\"errors\":%llu,"
           "\"wrong\":%llu}}\n",
           bench->library_one_s * 1e3, http[0].accepted_s.p50 * 1e3, OVERLOAD_FACTOR, rate_of(over),
           rate_of(over) / bench->peak, over->refused_s.p50 * 1e3, over->refused_s.p99 * 1e3,
           over->refused_s.max * 1e3, (unsigned long long)over->errors, (unsigned long long)over->wrong);
}

// ---- main ----

static int run(struct bench *bench) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    EL_TRY(prepare(bench));
    EL_TRY(measure_rounds(bench));
    EL_TRY(measure_overload(bench));
    tell(bench);
    return 0;
}

static void finish(struct bench *bench) {
    for (size_t i = 0; i < EL_COUNT(bench->text); i++)
        el_str_done(&bench->text[i]);
    el_free(bench->vectors);
    el_embedder_close(bench->embedder);
    sts_done(&bench->sts);
}

// The path of `eleanor` in the folder of this program.
static bool find_binary(char *path, size_t size) {
    ssize_t length = readlink("/proc/self/exe", path, size - sizeof "/eleanor");
    if (length <= 0) return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    snprintf(slash, size - (size_t)(slash - path), "/eleanor");
    return access(path, X_OK) == 0;
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
    if (!find_binary(bench.binary, sizeof bench.binary)) {
        fprintf(stderr, "bench_serve: the program eleanor is not beside this one; build it first\n");
        return 1;
    }
    if (!sts_read(argv[2], &bench.sts)) return 1;
    int status = run(&bench);
    if (status < 0) fprintf(stderr, "bench_serve: %s: %s\n", el_status_text(status), el_error_detail());
    finish(&bench);
    return status < 0;
}
