// SPDX-License-Identifier: Apache-2.0
// `make bench-overload`: a server with a short queue gets ten times what it can do. First its peak (64
// connections, each with the next request when it has its answer), then ten times that, sent when the clock
// says so by clients who ask again at once when they are refused, and beside them 32 clients who come back
// when they are told. For three sizes of request, since a refusal costs the same whatever was asked; and with
// the clients on the server's processors, where their time counts against us, and on one of their own (the
// server has the other), as in a network.
//
//     bench_overload MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]
//
// The server is the program `eleanor` beside this one. Every answer's vectors are compared with the
// library's.
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/sts.h"
#include "load.h"
#include "served.h"
#include "service/embed.h"

enum { ROUNDS = 64, FACTOR = 10, CONNECTIONS = 1000, OBEDIENT = 32 };
static const char queue_tokens[] = "4096";
#define WARMUP_S 0.5

static const int peak_connections[REQUEST_SIZES] = {64, 16, 16}; // what they ask for has room in the queue

enum place { SHARED, APART, PLACES };
static const char *const place_names[PLACES] = {"shared", "apart"};

struct bench {
    const char *model, *precision;
    struct sts sts;
    struct request_set requests[REQUEST_SIZES];
    struct load_result peak[PLACES][REQUEST_SIZES][ROUNDS], overload[PLACES][REQUEST_SIZES][ROUNDS];
    int rounds;
    double seconds; // of each measurement
};

// ---- preparation ----

static int prepare(struct bench *bench) {
    const struct el_embedder_options options = {.precision = bench->precision};
    struct el_embedder *embedder = NULL;
    EL_TRY(el_embedder_open(bench->model, &options, &embedder));
    int status = 0;
    for (enum request_size size = 0; size < REQUEST_SIZES && status == 0; size++)
        status = requests_of_size(embedder, &bench->sts, size, &bench->requests[size]);
    el_embedder_close(embedder); // its threads are to be no trouble
    return status;
}

// ---- measuring ----

static int measure_size(struct bench *bench, int port, enum place place, enum request_size size, int round) {
    const struct request_set *requests = &bench->requests[size];
    struct load_plan plan = {.port = port,
                             .connections = peak_connections[size],
                             .never_sleeps = place == APART,
                             .warmup_s = WARMUP_S,
                             .seconds = bench->seconds,
                             .requests = requests->request,
                             .request_count = requests->count};
    struct load_result *peak = &bench->peak[place][size][round];
    EL_TRY(load_run(&plan, peak));
    if (peak->accepted == 0) return el_fail(EL_EIO, "the server answered nothing in %g s", bench->seconds);
    plan.connections = CONNECTIONS;
    plan.obedient = OBEDIENT;
    plan.rate = FACTOR * rate_of(peak);
    return load_run(&plan, &bench->overload[place][size][round]);
}

static int measure_place(struct bench *bench, enum place place, int round) {
    const struct served_options options = {.model = bench->model,
                                           .precision = bench->precision,
                                           .queue_tokens = queue_tokens,
                                           .processor = place == APART ? 0 : -1};
    struct served server;
    EL_TRY(served_start(&options, &server));
    int status = use_processor(place == APART ? 1 : -1);
    for (enum request_size size = 0; size < REQUEST_SIZES && status == 0; size++)
        status = measure_size(bench, server.port, place, size, round);
    served_stop(&server);
    return status;
}

// ---- telling ----

// What the rounds of one kind come to: medians, and sums of what went wrong.
struct summary {
    double peak, goodput, of_peak; // requests a second; the median of the rounds' ratios, by tokens
    double refused_p50_s, refused_p99_s, refused_max_s;
    unsigned long long refused, came_back, let_in, errors, wrong, unsent;
};

static struct summary summarise(const struct load_result *peaks, const struct load_result *overloads,
                                int rounds) {
    double peak[ROUNDS], goodput[ROUNDS], of_peak[ROUNDS], p50[ROUNDS], p99[ROUNDS];
    struct summary sum = {0};
    for (int i = 0; i < rounds; i++) {
        const struct load_result *over = &overloads[i];
        peak[i] = rate_of(&peaks[i]);
        goodput[i] = rate_of(over);
        of_peak[i] = token_rate_of(over) / token_rate_of(&peaks[i]);
        p50[i] = over->refused_s.p50;
        p99[i] = over->refused_s.p99;
        sum.refused_max_s = EL_MAX(sum.refused_max_s, over->refused_s.max);
        sum.refused += over->refused;
        sum.came_back += over->came_back;
        sum.let_in += over->let_in;
        sum.errors += over->errors + peaks[i].errors + peaks[i].refused;
        sum.wrong += over->wrong + peaks[i].wrong;
        sum.unsent += over->unsent;
    }
    sum.peak = median(peak, (size_t)rounds);
    sum.goodput = median(goodput, (size_t)rounds);
    sum.of_peak = median(of_peak, (size_t)rounds);
    sum.refused_p50_s = median(p50, (size_t)rounds);
    sum.refused_p99_s = median(p99, (size_t)rounds);
    return sum;
}

