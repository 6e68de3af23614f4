// SPDX-License-Identifier: Apache-2.0
// `make bench-batch`: what the batcher makes of single texts, of skewed lengths and of a long queue.
//
//     bench_batch MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]
//
// coalescing: 1,000 submitters, each with one text in flight at a time, against the bulk call on the same
// sentences, in turns. skew: 1,000 texts of 8 tokens, alone and with one of 256 among them; the packed floor
// is what the tokens cost at the speed of the 1,000 alone. overload: ten times as many clients at once as a
// short queue has room for; who is refused comes back when he was told to. queue: what an item costs, to put
// and to take, in queues of up to ten million.
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/thread.h"
#include "common/sts.h"
#include "engine/batcher.h"
#include "service/embed.h"

enum {
    SUBMITTERS = 1000,
    MOST_ROUNDS = 64,
    MOST_LATENCIES = 1 << 20,
    SHORT_TEXTS = 1000,
    SHORT_TOKENS = 8,
    LONG_TOKENS = 256,
    QUEUES = 4,
    CHAIN = 512,
    OVERLOAD_TOKENS = 4096,  // that may wait: about 290 sentences
    OVERLOAD_CLIENTS = 2900, // ten times as many
    WARM_UP = 256,
    STRIDE = 1009, // through the sentences, so that any part of them has the lengths of all; coprime
};
static const size_t queue_lengths[QUEUES] = {10000, 100000, 1000000, 10000000};

