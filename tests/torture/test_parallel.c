// SPDX-License-Identifier: Apache-2.0
// One model on many devices: the same bits as on one, and every text answered once, in its place, though
// devices are lost in the middle. On eight A100 (the fake driver).
//
//     test_parallel [TEXTS [FILTER]]
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/tiny_model.h"
#include "fake/fake_run.h"
#include "service/embed.h"

enum { KINDS = 256, PER_REQUEST = 20, DEADLINE_S = 600 };
static const char eight[] = "cuda:0,cuda:1,cuda:2,cuda:3,cuda:4,cuda:5,cuda:6,cuda:7";

static int text_count = 400 / (SKIP > 1 ? 4 : 1); // SKIP: this build is slow
static char *model;
static char text_bytes[KINDS][64];
static struct el_text kinds[KINDS];
static float expected[KINDS][TINY_HIDDEN]; // of one device

// ---- the texts: all different, and each known by what it must become ----

static void make_kinds(void) {
    static const char *const words[] = {"the", "cat", "dogs", "sat", "on", "a", "mat", "zzz"};
    for (int k = 0; k < KINDS; k++) {
        int used = 0;
        for (int w = 0, rest = k + KINDS; rest > 1; w++, rest /= 8)
            used += snprintf(text_bytes[k] + used, sizeof text_bytes[k] - (size_t)used, "%s%s", w ? " " : "",
                             words[rest % 8]);
        kinds[k] = (struct el_text){text_bytes[k], (size_t)used};
    }
}

static int open_on(const char *devices, struct el_embedder **ret_embedder) {
    const struct el_embedder_options options = {
        .precision = "fp32", .device = devices, .threads = 1, .streams = 2, .batch_tokens = 128};
    return el_embedder_open(model, &options, ret_embedder);
}

// What one device makes of each kind of text; read by the processes that come later.
static const char *expected_path;
static int embed_kinds(void) {
    struct el_embedder *embedder = NULL;
    RUN_TRY(open_on("cuda:0", &embedder));
    RUN_TRY(el_embed(embedder, kinds, KINDS, expected[0]));
    el_embedder_close(embedder);
    FILE *file = fopen(expected_path, "wb");
    RUN_CHECK(file != NULL);
    RUN_CHECK(fwrite(expected, sizeof expected, 1, file) == 1);
    RUN_CHECK(fclose(file) == 0);
    return 0;
}

// ---- many requests at once ----

struct request {
    struct el_embed_request *handle;
    int first, count; // texts
    atomic_int calls;
    int status;
};
static atomic_int wrong;
static sem_t finished;

static void request_done(void *context, struct el_embed_request *handle, int status) {
    struct request *request = context;
    const float *vectors = el_embed_request_vectors(handle);
    request->calls++;
    request->status = status;
    for (int i = 0; i < request->count && status == 0; i++)
        wrong += memcmp(vectors + i * TINY_HIDDEN, expected[(request->first + i) % KINDS],
                        sizeof expected[0]) != 0;
    sem_post(&finished);
}

// Requests of 1 to PER_REQUEST texts; returns how many.
static int submit_all(struct el_embedder *embedder, struct request *requests) {
    int count = 0;
    for (int first = 0; first < text_count; count++) {
        struct request *request = &requests[count];
        struct el_embed_input inputs[PER_REQUEST] = {0};
        request->first = first;
        request->count = EL_MIN(1 + count % PER_REQUEST, text_count - first);
        for (int i = 0; i < request->count; i++)
            inputs[i].text = kinds[(first + i) % KINDS];
        if (el_embed_submit(embedder, inputs, (size_t)request->count, NULL, request_done, request,
                            &request->handle, NULL) < 0)
            return -1;
        first += request->count;
    }
    return count;
}

// The file of failures that hold while it says so.
static char trip_path[] = "/tmp/el-trip-XXXXXX";
static int trip(const char *text) {
    FILE *file = fopen(trip_path, "w");
    RUN_CHECK(file != NULL);
    RUN_CHECK(fputs(text, file) >= 0);
    RUN_CHECK(fclose(file) == 0);
    return 0;
}

// All texts once; something may happen in the middle of them.
static int embed_all_while(struct el_embedder *embedder, const char *happening) {
    el_auto_free struct request *requests = NULL;
    RUN_TRY(el_zalloc((size_t)text_count, sizeof *requests, &requests));
    const int count = submit_all(embedder, requests);
    RUN_CHECK(count > 0);
    if (happening) RUN_CHECK(trip(happening) == 0);
    for (int i = 0; i < count; i++)
        sem_wait(&finished);
    for (int i = 0; i < count; i++) {
        RUN_CHECK(requests[i].calls == 1);
        RUN_CHECK(requests[i].status == 0);
        el_embed_request_close(requests[i].handle);
    }
    RUN_CHECK(wrong == 0);
    return 0;
}

static int embed_all(struct el_embedder *embedder) {
    return embed_all_while(embedder, NULL);
}

static const char *devices;
static int places; // in use at the end

