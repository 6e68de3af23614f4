// SPDX-License-Identifier: Apache-2.0
// `make bench-latency`: what HTTP adds to one call when nothing else is going on. The library in this process
// and a server on the same model are asked for the same texts, one request at a time, in turns of 20, so that
// a noisy machine is noisy for both; for three sizes of request.
//
//     bench_latency MODEL_DIR STS_CSV [PRECISION [SECONDS]]
//
// The server is the program `eleanor` beside this one. Every answer's vectors are compared with the
// library's.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "common/sts.h"
#include "served.h"

enum { TURN = 20, MOST_CALLS = 100000, ANSWER_BYTES = 32768, MOST_TEXTS = 8, MOST_DIM = 4096 };

struct bench {
    const char *model, *precision;
    double seconds; // of each size, for both together
    struct sts sts;
    struct el_embedder *embedder;
    int fd;                                       // the connection
    double library[MOST_CALLS], http[MOST_CALLS]; // seconds
    size_t calls;
    unsigned long long wrong;
};

// Receives a whole answer, by how its body ends.
static int receive(int fd, char *answer, size_t *ret_length) {
    size_t length = 0;
    do {
        const ssize_t got = recv(fd, answer + length, ANSWER_BYTES - length, 0);
        if (got <= 0)
            return el_fail(EL_ENET, "the server closed, or its answer is larger than %d", ANSWER_BYTES);
        length += (size_t)got;
    } while (length < 3 || memcmp(answer + length - 3, "}}\n", 3) != 0);
    *ret_length = length;
    return 0;
}

static int ask_server(struct bench *bench, const struct load_request *request, double *ret_seconds) {
    static char answer[ANSWER_BYTES];
    size_t length = 0;
    const uint64_t began = el_now_ns();
    if (send(bench->fd, request->bytes, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
        return el_fail(EL_ENET, "cannot send: %s", strerror(errno));
    EL_TRY(receive(bench->fd, answer, &length));
    *ret_seconds = (double)(el_now_ns() - began) * 1e-9;
    bench->wrong += !memmem(answer, length, request->expected, request->expected_length);
    return 0;
}

static int ask_library(struct bench *bench, const struct el_text *texts, size_t each, double *ret_seconds) {
    static float vectors[MOST_TEXTS * MOST_DIM];
    const uint64_t began = el_now_ns();
    EL_TRY(el_embed(bench->embedder, texts, each, vectors));
    *ret_seconds = (double)(el_now_ns() - began) * 1e-9;
    return 0;
}

// A turn of each with the same texts, beginning with request `first`.
static int measure_turn(struct bench *bench, const struct request_set *set, size_t each, size_t first) {
    for (size_t i = 0; i < TURN; i++)
        EL_TRY(ask_library(bench, set->texts[(first + i) % set->count], each,
                           &bench->library[bench->calls + i]));
    for (size_t i = 0; i < TURN; i++)
        EL_TRY(ask_server(bench, &set->request[(first + i) % set->count], &bench->http[bench->calls + i]));
    return 0;
}

static int measure_set(struct bench *bench, const struct request_set *set, size_t each) {
    bench->calls = 0;
    EL_TRY(measure_turn(bench, set, each, 0)); // warms up; not counted
    bench->wrong = 0;
    const uint64_t began = el_now_ns();
    for (; bench->calls + TURN <= MOST_CALLS; bench->calls += TURN) {
        if ((double)(el_now_ns() - began) * 1e-9 >= bench->seconds) break;
        EL_TRY(measure_turn(bench, set, each, bench->calls));
    }
    return bench->calls ? 0 : el_fail(EL_EINVAL, "%g s are too few for a call", bench->seconds);
}

static int measure_size(struct bench *bench, enum request_size size) {
    struct request_set set;
    EL_TRY(requests_of_size(bench->embedder, &bench->sts, size, &set));
    int status = measure_set(bench, &set, size == EIGHT_SHORT ? MOST_TEXTS : 1);
    requests_done(&set);
    if (status < 0) return status;
    const double library = median(bench->library, bench->calls), http = median(bench->http, bench->calls);
    fprintf(stderr,
            "%-11s library %.3f ms   HTTP %.3f ms   %.0f us or %.1f %% more   %zu calls, %llu wrong\n",
            request_size_names[size], library * 1e3, http * 1e3, (http - library) * 1e6,
            (http / library - 1) * 100, bench->calls, bench->wrong);
    printf("%s\"%s\":{\"library_ms\":%.3f,\"http_ms\":%.3f,\"http_adds\":%.4f,\"wrong\":%llu}",
           size ? "," : "", request_size_names[size], library * 1e3, http * 1e3, http / library - 1,
           bench->wrong);
    return 0;
}

static int measure(struct bench *bench, int port) {
    EL_TRY(load_connect(port, &bench->fd));
    printf("{\"bench\":\"latency\",\"unit\":\"ms\",\"precision\":\"%s\",", bench->precision);
    for (enum request_size size = 0; size < REQUEST_SIZES; size++)
        EL_TRY(measure_size(bench, size));
    printf("}\n");
    close(bench->fd);
    return 0;
}

static int run(struct bench *bench) {
    const struct el_embedder_options options = {.precision = bench->precision};
    const struct served_options wanted = {
        .model = bench->model, .precision = bench->precision, .queue_tokens = "262144", .processor = -1};
    struct served server;
    EL_TRY(el_embedder_open(bench->model, &options, &bench->embedder));
    if (el_embedder_dim(bench->embedder) > MOST_DIM)
        return el_fail(EL_ETOOBIG, "vectors of more than %d numbers", MOST_DIM);
    EL_TRY(served_start(&wanted, &server));
    int status = measure(bench, server.port);
    served_stop(&server);
    return status;
}

int main(int argc, char **argv) {
    static struct bench bench = {.precision = "auto", .seconds = 5};
    if (argc < 3 || argc > 5 || (argc > 4 && el_parse_f64(argv[4], 0.1, 600, &bench.seconds) < 0)) {
        fprintf(stderr, "usage: bench_latency MODEL_DIR STS_CSV [PRECISION [SECONDS]]\n");
        return 2;
    }
    bench.model = argv[1];
    if (argc > 3) bench.precision = argv[3];
    if (!sts_read(argv[2], &bench.sts)) return 1;
    int status = run(&bench);
    if (status < 0) fprintf(stderr, "bench_latency: %s: %s\n", el_status_text(status), el_error_detail());
    el_embedder_close(bench.embedder);
    sts_done(&bench.sts);
    return status < 0;
}