// Sorts `values`; the share `at` of them lies below what is returned.
static double quantile(double *values, size_t count, double at) {
    el_sort_f64(values, count);
    return count > 0 ? values[(size_t)((double)(count - 1) * at)] : 0;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static double since(uint64_t began_ns) {
    return (double)(el_now_ns() - began_ns) * 1e-9;
}

// ---- coalescing ----

// One of many who ask: a text in flight at a time.
struct submitter {
    struct submitting *all;
    struct el_embed_request *request;
    uint64_t began_ns;
    struct submitter *next; // of those whose text is done
};

struct submitting {
    struct el_embedder *embedder;
    const struct sts *sts;
    struct submitter submitters[SUBMITTERS];
    pthread_mutex_t lock; // guards all below
    pthread_cond_t done_some;
    struct submitter *done;
    int failed;
    double *latencies; // [MOST_LATENCIES]
    size_t answers;
};

static void text_done(void *context, struct el_embed_request *request, int status) {
    struct submitter *submitter = context;
    struct submitting *all = submitter->all;
    (void)request;
    pthread_mutex_lock(&all->lock);
    if (status < 0) all->failed++;
    if (all->answers < MOST_LATENCIES) all->latencies[all->answers] = since(submitter->began_ns);
    all->answers++;
    submitter->next = all->done;
    all->done = submitter;
    pthread_cond_signal(&all->done_some);
    pthread_mutex_unlock(&all->lock);
}

static int submit(struct submitter *submitter, size_t text) {
    const struct submitting *all = submitter->all;
    const struct el_embed_input input = {.text = all->sts->sentence[text * STRIDE % STS_SENTENCES]};
    submitter->began_ns = el_now_ns();
    return el_embed_submit(all->embedder, &input, 1, NULL, text_done, submitter, &submitter->request, NULL);
}

static struct submitter *take_done(struct submitting *all) {
    pthread_mutex_lock(&all->lock);
    while (!all->done)
        pthread_cond_wait(&all->done_some, &all->lock);
    struct submitter *done = all->done;
    all->done = NULL;
    pthread_mutex_unlock(&all->lock);
    return done;
}

// As a server does: one thread hands texts in as others are answered, until the time is over.
static int submit_for(struct submitting *all, double seconds, double *ret_rate, double *texts) {
    const uint64_t began = el_now_ns();
    size_t text = 0, flying = SUBMITTERS;
    all->answers = 0;
    for (size_t i = 0; i < SUBMITTERS; i++) {
        all->submitters[i] = (struct submitter){.all = all};
        EL_TRY(submit(&all->submitters[i], text++));
    }
    while (flying > 0) {
        struct submitter *next;
        for (struct submitter *done = take_done(all); done; done = next) {
            next = done->next;
            el_embed_request_close(done->request);
            if (since(began) < seconds)
                EL_TRY(submit(done, text++));
            else
                flying--;
        }
    }
    *ret_rate = (double)text / since(began);
    *texts += (double)text;
    return all->failed ? el_fail(EL_EIO, "%d texts failed", all->failed) : 0;
}

static int bulk_for(const struct submitting *all, double seconds, float *vectors, double *ret_rate,
                    double *texts) {
    const uint64_t began = el_now_ns();
    double done = 0;
    while (since(began) < seconds) {
        EL_TRY(el_embed(all->embedder, all->sts->sentence, STS_SENTENCES, vectors));
        done += STS_SENTENCES;
    }
    *ret_rate = done / since(began);
    *texts += done;
    return 0;
}

struct coalescing {
    double bulk, single, ratio;      // texts a second; medians
    double bulk_cpu_s, single_cpu_s; // processor seconds a text, over all rounds
    double p50_s, p99_s;             // of the last round
};

static int measure_coalescing(struct submitting *all, int rounds, double seconds, struct coalescing *ret) {
    double bulk[MOST_ROUNDS], single[MOST_ROUNDS], ratio[MOST_ROUNDS];
    el_auto_free float *vectors = NULL;
    EL_TRY(el_alloc(STS_SENTENCES, (size_t)el_embedder_dim(all->embedder) * sizeof *vectors, &vectors));
    double texts[2] = {0}, cpu[2] = {0};
    for (int i = 0; i < rounds; i++) {
        const double began = cpu_seconds();
        EL_TRY(bulk_for(all, seconds, vectors, &bulk[i], &texts[0]));
        const double between = cpu_seconds();
        EL_TRY(submit_for(all, seconds, &single[i], &texts[1]));
        cpu[0] += between - began;
        cpu[1] += cpu_seconds() - between;
        ratio[i] = single[i] / bulk[i];
    }
    const size_t answers = EL_MIN(all->answers, (size_t)MOST_LATENCIES);
    *ret = (struct coalescing){.bulk = quantile(bulk, (size_t)rounds, 0.5),
                               .single = quantile(single, (size_t)rounds, 0.5),
                               .ratio = quantile(ratio, (size_t)rounds, 0.5),
                               .bulk_cpu_s = cpu[0] / texts[0],
                               .single_cpu_s = cpu[1] / texts[1],
                               .p50_s = quantile(all->latencies, answers, 0.5),
                               .p99_s = quantile(all->latencies, answers, 0.99)};
    return 0;
}

// ---- overload ----

// One who wants one text embedded, and comes back when he is told to.
struct client {
    struct submitter submitter; // first: text_done hands it out
    struct el_promise promise;  // as a connection of the server keeps it
    uint64_t due_ns;
    bool flying, told;
};

struct overload {
    double refused, kept; // requests; those among them who had room when they came back
    double back;          // who came back within the time
    double rate;          // texts a second
};

static int ask(struct client *client, size_t *text, struct overload *overload) {
    int64_t retry_ms = 0;
    const struct submitting *all = client->submitter.all;
    const struct el_embed_input input = {.text = all->sts->sentence[*text * STRIDE % STS_SENTENCES]};
    const struct el_embed_options options = {.promise = &client->promise};
    client->submitter.began_ns = el_now_ns();
    int status = el_embed_submit(all->embedder, &input, 1, &options, text_done, &client->submitter,
                                 &client->submitter.request, &retry_ms);
    if (status < 0 && status != EL_EBUSY) return status;
    overload->refused += status == EL_EBUSY;
    overload->back += client->told;
    overload->kept += status == 0 && client->told;
    client->told = status == EL_EBUSY;
    client->flying = status == 0;
    client->due_ns = client->submitter.began_ns + (uint64_t)retry_ms * 1000000u;
    *text += status == 0;
    return 0;
}

// Returns how many were answered.
static size_t land(struct submitting *all) {
    pthread_mutex_lock(&all->lock);
    struct submitter *next, *done = all->done;
    all->done = NULL;
    pthread_mutex_unlock(&all->lock);
    size_t answered = 0;
    for (; done; done = next, answered++) {
        next = done->next;
        el_embed_request_close(done->request);
    }
    return answered;
}

// All come at once; ends when the last is answered.
static int burst(struct submitting *all, struct client *clients, size_t *text, struct overload *overload) {
    for (size_t i = 0; i < OVERLOAD_CLIENTS; i++)
        clients[i] = (struct client){.submitter = {.all = all}};
    for (size_t answered = 0; answered < OVERLOAD_CLIENTS; answered += land(all)) {
        for (size_t i = 0; i < OVERLOAD_CLIENTS; i++)
            if (!clients[i].flying && clients[i].due_ns <= el_now_ns())
                EL_TRY(ask(&clients[i], text, overload));
        usleep(500);
    }
    return 0;
}

static int overload_for(struct submitting *all, double seconds, struct overload *ret) {
    static struct client clients[OVERLOAD_CLIENTS];
    struct overload overload = {0};
    const uint64_t began = el_now_ns();
    size_t text = 0;
    while (since(began) < seconds)
        EL_TRY(burst(all, clients, &text, &overload));
    overload.rate = (double)text / since(began);
    *ret = overload;
    return 0;
}

// ---- skewed lengths ----

static void skew_done(void *context, struct el_embed_request *request, int status) {
    struct submitting *all = context;
    (void)request;
    pthread_mutex_lock(&all->lock);
    if (status < 0) all->failed++;
    all->answers++;
    pthread_cond_signal(&all->done_some);
    pthread_mutex_unlock(&all->lock);
}

// Seconds for the short texts and, behind them, `longs` long ones.
static int embed_skewed(struct submitting *all, size_t longs, double *ret_seconds) {
    static int32_t ids[LONG_TOKENS];
    struct el_embed_input inputs[SHORT_TEXTS + 1];
    struct el_embed_request *request = NULL;
    for (int i = 0; i < LONG_TOKENS; i++)
        ids[i] = 1000 + i;
    for (size_t i = 0; i < SHORT_TEXTS + longs; i++)
        inputs[i] =
            (struct el_embed_input){.ids = ids, .id_count = i < SHORT_TEXTS ? SHORT_TOKENS : LONG_TOKENS};
    all->answers = 0;
    const uint64_t began = el_now_ns();
    EL_TRY(el_embed_submit(all->embedder, inputs, SHORT_TEXTS + longs, NULL, skew_done, all, &request, NULL));
    pthread_mutex_lock(&all->lock);
    while (all->answers == 0)
        pthread_cond_wait(&all->done_some, &all->lock);
    pthread_mutex_unlock(&all->lock);
    *ret_seconds = since(began);
    el_embed_request_close(request);
    return all->failed ? el_fail(EL_EIO, "%d requests failed", all->failed) : 0;
}

struct skew {
    double short_s, skewed_s; // medians
    double over_floor;        // median of skewed / floor
};

static int measure_skew(struct submitting *all, int rounds, struct skew *ret) {
    const double tokens = SHORT_TEXTS * SHORT_TOKENS;
    double uniform[MOST_ROUNDS], skewed[MOST_ROUNDS], ratio[MOST_ROUNDS];
    for (int i = 0; i < rounds; i++) {
        EL_TRY(embed_skewed(all, 0, &uniform[i]));
        EL_TRY(embed_skewed(all, 1, &skewed[i]));
        ratio[i] = skewed[i] / (uniform[i] * (tokens + LONG_TOKENS) / tokens);
    }
    *ret = (struct skew){.short_s = quantile(uniform, (size_t)rounds, 0.5),
                         .skewed_s = quantile(skewed, (size_t)rounds, 0.5),
                         .over_floor = quantile(ratio, (size_t)rounds, 0.5)};
    return 0;
}

// ---- a long queue ----

static int run_nothing(void *context, const struct el_batch_worker *worker, const struct el_batch *batch,
                       float *vectors) {
    (void)context, (void)worker;
    memset(vectors, 0, (size_t)batch->seqs.count * sizeof *vectors);
    return 0;
}

static void sequence_done(struct el_sequence *sequence, int status) {
    (void)sequence, (void)status;
}

struct queue_cost {
    double put_ns, take_ns; // an item
    double bytes;           // of the batcher's own memory, an item
};

// Puts all while the worker waits for more, then lets it work.
static int measure_queue(struct el_sequence *items, size_t count, struct queue_cost *ret) {
    static const struct el_batch_group group = {.workers = 1};
    static const int32_t id = 1;
    static float vector;
    const struct el_batcher_options options = {.groups = &group,
                                               .group_count = 1,
                                               .dim = 1,
                                               .run = run_nothing,
                                               .done = sequence_done,
                                               .wait_us = 3600 * 1000000ll};
    struct el_batcher *batcher = NULL;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct el_sequence){.ids = &id,
                                        .count = 1,
                                        .vector = &vector,
                                        .next = (i + 1) % CHAIN && i + 1 < count ? &items[i + 1] : NULL};
    EL_TRY(el_batcher_open(&options, &batcher));
    el_batcher_resize(batcher, 0, 1, INT64_MAX); // waits for so many tokens
    const size_t before = mallinfo2().uordblks;
    uint64_t began = el_now_ns();
    for (size_t i = 0; i < count; i += CHAIN) {
        const size_t length = EL_MIN(count - i, (size_t)CHAIN);
        EL_TRY(el_batcher_put(batcher, EL_LANE_BULK, &items[i], length, (int64_t)length));
    }
    ret->put_ns = since(began) * 1e9 / (double)count;
    ret->bytes = (double)(mallinfo2().uordblks - before) / (double)count;
    began = el_now_ns();
    el_batcher_resize(batcher, 0, 1, CHAIN);
    el_batcher_close(batcher); // finishes what is queued
    ret->take_ns = since(began) * 1e9 / (double)count;
    return 0;
}