// Until what is to fail has failed: who takes how many batches varies.
static int embed_many(void) {
    struct el_embedder *embedder = NULL;
    struct el_embed_info info;
    alarm(DEADLINE_S);
    sem_init(&finished, 0, 0);
    RUN_TRY(open_on(devices, &embedder));
    do {
        const int code = embed_all(embedder);
        if (code != 0) return code;
        el_embedder_info(embedder, &info);
    } while (info.place_count > places);
    RUN_CHECK(info.place_count == places);
    el_embedder_close(embedder);
    return 0;
}

// Embeds all texts until device 3 is in use, or not, and where it is until it has computed some of them.
static int embed_until(struct el_embedder *embedder, bool in_use) {
    struct el_embed_device before, device;
    el_embedder_device(embedder, 3, &before);
    for (device = before; device.in_use != in_use || (in_use && device.tokens == before.tokens);
         el_embedder_device(embedder, 3, &device)) {
        const int code = embed_all(embedder);
        if (code != 0) return code;
    }
    RUN_CHECK(device.given_up == !in_use);
    return 0;
}

static int noticed;
static void count_notices(void *context, const char *text) {
    (void)context;
    noticed++;
    if (getenv("EL_VERBOSE")) fprintf(stderr, "    %s\n", text);
}

// The fourth of eight GPUs goes and comes, twice, each time in the middle of the texts.
static int embed_while_one_comes_back(void) {
    const struct el_embedder_options options = {.precision = "fp32",
                                                .device = eight,
                                                .threads = 1,
                                                .streams = 2,
                                                .batch_tokens = 128,
                                                .notice = count_notices,
                                                .rejoin_ms = 10,
                                                .rejoin_longest_ms = 100};
    struct el_embedder *embedder = NULL;
    struct el_embed_device device;
    alarm(DEADLINE_S);
    sem_init(&finished, 0, 0);
    RUN_TRY(el_embedder_open(model, &options, &embedder));
    for (int round = 0; round < 2; round++) {
        RUN_CHECK(embed_all_while(embedder, "3 off-the-bus\n") == 0);
        RUN_CHECK(embed_until(embedder, false) == 0);
        RUN_CHECK(embed_all_while(embedder, "") == 0);
        RUN_CHECK(embed_until(embedder, true) == 0);
    }
    el_embedder_device(embedder, 3, &device);
    RUN_CHECK(device.rejoins == 2);
    RUN_CHECK(noticed == 4); // lost and taken back, each time once
    el_embedder_close(embedder);
    return 0;
}

static int prepare(void **state) {
    (void)state;
    static char path[] = "/tmp/el-expected-XXXXXX";
    const struct fake_run run = {.machine = "8xa100-nvlink"};
    int file = mkstemp(path);
    assert_true(file >= 0);
    expected_path = path;
    model = tiny_model_write(EL_F32);
    make_kinds();
    assert_int_equal(run_on_fake(&run, embed_kinds, NULL), 0);
    assert_int_equal(read(file, expected, sizeof expected), sizeof expected);
    close(file);
    unlink(path);
    return 0;
}

static int clean(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

static void run(const char *on, const char *fail, int left) {
    const struct fake_run run = {.machine = "8xa100-nvlink", .fail = fail};
    json_t *report = NULL;
    devices = on;
    places = left;
    assert_int_equal(run_on_fake(&run, embed_many, &report), 0);
    assert_int_equal(run_left(report), 0);
    json_decref(report);
}

static void eight_give_the_bits_of_one(void **state) {
    (void)state;
    run(eight, NULL, 8);
}
static void one_that_is_lost_is_opened_again(void **state) {
    (void)state;
    run(eight, "3:launch:60:lost", 8);
}
static void one_that_is_gone_is_done_without(void **state) {
    (void)state;
    run(eight, "3:launch:60:off-the-bus", 7);
}
static void all_but_one_are_gone(void **state) {
    (void)state;
    run(eight,
        "0:launch:1:off-the-bus,1:copy:44:off-the-bus,2:sync:4:off-the-bus,3:launch:50:off-the-bus,"
        "4:launch:70:off-the-bus,5:launch:90:off-the-bus,6:copy:46:off-the-bus",
        1);
}

static void one_that_comes_back_works_again(void **state) {
    (void)state;
    const struct fake_run run = {.machine = "8xa100-nvlink", .trip = trip_path};
    json_t *report = NULL;
    const int file = mkstemp(trip_path);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(run_on_fake(&run, embed_while_one_comes_back, &report), 0);
    assert_int_equal(run_left(report), 0);
    json_decref(report);
    unlink(trip_path);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_give_the_bits_of_one),
        cmocka_unit_test(one_that_is_lost_is_opened_again),
        cmocka_unit_test(one_that_is_gone_is_done_without),
        cmocka_unit_test(all_but_one_are_gone),
        cmocka_unit_test(one_that_comes_back_works_again),
    };
    if (argc > 1) text_count = (int)strtol(argv[1], NULL, 10);
    if (argc > 2) cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests_name("parallel", tests, prepare, clean);
}
