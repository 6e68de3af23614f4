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
#include "base/sort.h"
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
    struct load_result http[WAYS][ROUNDS];
    double library_cpu_s,
        http_cpu_s[WAYS]; // processor seconds a text; of HTTP: the server's and the load generator's
    double peak[ROUNDS];  // texts a second of the server with the short queue, at 64 connections
    struct load_result overload[ROUNDS];
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
              bench->precision, "--max-queue-tokens", queue_tokens, "--cache-mb", "0", "--log-level", "warn",
              (char *)NULL);
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

// Mixes the order, the same each time: the set has its short sentences first and its long ones last, and a
// measurement that ends within it is to meet its like all the same.
static void shuffle(struct load_request *requests) {
    uint64_t random = 1;
    for (size_t i = STS_SENTENCES - 1; i > 0; i--) {
        random = random * 6364136223846793005u + 1442695040888963407u; // Knuth, MMIX
        size_t other = (size_t)(random >> 33) % (i + 1);
        struct load_request kept = requests[i];
        requests[i] = requests[other];
        requests[other] = kept;
    }
}

static int prepare(struct bench *bench) {
    const struct el_embedder_options options = {.precision = bench->precision};
    EL_TRY(el_embedder_open(bench->model, &options, &bench->embedder));
    EL_TRY(
        el_alloc(STS_SENTENCES, (size_t)el_embedder_dim(bench->embedder) * sizeof(float), &bench->vectors));
    EL_TRY(el_embed(bench->embedder, bench->sts.sentence, STS_SENTENCES, bench->vectors));
    for (size_t i = 0; i < STS_SENTENCES; i++)
        EL_TRY(make_request(bench, i));
    shuffle(bench->requests);
    return 0;
}

// ---- measuring ----

// The median; sorts `values`.
static double median(double *values, size_t count) {
    el_sort_f64(values, count);
    return values[count / 2];
}