static double kept_share(const struct summary *sum) {
    return sum->came_back ? (double)sum->let_in / (double)sum->came_back : 0;
}

static void tell(enum place place, enum request_size size, const struct summary *sum) {
    printf("%-6s %-11s peak %7.1f/s   overload %7.1f/s, %.1f %% of the peak's tokens   %llu times 429: p50 "
           "%.2f ms, p99 %.2f ms, "
           "max "
           "%.2f ms   %llu came back when told, %.1f %% let in   %llu errors, %llu wrong, %llu unsent\n",
           place_names[place], request_size_names[size], sum->peak, sum->goodput, sum->of_peak * 100,
           sum->refused, sum->refused_p50_s * 1e3, sum->refused_p99_s * 1e3, sum->refused_max_s * 1e3,
           sum->came_back, kept_share(sum) * 100, sum->errors, sum->wrong, sum->unsent);
}

static void tell_json(enum request_size size, const struct summary *sum) {
    printf(
        "%s\"%s\":{\"peak\":%.1f,\"goodput\":%.1f,\"of_peak\":%.4f,\"refused\":%llu,\"refused_p50_ms\":%.3f,"
        "\"refused_p99_ms\":%.3f,\"refused_max_ms\":%.3f,\"came_back\":%llu,\"let_in\":%.4f,\"errors\":%llu,"
        "\"wrong\":%llu,\"unsent\":%llu}",
        size ? "," : "", request_size_names[size], sum->peak, sum->goodput, sum->of_peak, sum->refused,
        sum->refused_p50_s * 1e3, sum->refused_p99_s * 1e3, sum->refused_max_s * 1e3, sum->came_back,
        kept_share(sum), sum->errors, sum->wrong, sum->unsent);
}

static void tell_all(const struct bench *bench) {
    struct summary sums[PLACES][REQUEST_SIZES];
    for (enum place place = 0; place < PLACES; place++)
        for (enum request_size size = 0; size < REQUEST_SIZES; size++) {
            sums[place][size] =
                summarise(bench->peak[place][size], bench->overload[place][size], bench->rounds);
            tell(place, size, &sums[place][size]);
        }
    printf("{\"bench\":\"overload\",\"unit\":\"requests/"
           "s\",\"precision\":\"%s\",\"factor\":%d,\"queue_tokens\":%s",
           bench->precision, FACTOR, queue_tokens);
    for (enum place place = 0; place < PLACES; place++) {
        printf(",\"%s\":{", place_names[place]);
        for (enum request_size size = 0; size < REQUEST_SIZES; size++)
            tell_json(size, &sums[place][size]);
        printf("}");
    }
    printf("}\n");
}

// ---- main ----

static int run(struct bench *bench) {
    raise_file_limit();
    EL_TRY(prepare(bench));
    for (int round = 0; round < bench->rounds; round++)
        for (enum place place = 0; place < PLACES; place++)
            EL_TRY(measure_place(bench, place, round));
    tell_all(bench);
    return 0;
}

static void finish(struct bench *bench) {
    for (enum request_size size = 0; size < REQUEST_SIZES; size++)
        requests_done(&bench->requests[size]);
    sts_done(&bench->sts);
}

int main(int argc, char **argv) {
    static struct bench bench;
    int64_t rounds = 5;
    bench.seconds = 2;
    if (argc < 3 || argc > 6 || (argc > 4 && el_parse_i64(argv[4], 1, ROUNDS, &rounds) < 0) ||
        (argc > 5 && el_parse_f64(argv[5], 0.1, 600, &bench.seconds) < 0)) {
        fprintf(stderr, "usage: bench_overload MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]\n");
        return 2;
    }
    bench.rounds = (int)rounds;
    bench.model = argv[1];
    bench.precision = argc > 3 ? argv[3] : "auto";
    if (!sts_read(argv[2], &bench.sts)) return 1;
    int status = run(&bench);
    if (status < 0) fprintf(stderr, "bench_overload: %s: %s\n", el_status_text(status), el_error_detail());
    finish(&bench);
    return status < 0;
}
