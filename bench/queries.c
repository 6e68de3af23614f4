// SPDX-License-Identifier: Apache-2.0
// `make bench-queries`: what exact search costs a query where many ask. The library searches the vectors of
// an index, so many queries at a time; a server is asked for the same queries, one a request, by so many
// connections: what waits for a search is searched together, so that many connections should come near to the
// library's batches. In turns, so that a noisy machine is noisy for both; medians of the rounds. Every
// answer's list is compared with the library's.
//
//     bench_queries MODEL_DIR FOLDER [ROWS [DIM [ROUNDS [SECONDS]]]]
//
// FOLDER is $ELEANOR_HOME meanwhile, and may hold no index `bench`. The model is there because a server has
// one. The server is the program `eleanor` beside this one.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "serve/index_text.h"
#include "serve/vector_text.h"
#include "served.h"
#include "service/search.h"

enum { QUERIES = 1024, TOP = 10, BATCH = 8192, ID_SIZE = 32, MOST_ROUNDS = 16, WAYS = 5 };
static const int together[WAYS] = {1, 8, 32, 64, 256}; // queries, and connections
#define WARMUP_S 0.3
#define NAME "bench"

struct bench {
    const char *model;
    char *root; // of indexes
    int64_t rows, dim, rounds;
    double seconds; // of each measurement
    struct el_index *index;
    struct el_team *team;
    float *queries; // [QUERIES][dim]
    struct el_str bytes[QUERIES], answers[QUERIES];
    struct load_request requests[QUERIES];
    double library[WAYS][MOST_ROUNDS]; // queries a second
    struct load_result http[WAYS][MOST_ROUNDS];
};

// Sums of four uniform numbers: near enough to a normal distribution for vectors that point anywhere.
static void draw(float *vectors, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        vectors[i] = -2;
        for (int j = 0; j < 4; j++) {
            *state = *state * 6364136223846793005U + 1442695040888963407U;
            vectors[i] += (float)(*state >> 40) * 0x1p-24F;
        }
    }
}

// ---- the index ----

static int fill(const struct bench *bench, struct el_index *index, struct el_index_document *documents,
                char (*ids)[ID_SIZE], float *vectors) {
    uint64_t state = 1;
    for (int64_t first = 0; first < bench->rows; first += BATCH) {
        const size_t count = (size_t)EL_MIN(BATCH, bench->rows - first);
        for (size_t i = 0; i < count; i++) {
            snprintf(ids[i], ID_SIZE, "%" PRId64, first + (int64_t)i);
            documents[i] = (struct el_index_document){.id = ids[i], .chunks = 1};
        }
        draw(vectors, count * (size_t)bench->dim, &state);
        EL_TRY(el_index_put(index, documents, count, vectors));
    }
    return 0;
}

static int make_index(const struct bench *bench) {
    const struct el_vector_facts facts = {.dim = (int)bench->dim, .metric = EL_METRIC_COSINE};
    struct el_index_document *documents el_auto_free = NULL;
    char(*ids)[ID_SIZE] el_auto_free = NULL;
    float *vectors el_auto_free = NULL;
    struct el_index *index = NULL;
    EL_TRY(el_alloc(BATCH, sizeof *documents, &documents));
    EL_TRY(el_alloc(BATCH, sizeof *ids, &ids));
    EL_TRY(el_alloc(BATCH, (size_t)bench->dim * sizeof *vectors, &vectors));
    EL_TRY(el_search_create(bench->root, NAME, NULL, &facts));
    EL_TRY(el_search_open(bench->root, NAME, true, &index));
    const int status = fill(bench, index, documents, ids, vectors);
    el_index_close(index);
    return status;
}

// ---- the library ----

static int search(struct bench *bench, size_t first, size_t count, struct el_index_answer *ret_answer) {
    const struct el_index_query query = {.count = count,
                                         .vectors = bench->queries + first * (size_t)bench->dim,
                                         .k = TOP,
                                         .team = bench->team};
    return el_index_search(bench->index, &query, ret_answer);
}