// Processor seconds of this process, and of `pid` when it is not 0.
static double cpu_seconds(pid_t pid) {
    struct rusage own;
    unsigned long user = 0, system = 0;
    char path[64];
    getrusage(RUSAGE_SELF, &own);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid ? fopen(path, "re") : NULL;
    if (file &&
        fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        user = 0;
    if (file) fclose(file);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1e-6 +
           (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

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

static int measure_one_call(struct bench *bench, double *ret_seconds) {
    double seconds[ONE_CALLS];
    for (size_t i = 0; i < ONE_CALLS; i++) {
        const uint64_t began = el_now_ns();
        EL_TRY(el_embed(bench->embedder, &bench->sts.sentence[i * (STS_SENTENCES / ONE_CALLS)], 1,
                        bench->vectors));
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

static int measure_round(struct bench *bench, const struct child *server, int round) {
    EL_TRY(measure_library(bench, round));
    for (int way = 0; way < WAYS; way++) {
        struct load_result *result = &bench->http[way][round];
        const double began = cpu_seconds(server->pid);
        EL_TRY(measure_http(bench, server->port, connections[way], 0, result));
        double texts = rate_of(result) * (bench->seconds + WARMUP_S);
        bench->http_cpu_s[way] += (cpu_seconds(server->pid) - began) / texts / bench->rounds;
    }
    return 0;
}

static int measure_rounds(struct bench *bench) {
    struct child server;
    EL_TRY(start_server(bench, "262144", &server));
    int status = measure_one_call(bench, &bench->library_one_s);
    for (int round = 0; round < bench->rounds && status == 0; round++)
        status = measure_round(bench, &server, round);
    stop_server(&server);
    return status;
}

static int measure_overload(struct bench *bench) {
    struct child server;
    int status = 0;
    EL_TRY(start_server(bench, overload_queue, &server));
    for (int round = 0; round < bench->rounds && status == 0; round++) {
        struct load_result peak;
        status = measure_http(bench, server.port, 64, 0, &peak);
        bench->peak[round] = status == 0 ? rate_of(&peak) : 1;
        if (status == 0)
            status = measure_http(bench, server.port, OVERLOAD_CONNECTIONS,
                                  OVERLOAD_FACTOR * bench->peak[round], &bench->overload[round]);
    }
    stop_server(&server);
    return status;
}

// ---- telling ----

// What the rounds of one kind of measurement come to: medians, and sums of what went wrong.
struct summary {
    double rate, p50_s, p99_s, refused_p50_s, refused_p99_s, refused_max_s;
    double ratio; // rate to that of the same round's base
    unsigned long long errors, wrong, refused, unsent;
};

static struct summary summarise(const struct load_result *results, const double *base, int rounds) {
    double rate[ROUNDS], ratio[ROUNDS], p50[ROUNDS], p99[ROUNDS], refused_p50[ROUNDS], refused_p99[ROUNDS];
    struct summary sum = {0};
    for (int i = 0; i < rounds; i++) {
        const struct load_result *one = &results[i];
        rate[i] = rate_of(one);
        ratio[i] = rate_of(one) / base[i];
        p50[i] = one->accepted_s.p50;
        p99[i] = one->accepted_s.p99;
        refused_p50[i] = one->refused_s.p50;
        refused_p99[i] = one->refused_s.p99;
        sum.refused_max_s = EL_MAX(sum.refused_max_s, one->refused_s.max);
        sum.errors += one->errors;
        sum.wrong += one->wrong;
        sum.refused += one->refused;
        sum.unsent += one->unsent;
    }
    sum.rate = median(rate, (size_t)rounds);
    sum.ratio = median(ratio, (size_t)rounds);
    sum.p50_s = median(p50, (size_t)rounds);
    sum.p99_s = median(p99, (size_t)rounds);
    sum.refused_p50_s = median(refused_p50, (size_t)rounds);
    sum.refused_p99_s = median(refused_p99, (size_t)rounds);
    return sum;
}

struct summaries {
    double library, peak; // texts a second
    struct summary http[WAYS], overload;
};

static void tell(const struct bench *bench, const struct summaries *sum) {
    struct el_embed_info info;
    el_embedder_info(bench->embedder, &info);
    printf("%s on %s, %d threads, %d rounds of %.0f s\n", info.precision, info.place.ops, info.threads,
           bench->rounds, bench->seconds);
    printf("library          %7.0f texts/s   one text %.2f ms   %.0f us of processor a text\n", sum->library,
           bench->library_one_s * 1e3, bench->library_cpu_s * 1e6);
    for (int way = 0; way < WAYS; way++) {
        const struct summary *http = &sum->http[way];
        printf("%4d connections %7.0f texts/s   p50 %.2f ms   p99 %.2f ms   %.0f us   %.1f %% of the library "
               "  %llu errors, "
               "%llu wrong\n",
               connections[way], http->rate, http->p50_s * 1e3, http->p99_s * 1e3,
               bench->http_cpu_s[way] * 1e6, http->ratio * 100, http->errors + http->refused, http->wrong);
    }
    const struct summary *over = &sum->overload;
    printf("overload x%d     %7.0f texts/s   %.1f %% of the peak %.0f   %llu times 429: p50 %.2f ms, p99 "
           "%.2f ms, max %.2f "
           "ms   %llu errors, %llu wrong, %llu unsent\n",
           OVERLOAD_FACTOR, over->rate, over->ratio * 100, sum->peak, over->refused,
           over->refused_p50_s * 1e3, over->refused_p99_s * 1e3, over->refused_max_s * 1e3, over->errors,
           over->wrong, over->unsent);
}

static void tell_json(const struct bench *bench, const struct summaries *sum) {
    const struct summary *over = &sum->overload;
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
               http->errors + http->refused, http->wrong);
    }
    printf("},\"one_text_ms\":{\"library\":%.3f,\"http\":%.3f},\"overload\":{\"factor\":%d,\"goodput\":%.1f,"
           "\"of_peak\":%.4f,"
           "\"refused_p50_ms\":%.3f,\"refused_p99_ms\":%.3f,\"refused_max_ms\":%.3f,\"errors\":%llu,"
           "\"wrong\":%llu}}\n",
           bench->library_one_s * 1e3, sum->http[0].p50_s * 1e3, OVERLOAD_FACTOR, over->rate, over->ratio,
           over->refused_p50_s * 1e3, over->refused_p99_s * 1e3, over->refused_max_s * 1e3, over->errors,
           over->wrong);
}

static void tell_all(struct bench *bench) {
    struct summaries sum;
    for (int way = 0; way < WAYS; way++)
        sum.http[way] = summarise(bench->http[way], bench->library, bench->rounds);
    sum.overload = summarise(bench->overload, bench->peak, bench->rounds);
    sum.library = median(bench->library, (size_t)bench->rounds); // sorts: after all ratios
    sum.peak = median(bench->peak, (size_t)bench->rounds);
    tell(bench, &sum);
    tell_json(bench, &sum);
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
    tell_all(bench);
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
