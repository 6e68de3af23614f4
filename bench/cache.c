// SPDX-License-Identifier: Apache-2.0
// The embedding cache: what a hit and a miss cost, alone and on several threads; the share of texts that
// S3-FIFO finds beside LRU; and, with a model, what a hit saves. The last line is one JSON object.
//
//     bench_cache [MODEL_DIR STS_CSV]
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/thread.h"
#include "common/sts.h"
#include "engine/cache.h"
#include "service/embed.h"
#include "trace.h"

enum {
    DIM = 384,
    TEXT_BYTES = 64,
    OPS = 100000,
    REPEATS = 9,
    KEPT = 20000,
    THREADS_MAX = 4,
    ROUNDS = 200,
    TEXTS = 1000000
};
static const size_t limit = (size_t)64 << 20;

// Fails the program: a bench has nothing to go on with.
static void or_exit(int status) {
    if (status == 0) return;
    fprintf(stderr, "bench_cache: %s: %s\n", el_status_text(status), el_error_detail());
    exit(1);
}

// ---- the cost of a call ----

static struct el_hash128 key_of(const struct el_cache *cache, uint64_t number) {
    char text[TEXT_BYTES] = "a sentence of some length, as users write them; it has number ";
    struct el_siphash hash;
    memcpy(text, &number, sizeof number);
    el_cache_key_init(cache, EL_CACHE_TEXT, &hash);
    el_siphash_add(&hash, text, sizeof text);
    return el_siphash_end(&hash);
}

// As a request asks. True: it was kept.
static bool ask(struct el_cache *cache, uint64_t number) {
    float vector[DIM] = {0};
    int64_t tokens;
    struct el_cache_claim claim = {.key = key_of(cache, number)};
    if (el_cache_get(cache, &claim.key, vector, &tokens)) return true;
    if (el_cache_claim(cache, &claim, vector) == EL_CACHE_LEADS) el_cache_settle(cache, &claim, vector, 12);
    return false;
}

static double ns_of_key(const struct el_cache *cache) {
    uint64_t sum = 0;
    const uint64_t began = el_now_ns();
    for (uint64_t i = 0; i < OPS; i++)
        sum += key_of(cache, i).word[0];
    const double ns = (double)(el_now_ns() - began) / OPS;
    return sum == 1 ? 0 : ns; // sum is used, so the loop stays
}

// Asks for `count` texts from `first` on, by turns through `range` of them.
static double ns_of_asking(struct el_cache *cache, uint64_t first, uint64_t range, uint64_t *ret_hits) {
    uint64_t hits = 0;
    const uint64_t began = el_now_ns();
    for (uint64_t i = 0; i < OPS; i++)
        hits += ask(cache, first + i * 7919 % range);
    *ret_hits = hits;
    return (double)(el_now_ns() - began) / OPS;
}

struct client {
    pthread_t thread;
    struct el_cache *cache;
    uint64_t hits;
};

static void *run_client(void *context) {
    struct client *client = context;
    ns_of_asking(client->cache, 0, KEPT, &client->hits);
    return NULL;
}