static int measure_queues(struct queue_cost costs[QUEUES]) {
    el_auto_free struct el_sequence *items = NULL;
    EL_TRY(el_alloc(queue_lengths[QUEUES - 1], sizeof *items, &items));
    memset(items, 1, queue_lengths[QUEUES - 1] * sizeof *items); // its pages are there
    for (int i = 0; i < QUEUES; i++)
        EL_TRY(measure_queue(items, queue_lengths[i], &costs[i]));
    return 0;
}

// ---- telling ----

static void tell(const char *precision, const struct coalescing *c, const struct skew *skew,
                 const struct overload *overload, const struct queue_cost costs[QUEUES]) {
    printf(
        "bulk %.0f texts/s, %.0f us of processor a text; %d single submitters %.0f texts/s, %.1f %% of it, "
        "%.0f us, p50 %.1f ms, p99 %.1f ms\n",
        c->bulk, 1e6 * c->bulk_cpu_s, SUBMITTERS, c->single, 100 * c->ratio, 1e6 * c->single_cpu_s,
        1e3 * c->p50_s, 1e3 * c->p99_s);
    printf("%d texts of %d tokens: %.1f ms; with one of %d: %.1f ms, %.1f %% over the packed floor\n",
           SHORT_TEXTS, SHORT_TOKENS, 1e3 * skew->short_s, LONG_TOKENS, 1e3 * skew->skewed_s,
           100 * (skew->over_floor - 1));
    printf(
        "%d clients at a queue of %d tokens: %.0f texts/s, %.0f refused; of those who came back %.1f %% had "
        "room\n",
        OVERLOAD_CLIENTS, OVERLOAD_TOKENS, overload->rate, overload->refused,
        100 * overload->kept / overload->back);
    for (int i = 0; i < QUEUES; i++)
        printf("%8zu queued: %.0f ns to put, %.0f ns to take, %.3f bytes of the batcher's, an item\n",
               queue_lengths[i], costs[i].put_ns, costs[i].take_ns, costs[i].bytes);
    printf("{\"bench\":\"batch\",\"unit\":\"texts/s\",\"precision\":\"%s\",\"ours\":%.1f,"
           "\"peers\":{\"bulk\":%.1f},\"ratio_vs_best\":%.4f,\"share_of_limit\":%.4f,"
           "\"cpu_ratio\":%.4f,\"submitters\":%d,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"skew_over_floor\":%.4f,"
           "\"overload\":{\"rate\":%.1f,\"refused\":%.0f,\"promises_kept\":%.4f},\"queue\":{",
           precision, c->single, c->bulk, c->ratio, c->ratio, c->bulk_cpu_s / c->single_cpu_s, SUBMITTERS,
           1e3 * c->p50_s, 1e3 * c->p99_s, skew->over_floor, overload->rate, overload->refused,
           overload->kept / overload->back);
    for (int i = 0; i < QUEUES; i++)
        printf("%s\"%zu\":{\"put_ns\":%.1f,\"take_ns\":%.1f,\"bytes\":%.4f}", i ? "," : "", queue_lengths[i],
               costs[i].put_ns, costs[i].take_ns, costs[i].bytes);
    printf("}}\n");
}