static int measure_library(struct bench *bench, int way, double *ret_rate) {
    const uint64_t began = el_now_ns();
    const size_t count = (size_t)together[way];
    size_t asked = 0;
    double seconds = 0;
    for (; seconds < bench->seconds; asked += count) {
        struct el_index_answer answer;
        EL_TRY(search(bench, asked % QUERIES, count, &answer));
        el_index_answer_done(&answer);
        seconds = (double)(el_now_ns() - began) * 1e-9;
    }
    *ret_rate = (double)asked / seconds;
    return 0;
}

// ---- the server ----

// What a right answer begins with: all but its figures.
static int put_expected(const struct el_index_list *list, struct el_str *answer) {
    const struct el_query_stats stats = {0};
    EL_TRY(el_index_put_result(answer, NAME, list, &stats));
    const char *figures = strstr(answer->data, ",\"stats\":");
    answer->length = (size_t)(figures - answer->data);
    return 0;
}

static int put_request(const struct bench *bench, size_t which, struct el_str *bytes) {
    struct el_str body el_auto(el_str_done) = {0};
    EL_TRY(el_str_puts(&body, "{\"vector\":"));
    EL_TRY(el_vector_put_json(&body, bench->queries + which * (size_t)bench->dim, (size_t)bench->dim));
    EL_TRY(el_str_printf(&body, ",\"k\":%d}", TOP));
    EL_TRY(el_str_printf(bytes,
                         "POST /v1/indexes/%s/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n",
                         NAME, body.length));
    return el_str_append(bytes, body.data, body.length);
}

static int make_requests(struct bench *bench) {
    struct el_index_answer answer;
    EL_TRY(search(bench, 0, QUERIES, &answer));
    int status = 0;
    for (size_t i = 0; i < QUERIES && status == 0; i++) {
        struct el_str *bytes = &bench->bytes[i], *expected = &bench->answers[i];
        status = put_expected(&answer.lists[i], expected);
        if (status == 0) status = put_request(bench, i, bytes);
        bench->requests[i] =
            (struct load_request){bytes->data, bytes->length, expected->data, expected->length, 0};
    }
    el_index_answer_done(&answer);
    return status;
}

static int measure_http(const struct bench *bench, int port, int way, struct load_result *ret_result) {
    const struct load_plan plan = {.port = port,
                                   .connections = together[way],
                                   .warmup_s = WARMUP_S,
                                   .seconds = bench->seconds,
                                   .requests = bench->requests,
                                   .request_count = QUERIES};
    return load_run(&plan, ret_result);
}

static int measure_rounds(struct bench *bench) {
    const struct served_options options = {
        .model = bench->model, .precision = "auto", .queue_tokens = "262144", .processor = -1};
    struct served server;
    EL_TRY(served_start(&options, &server));
    int status = 0;
    for (int64_t i = 0; i < bench->rounds * WAYS && status == 0; i++) {
        const int way = (int)(i % WAYS), round = (int)(i / WAYS);
        status = measure_library(bench, way, &bench->library[way][round]);
        if (status == 0) status = measure_http(bench, server.port, way, &bench->http[way][round]);
    }
    served_stop(&server);
    return status;
}

// ---- telling ----

struct summary {
    double library, http, ratio, p50_ms, p99_ms;
    unsigned long long failed, wrong;
};

static struct summary summarise(struct bench *bench, int way) {
    double http[MOST_ROUNDS], ratio[MOST_ROUNDS], p50[MOST_ROUNDS], p99[MOST_ROUNDS];
    const size_t rounds = (size_t)bench->rounds;
    struct summary sum = {0};
    for (size_t i = 0; i < rounds; i++) {
        const struct load_result *result = &bench->http[way][i];
        http[i] = rate_of(result);
        ratio[i] = http[i] / bench->library[way][i];
        p50[i] = result->accepted_s.p50 * 1e3;
        p99[i] = result->accepted_s.p99 * 1e3;
        sum.failed += result->errors + result->refused;
        sum.wrong += result->wrong;
    }
    sum.ratio = median(ratio, rounds);
    sum.http = median(http, rounds);
    sum.library = median(bench->library[way], rounds);
    sum.p50_ms = median(p50, rounds);
    sum.p99_ms = median(p99, rounds);
    return sum;
}