// Hits a second of so many threads at once.
static double hits_per_second(struct el_cache *cache, int threads) {
    struct client client[THREADS_MAX];
    uint64_t hits = 0;
    const uint64_t began = el_now_ns();
    for (int i = 0; i < threads; i++) {
        client[i] = (struct client){.cache = cache};
        pthread_create(&client[i].thread, NULL, run_client, &client[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(client[i].thread, NULL);
        hits += client[i].hits;
    }
    return (double)hits * 1e9 / (double)(el_now_ns() - began);
}

// Best of REPEATS each: others use this machine too.
struct call_figures {
    double key_ns, hit_ns, miss_ns; // the last two with the key
    double hits_per_s[THREADS_MAX + 1];
};

static struct call_figures measure_calls(void) {
    struct el_cache *cache = NULL;
    struct call_figures figures = {.key_ns = INFINITY, .hit_ns = INFINITY, .miss_ns = INFINITY};
    uint64_t hits = 0;
    or_exit(el_cache_open(limit, DIM, &cache));
    for (uint64_t i = 0; i < KEPT; i++)
        ask(cache, i);
    for (int r = 0; r < REPEATS; r++) {
        figures.key_ns = fmin(figures.key_ns, ns_of_key(cache));
        figures.hit_ns = fmin(figures.hit_ns, ns_of_asking(cache, 0, KEPT, &hits));
        if (hits != OPS) or_exit(el_fail(EL_EINVAL, "hits were misses"));
        for (int threads = 1; threads <= THREADS_MAX; threads *= 2)
            figures.hits_per_s[threads] = fmax(figures.hits_per_s[threads], hits_per_second(cache, threads));
    }
    for (uint64_t r = 0; r < REPEATS; r++) { // the first fills it
        figures.miss_ns = fmin(figures.miss_ns, ns_of_asking(cache, KEPT + r * OPS, OPS, &hits));
        if (hits != 0) or_exit(el_fail(EL_EINVAL, "misses were hits"));
    }
    el_cache_close(cache);
    printf("# a key of %d bytes takes %.0f ns; a hit with it %.0f ns, a miss in a full cache %.0f ns\n",
           TEXT_BYTES, figures.key_ns, figures.hit_ns, figures.miss_ns);
    for (int threads = 1; threads <= THREADS_MAX; threads *= 2)
        printf("# %d threads: %.2f million hits a second\n", threads, figures.hits_per_s[threads] * 1e-6);
    return figures;
}

// ---- what is found ----

enum { TRACES = 4, SIZES = 3 };
static const struct trace_plan plans[TRACES] = {
    {.texts = TEXTS, .skew = 0.7, .length = 2 * TEXTS},
    {.texts = TEXTS, .skew = 0.9, .length = 2 * TEXTS},
    {.texts = TEXTS, .skew = 1.1, .length = 2 * TEXTS},
    {.texts = TEXTS, .skew = 0.9, .once = 0.2, .length = 2 * TEXTS},
};
static const double sizes[SIZES] = {0.001, 0.01, 0.1}; // of TEXTS

struct share {
    double s3fifo, lru;
};

static void measure_shares(struct share shares[TRACES][SIZES]) {
    printf("# skew, texts that come once, places: share found by S3-FIFO, by LRU\n");
    for (int t = 0; t < TRACES; t++) {
        struct trace trace;
        or_exit(trace_open(&plans[t], &trace));
        for (int s = 0; s < SIZES; s++) {
            const uint32_t places = (uint32_t)(sizes[s] * TEXTS);
            struct share *share = &shares[t][s];
            or_exit(trace_replay_s3fifo(&trace, places, &share->s3fifo));
            or_exit(trace_replay_lru(&trace, places, &share->lru));
            printf("# %.1f, %2.0f %%, %6" PRIu32 ": %.3f %.3f\n", plans[t].skew, plans[t].once * 100, places,
                   share->s3fifo, share->lru);
        }
        trace_done(&trace);
    }
}

// ---- with a model ----

struct model_figures {
    double computed_us, hit_us; // one text, median
    double bulk_us;             // a text of many, best of three
};

static double one_text_us(struct el_embedder *embedder, const struct el_text *text, float *vector) {
    double us[ROUNDS];
    or_exit(el_embed(embedder, text, 1, vector)); // warm, and kept
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t began = el_now_ns();
        or_exit(el_embed(embedder, text, 1, vector));
        us[i] = (double)(el_now_ns() - began) * 1e-3;
    }
    el_sort_f64(us, ROUNDS);
    return us[ROUNDS / 2];
}

static struct model_figures measure_model(const char *path, const struct sts *sts) {
    const struct el_embedder_options plain = {0}, cached = {.cache_mb = 64};
    struct el_embedder *embedder = NULL;
    struct model_figures figures;
    el_auto_free float *vectors = NULL;
    or_exit(el_embedder_open(path, &plain, &embedder));
    or_exit(el_alloc(STS_SENTENCES, (size_t)el_embedder_dim(embedder) * sizeof *vectors, &vectors));
    figures.computed_us = one_text_us(embedder, &sts->sentence[0], vectors);
    figures.bulk_us = INFINITY;
    for (int r = 0; r < 3; r++) {
        const uint64_t began = el_now_ns();
        or_exit(el_embed(embedder, sts->sentence, STS_SENTENCES, vectors));
        figures.bulk_us = fmin(figures.bulk_us, (double)(el_now_ns() - began) * 1e-3 / STS_SENTENCES);
    }
    el_embedder_close(embedder);
    or_exit(el_embedder_open(path, &cached, &embedder));
    figures.hit_us = one_text_us(embedder, &sts->sentence[0], vectors);
    el_embedder_close(embedder);
    printf("# one text: computed %.1f us, found %.2f us; one of many: computed in %.1f us\n",
           figures.computed_us, figures.hit_us, figures.bulk_us);
    return figures;
}

// ---- the last line ----

static void print_shares(struct share shares[TRACES][SIZES]) {
    printf(",\"traces\":[");
    for (int t = 0; t < TRACES; t++)
        for (int s = 0; s < SIZES; s++)
            printf("%s{\"skew\":%.1f,\"once\":%.1f,\"places\":%.0f,\"ours\":{\"s3fifo\":%.4f},"
                   "\"peers\":{\"lru\":%.4f},\"ratio_vs_best\":%.3f}",
                   t + s ? "," : "", plans[t].skew, plans[t].once, sizes[s] * TEXTS, shares[t][s].s3fifo,
                   shares[t][s].lru, shares[t][s].s3fifo / shares[t][s].lru);
    printf("]");
}

int main(int argc, char **argv) {
    static struct sts sts;
    static struct share shares[TRACES][SIZES];
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: bench_cache [MODEL_DIR STS_CSV]\n");
        return 2;
    }
    const bool has_model = argc == 3 && sts_read(argv[2], &sts);
    const struct call_figures calls = measure_calls();
    struct model_figures model = {0};
    measure_shares(shares);
    if (has_model) model = measure_model(argv[1], &sts);
    printf("{\"bench\":\"cache\",\"cores\":%d,\"key_ns\":%.1f,\"hit_ns\":%.1f,\"miss_ns\":%.1f",
           el_cpu_count(), calls.key_ns, calls.hit_ns, calls.miss_ns);
    for (int threads = 1; threads <= THREADS_MAX; threads *= 2)
        printf("%s\"%d\":%.0f", threads == 1 ? ",\"hits_per_s_by_threads\":{" : ",", threads,
               calls.hits_per_s[threads]);
    printf("}");
    print_shares(shares);
    if (has_model)
        printf(",\"text_us\":{\"computed\":%.1f,\"found\":%.2f,\"computed_in_bulk\":%.1f},\"speed_up\":%.0f,"
               "\"miss_of_compute\":%.6f",
               model.computed_us, model.hit_us, model.bulk_us, model.computed_us / model.hit_us,
               calls.miss_ns * 1e-3 / model.bulk_us);
    printf("}\n");
    if (has_model) sts_done(&sts);
    return 0;
}