static int warm_up(const struct submitting *all) {
    el_auto_free float *vectors = NULL;
    EL_TRY(el_alloc(WARM_UP, (size_t)el_embedder_dim(all->embedder) * sizeof *vectors, &vectors));
    return el_embed(all->embedder, all->sts->sentence, WARM_UP, vectors);
}

// On an embedder of its own, with a short queue.
static int measure_overload(const struct submitting *all, const char *model, const char *precision,
                            double seconds, struct overload *ret) {
    static struct submitting busy = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                     .done_some = PTHREAD_COND_INITIALIZER};
    const struct el_embedder_options options = {.precision = precision, .queue_tokens = OVERLOAD_TOKENS};
    busy.sts = all->sts;
    busy.latencies = all->latencies;
    EL_TRY(el_embedder_open(model, &options, &busy.embedder));
    int status = warm_up(&busy); // its speed is known then
    if (status == 0) status = overload_for(&busy, seconds, ret);
    el_embedder_close(busy.embedder);
    return status;
}

static int bench(struct submitting *all, const char *model, const char *precision, int rounds,
                 double seconds) {
    struct overload overload = {0};
    struct coalescing coalescing = {0};
    struct skew skew = {0};
    struct queue_cost costs[QUEUES] = {0};
    EL_TRY(measure_coalescing(all, rounds, seconds, &coalescing));
    EL_TRY(measure_skew(all, rounds, &skew));
    EL_TRY(measure_overload(all, model, precision, rounds * seconds, &overload));
    EL_TRY(measure_queues(costs));
    tell(precision, &coalescing, &skew, &overload, costs);
    return 0;
}

int main(int argc, char **argv) {
    static struct sts sts;
    static struct submitting all = {.lock = PTHREAD_MUTEX_INITIALIZER, .done_some = PTHREAD_COND_INITIALIZER};
    const struct el_embedder_options options = {.precision = argc > 3 ? argv[3] : "auto"};
    const int rounds = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 5;
    const double seconds = argc > 5 ? strtod(argv[5], NULL) : 2;
    if (argc < 3 || rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: bench_batch MODEL_DIR STS_CSV [PRECISION [ROUNDS [SECONDS]]]\n");
        return 2;
    }
    if (!sts_read(argv[2], &sts)) return 1;
    all.sts = &sts;
    int status = el_alloc(MOST_LATENCIES, sizeof *all.latencies, &all.latencies);
    if (status == 0) status = el_embedder_open(argv[1], &options, &all.embedder);
    if (status == 0) status = bench(&all, argv[1], options.precision, rounds, seconds);
    if (status < 0) fprintf(stderr, "bench_batch: %s\n", el_error_detail());
    el_embedder_close(all.embedder);
    el_free(all.latencies);
    sts_done(&sts);
    return status < 0;
}