static void tell(struct bench *bench) {
    struct summary sums[WAYS];
    printf("%" PRId64 " x %" PRId64 ", the %d nearest; %" PRId64 " rounds\n", bench->rows, bench->dim, TOP,
           bench->rounds);
    for (int way = 0; way < WAYS; way++) {
        const struct summary *sum = &sums[way];
        sums[way] = summarise(bench, way);
        printf("%4d at a time: library %6.0f queries/s   HTTP %6.0f queries/s, %.1f %%   p50 %.1f ms   p99 "
               "%.1f ms   %llu failed, %llu wrong\n",
               together[way], sum->library, sum->http, sum->ratio * 100, sum->p50_ms, sum->p99_ms,
               sum->failed, sum->wrong);
    }
    printf("{\"bench\":\"queries\",\"rows\":%" PRId64 ",\"dim\":%" PRId64 ",\"cpus\":%d,\"rounds\":%" PRId64,
           bench->rows, bench->dim, el_cpu_count(), bench->rounds);
    for (int way = 0; way < WAYS; way++)
        printf(",\"%d\":{\"library\":%.0f,\"http\":%.0f,\"ratio\":%.4f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
               "\"failed\":%llu,\"wrong\":%llu}",
               together[way], sums[way].library, sums[way].http, sums[way].ratio, sums[way].p50_ms,
               sums[way].p99_ms, sums[way].failed, sums[way].wrong);
    printf("}\n");
}

// ---- all of it ----

static int measure(struct bench *bench) {
    uint64_t state = 99;
    EL_TRY(make_index(bench));
    EL_TRY(el_search_open(bench->root, NAME, false, &bench->index));
    EL_TRY(el_team_open(el_cpu_count(), false, &bench->team));
    EL_TRY(el_alloc(QUERIES, (size_t)bench->dim * sizeof *bench->queries, &bench->queries));
    draw(bench->queries, QUERIES * (size_t)bench->dim, &state);
    EL_TRY(make_requests(bench)); // and the rows are in memory
    EL_TRY(measure_rounds(bench));
    tell(bench);
    return 0;
}

static int run(struct bench *bench, const char *home) {
    EL_TRY(el_path_join(home, "indexes", &bench->root));
    if (setenv("ELEANOR_HOME", home, 1) < 0) return el_fail(EL_ENOMEM, "no memory for a variable");
    raise_file_limit();
    const int status = measure(bench);
    const char *detail = el_error_detail();
    if (status < 0) fprintf(stderr, "bench_queries: %s\n", detail);
    el_index_close(bench->index);
    if (bench->team) el_team_close(bench->team);
    el_free(bench->queries);
    for (size_t i = 0; i < QUERIES; i++) {
        el_str_done(&bench->bytes[i]);
        el_str_done(&bench->answers[i]);
    }
    el_search_delete(bench->root, NAME);
    el_free(bench->root);
    return status;
}

int main(int argc, char **argv) {
    static struct bench bench = {.rows = 200000, .dim = 384, .rounds = 3, .seconds = 1};
    if (argc < 3 || argc > 7 || (argc > 3 && el_parse_i64(argv[3], 1, 1 << 27, &bench.rows) < 0) ||
        (argc > 4 && el_parse_i64(argv[4], 1, EL_VECTOR_MAX_DIM, &bench.dim) < 0) ||
        (argc > 5 && el_parse_i64(argv[5], 1, MOST_ROUNDS, &bench.rounds) < 0) ||
        (argc > 6 && el_parse_f64(argv[6], 0.1, 600, &bench.seconds) < 0)) {
        fprintf(stderr, "usage: bench_queries MODEL_DIR FOLDER [ROWS [DIM [ROUNDS [SECONDS]]]]\n");
        return 2;
    }
    bench.model = argv[1];
    return run(&bench, argv[2]) < 0;
}
