// SPDX-License-Identifier: Apache-2.0
// What every back-end must do, whichever it is: `test_backend NAME` runs the suite on its first device, and
// exits with 77 (skipped) where its driver is not there. The mathematics of the kernels is
// tests/unit/kernels' subject; here a few are launched to see that arguments, groups and order arrive.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/device.h"
#include "device/pool.h"
#include "kernels/canary.h"

enum { SKIPPED = 77, LANES = 256 };

static const char *backend_name;
static struct el_device *device; // open while a test runs

#define assert_ok(call) assert_status(call, #call, __LINE__)
static void assert_status(int status, const char *call, int line) {
    if (status < 0) fail_msg("line %d: %s: %s: %s", line, call, el_status_text(status), el_error_detail());
}

static int open_device(void **state) {
    (void)state;
    return el_device_open(backend_name, 0, NULL, &device);
}

// A test that failed has left buffers, with which a device must not be closed.
static int close_device(void **state) {
    (void)state;
    struct el_pool_stats stats;
    el_pool_stats(device->pool, &stats);
    if (stats.live > 0) return -1;
    el_device_close(device);
    return 0;
}

static bool is_host(void) {
    return el_device_is_host(device);
}

static uint32_t draw(uint32_t *seed) { // xorshift32 (Marsaglia 2003)
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static size_t draw_below(uint32_t *seed, size_t end) {
    return draw(seed) % end;
}

static void draw_bytes(uint32_t *seed, uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(draw(seed) >> 24);
}

// ---- devices ----

static void devices_open_side_by_side(void **state) {
    (void)state;
    struct el_device *first = NULL, *second = NULL;
    for (int order = 0; order < 2; order++) {
        assert_ok(el_device_open(backend_name, 0, NULL, &first));
        assert_ok(el_device_open(backend_name, 0, NULL, &second));
        assert_string_equal(first->facts.name, second->facts.name);
        el_device_close(order ? first : second);
        struct el_buffer buffer; // the other one goes on
        assert_ok(el_buffer_open(order ? second : first, 100, &buffer));
        el_buffer_close(&buffer);
        el_device_close(order ? second : first);
    }
}

static void a_device_that_is_not_there_is_refused(void **state) {
    (void)state;
    int count = 0;
    assert_ok(el_backend_find(backend_name)->count(&count));
    assert_true(count >= 1);
    const int bad[] = {-1, count, 1000};
    for (size_t i = 0; i < EL_COUNT(bad); i++) {
        struct el_device *none = NULL;
        char id[32];
        snprintf(id, sizeof id, "%s:%d", strcmp(backend_name, "host") == 0 ? "cpu" : backend_name, bad[i]);
        assert_int_equal(el_device_open(backend_name, bad[i], NULL, &none), EL_ENOENT);
        assert_null(none);
        assert_non_null(strstr(el_error_detail(), id));
    }
}

static void facts_are_sane(void **state) {
    (void)state;
    const struct el_device_facts *facts = &device->facts;
    struct el_device_facts again;
    uint64_t total = 0, free_bytes = 0;
    assert_ok(device->backend->describe(0, &again));
    assert_string_equal(facts->name, again.name);
    assert_true(strlen(facts->name) > 0);
    assert_true(is_host() || strlen(facts->driver) > 0);
    assert_true(facts->units >= 1 && facts->memory >= 1 << 20);
    if (facts->uuid[0])
        assert_int_equal(strlen(facts->uuid), strlen("GPU-00000000-0000-0000-0000-000000000000"));
    if (facts->pci[0]) assert_int_equal(strlen(facts->pci), strlen("0000:3b:00.0"));
    assert_ok(device->backend->memory(device, &total, &free_bytes));
    assert_true(total == facts->memory && free_bytes <= total && free_bytes > 0);
}

// ---- memory ----

// Allocations of the driver's own, all at once, each full of its own bytes: none overlaps another.
static void allocations_are_apart(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 511, 512, 513, 4095, 4097, 1000003, 8 << 20};
    uint8_t *address[EL_COUNT(sizes)], *bytes[EL_COUNT(sizes)], *back = NULL;
    uint32_t seed = 1;
    struct el_stream stream;
    assert_ok(el_stream_open(device, &stream));
    for (size_t i = 0; i < EL_COUNT(sizes); i++) {
        void *p = NULL;
        assert_ok(device->backend->alloc(device, sizes[i], &p));
        address[i] = p;
        if (!is_host()) assert_true((uintptr_t)p % EL_DEVICE_ALIGN == 0);
        assert_ok(el_alloc(sizes[i], 1, &bytes[i]));
        draw_bytes(&seed, bytes[i], sizes[i]);
        assert_ok(el_stream_upload(&stream, p, bytes[i], sizes[i]));
    }
    assert_ok(el_alloc(8 << 20, 1, &back));
    for (size_t i = 0; i < EL_COUNT(sizes); i++) {
        assert_ok(el_stream_download(&stream, back, address[i], sizes[i]));
        assert_ok(el_stream_sync(&stream));
        assert_memory_equal(back, bytes[i], sizes[i]);
        device->backend->free(device, address[i]);
        el_free(bytes[i]);
    }
    el_free(back);
    el_stream_close(&stream);
}

static void nothing_is_a_buffer_too(void **state) {
    (void)state;
    struct el_buffer none = {0}, empty;
    struct el_stream stream;
    uint8_t byte = 7;
    el_buffer_close(&none);
    assert_ok(el_buffer_open(device, 0, &empty));
    assert_ok(el_stream_open(device, &stream));
    assert_ok(el_stream_upload(&stream, empty.address, &byte, 0));
    assert_ok(el_stream_copy(&stream, empty.address, empty.address, 0));
    assert_ok(el_stream_download(&stream, &byte, empty.address, 0));
    assert_ok(el_stream_sync(&stream));
    assert_int_equal(byte, 7);
    el_stream_close(&stream);
    el_buffer_close(&empty);
}

// Two buffers and their likeness in plain memory, under the same random uploads, copies and downloads: any
// offset, any size, nothing beside it touched.
static void copies_go_where_they_should(void **state) {
    (void)state;
    enum { SIZE = 5000, STEPS = 400 };
    static uint8_t likeness[2][SIZE], host[STEPS][64], back[2][SIZE];
    uint32_t seed = 2;
    struct el_buffer buffer[2];
    struct el_stream stream;
    assert_ok(el_stream_open(device, &stream));
    for (int i = 0; i < 2; i++) {
        assert_ok(el_buffer_open(device, SIZE, &buffer[i]));
        draw_bytes(&seed, likeness[i], SIZE);
        assert_ok(el_stream_upload(&stream, buffer[i].address, likeness[i], SIZE));
    }
    assert_ok(el_stream_sync(&stream)); // `likeness` changes from here on
    for (int step = 0; step < STEPS; step++) {
        const size_t size = 1 + draw_below(&seed, sizeof host[0]), half = SIZE / 2;
        const size_t from = draw_below(&seed, half - size), to = half + draw_below(&seed, half - size);
        const size_t a = draw(&seed) % 2, b = draw(&seed) % 2;
        uint8_t *source = (uint8_t *)buffer[a].address + from, *target = (uint8_t *)buffer[b].address + to;
        if (step % 3) {
            assert_ok(el_stream_copy(&stream, target, source, size));
            memcpy(likeness[b] + to, likeness[a] + from, size);
        } else {
            draw_bytes(&seed, host[step], size);
            assert_ok(el_stream_upload(&stream, source, host[step], size));
            memcpy(likeness[a] + from, host[step], size);
        }
    }
    for (int i = 0; i < 2; i++) // in pieces: the front, the rest
        for (int piece = 0; piece < 2; piece++) {
            const size_t at = piece ? 1237 : 0, size = piece ? SIZE - 1237 : 1237;
            assert_ok(el_stream_download(&stream, back[i] + at, (uint8_t *)buffer[i].address + at, size));
        }
    assert_ok(el_stream_sync(&stream));
    assert_memory_equal(back, likeness, sizeof back);
    el_buffer_close(&buffer[0]);
    el_stream_close(&stream);
    el_buffer_close(&buffer[1]);
}

static void pinned_memory_is_host_memory(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4097, 1 << 20};
    struct el_stream stream;
    assert_ok(el_stream_open(device, &stream));
    for (size_t i = 0; i < EL_COUNT(sizes); i++) {
        const size_t size = sizes[i];
        void *from = NULL, *to = NULL;
        struct el_buffer buffer;
        uint32_t seed = 3;
        assert_ok(device->backend->alloc_pinned(device, size, &from));
        assert_ok(device->backend->alloc_pinned(device, size, &to));
        assert_ok(el_buffer_open(device, size, &buffer));
        draw_bytes(&seed, from, size);
        memset(to, 0, size);
        assert_ok(el_stream_upload(&stream, buffer.address, from, size));
        assert_ok(el_stream_download(&stream, to, buffer.address, size));
        assert_ok(el_stream_sync(&stream));
        assert_memory_equal(from, to, size);
        device->backend->free_pinned(device, from);
        device->backend->free_pinned(device, to);
        el_buffer_close(&buffer);
    }
    el_stream_close(&stream);
}

static void what_does_not_fit_is_recoverable(void **state) {
    (void)state;
    void *piece[64], *p = NULL;
    int count = 0, status = 0;
    const size_t size = (size_t)(device->facts.memory / 12);
    assert_int_equal(device->backend->alloc(device, SIZE_MAX, &p), EL_ENOMEM);
    assert_null(p);
    assert_non_null(strstr(el_error_detail(), "18446744073709551615"));
    if (is_host()) return; // the system promises more than there is, and the test shall not take it
    while (count < (int)EL_COUNT(piece) &&
           (status = device->backend->alloc(device, size, &piece[count])) == 0)
        count++;
    assert_int_equal(status, EL_ENOMEM);
    assert_true(count > 0);
    device->backend->free(device, piece[--count]);
    assert_ok(device->backend->alloc(device, size, &piece[count]));
    count++;
    while (count > 0)
        device->backend->free(device, piece[--count]);
    assert_ok(device->backend->alloc(device, size, &p));
    device->backend->free(device, p);
}

// ---- streams and events ----

// One stream writes, the other reads what it wrote, round after round over the same bytes: each wait that
// does not hold lets a wrong value through.
static void streams_wait_for_events(void **state) {
    (void)state;
    enum { ROUNDS = 40, SIZE = 1 << 18 };
    static uint8_t in[ROUNDS][64], out[ROUNDS][64];
    struct el_buffer wide, narrow;
    struct el_stream writer, reader;
    struct el_event written, read;
    uint32_t seed = 4;
    assert_ok(el_buffer_open(device, SIZE, &wide));
    assert_ok(el_buffer_open(device, SIZE, &narrow));
    assert_ok(el_stream_open(device, &writer));
    assert_ok(el_stream_open(device, &reader));
    assert_ok(el_event_open(device, &written));
    assert_ok(el_event_open(device, &read));
    uint8_t *end = (uint8_t *)wide.address + SIZE - sizeof in[0];
    for (int round = 0; round < ROUNDS; round++) {
        draw_bytes(&seed, in[round], sizeof in[round]);
        assert_ok(el_stream_wait(&writer, &read)); // not recorded yet in the first round: nothing to wait for
        assert_ok(el_stream_copy(&writer, wide.address, narrow.address, SIZE)); // takes a while
        assert_ok(el_stream_upload(&writer, end, in[round], sizeof in[round]));
        assert_ok(el_stream_record(&writer, &written));
        assert_ok(el_stream_wait(&reader, &written));
        assert_ok(el_stream_download(&reader, out[round], end, sizeof out[round]));
        assert_ok(el_stream_record(&reader, &read));
    }
    assert_ok(el_stream_sync(&reader));
    assert_memory_equal(in, out, sizeof in);
    assert_ok(el_stream_sync(&writer));
    el_event_close(&written);
    el_stream_close(&reader);
    el_event_close(&read);
    el_stream_close(&writer);
    el_buffer_close(&wide);
    el_buffer_close(&narrow);
}

static void time_goes_by_between_events(void **state) {
    (void)state;
    enum { SIZE = 4 << 20 };
    struct el_buffer buffer;
    struct el_stream stream;
    struct el_event begin, end;
    uint64_t once = 0, often = 0;
    uint8_t *bytes = NULL;
    assert_ok(el_zalloc(SIZE, 1, &bytes));
    assert_ok(el_buffer_open(device, SIZE, &buffer));
    assert_ok(el_stream_open(device, &stream));
    assert_ok(el_event_open(device, &begin));
    assert_ok(el_event_open(device, &end));
    const uint64_t before = el_now_ns();
    assert_ok(el_stream_record(&stream, &begin));
    assert_ok(el_stream_upload(&stream, buffer.address, bytes, SIZE));
    assert_ok(el_stream_record(&stream, &end));
    assert_ok(el_stream_sync(&stream));
    assert_ok(el_event_elapsed(&begin, &end, &once));
    for (int i = 0; i < 20; i++)
        assert_ok(el_stream_upload(&stream, buffer.address, bytes, SIZE));
    assert_ok(el_stream_record(&stream, &end)); // anew: the time of the last record counts
    assert_ok(el_stream_sync(&stream));
    assert_ok(el_event_elapsed(&begin, &end, &often));
    assert_true(once > 0 && often > once && often <= el_now_ns() - before);
    el_event_close(&begin);
    el_event_close(&end);
    el_stream_close(&stream);
    el_buffer_close(&buffer);
    el_free(bytes);
}

// ---- launches ----

static int launch(struct el_stream *stream, enum el_kernel kernel, enum el_store store, const int groups[3],
                  const struct el_arg *args) {
    const struct el_launch launch = {.kernel = kernel,
                                     .store = store,
                                     .groups = {groups[0], groups[1], groups[2]},
                                     .args = args,
                                     .arg_count = (int)strlen(el_kernels[kernel].args)};
    return el_stream_launch(stream, &launch);
}
#define LAUNCH(stream, kernel, store, x, y, z, ...)                                     \
    launch(stream, EL_KERNEL_##kernel, EL_STORE_##store, (const int[3]){(x), (y), (z)}, \
           (const struct el_arg[]){__VA_ARGS__})

// True when the device launches kernels; says so where it does not.
static bool launches(void) {
    const bool yes = device->backend->has(device, EL_KERNEL_canary, EL_STORE_F32);
    if (!yes) {
        print_message("%s launches no kernels: not tested\n", device->id);
        assert_true(is_host());
    }
    return yes;
}

static void the_host_says_that_it_launches_nothing(void **state) {
    (void)state;
    struct el_stream stream;
    if (!is_host()) return;
    assert_ok(el_stream_open(device, &stream));
    assert_int_equal(LAUNCH(&stream, canary, F32, 1, 1, 1, EL_MEMORY(NULL), EL_INT(1), EL_INT(1)),
                     EL_EUNSUPPORTED);
    el_stream_close(&stream);
}

static void the_canary_sings_the_same_bits(void **state) {
    (void)state;
    enum { GROUPS = 3, COUNT = GROUPS * LANES };
    static uint32_t got[COUNT], want[COUNT];
    struct el_buffer buffer;
    struct el_stream stream;
    if (!launches()) return;
    assert_ok(el_buffer_open(device, sizeof got, &buffer));
    assert_ok(el_stream_open(device, &stream));
    for (int seed = -1; seed < 3; seed++) {
        el_canary_expect(seed, 50, GROUPS, want);
        assert_ok(
            LAUNCH(&stream, canary, F32, GROUPS, 1, 1, EL_MEMORY(buffer.address), EL_INT(seed), EL_INT(50)));
        assert_ok(el_stream_download(&stream, got, buffer.address, sizeof got));
        assert_ok(el_stream_sync(&stream));
        assert_memory_equal(got, want, sizeof got);
    }
    el_stream_close(&stream);
    el_buffer_close(&buffer);
}

// linear over a grid of groups, all operands inside one allocation, with and without the residual (NULL).
static void arguments_and_groups_arrive(void **state) {
    (void)state;
    enum { T = 70, K = 5, N = 130, PART = 64 << 10 };
    static float in[T * K], weights[N * K], bias[N], out[T * N], residual[T * N];
    struct el_buffer all;
    struct el_stream stream;
    uint32_t seed = 5;
    if (!launches()) return;
    for (int i = 0; i < T * N; i++) {
        residual[i] = (float)draw_below(&seed, 100) - 50;
        if (i < T * K) in[i] = (float)draw_below(&seed, 9) - 4;
        if (i < N * K) weights[i] = (float)draw_below(&seed, 9) - 4;
        if (i < N) bias[i] = (float)i;
    }
    assert_ok(el_buffer_open(device, 5 * PART, &all));
    assert_ok(el_stream_open(device, &stream));
    uint8_t *base = all.address;
    assert_ok(el_stream_upload(&stream, base, in, sizeof in));
    assert_ok(el_stream_upload(&stream, base + PART, weights, sizeof weights));
    assert_ok(el_stream_upload(&stream, base + 2 * PART, bias, sizeof bias));
    assert_ok(el_stream_upload(&stream, base + 3 * PART, residual, sizeof residual));
    const int rows = el_kernels[EL_KERNEL_linear].rows, columns = el_kernels[EL_KERNEL_linear].columns;
    for (int has = 0; has < 2; has++) {
        assert_ok(LAUNCH(&stream, linear, F32, (N + columns - 1) / columns, (T + rows - 1) / rows, 1,
                         EL_MEMORY(base), EL_MEMORY(base + PART), EL_MEMORY(base + 2 * PART),
                         EL_MEMORY(has ? base + 3 * PART : NULL), EL_MEMORY(base + 4 * PART), EL_INT(T),
                         EL_INT(N), EL_INT(K), EL_INT(0), EL_INT(has)));
        assert_ok(el_stream_download(&stream, out, base + 4 * PART, sizeof out));
        assert_ok(el_stream_sync(&stream));
        for (int t = 0; t < T; t++)
            for (int n = 0; n < N; n++) { // small whole numbers: exact in any order
                double sum = bias[n] + (has ? residual[t * N + n] : 0);
                for (int k = 0; k < K; k++)
                    sum += (double)in[t * K + k] * weights[n * K + k];
                assert_true(out[t * N + n] == (float)sum);
            }
    }
    el_stream_close(&stream);
    el_buffer_close(&all);
}

// A float argument, and each store's program: halves of whole numbers survive the way there and back.
static void every_store_has_its_program(void **state) {
    (void)state;
    enum { COUNT = 3 * LANES + 1 };
    static float in[COUNT], out[COUNT];
    struct el_buffer wide, stored;
    struct el_stream stream;
    if (!launches()) return;
    for (int i = 0; i < COUNT; i++)
        in[i] = (float)(i % 256 - 128) / 2;
    assert_ok(el_buffer_open(device, sizeof in, &wide));
    assert_ok(el_buffer_open(device, sizeof in, &stored));
    assert_ok(el_stream_open(device, &stream));
    for (enum el_store store = 0; store < EL_STORE_COUNT; store++) {
        assert_true(device->backend->has(device, EL_KERNEL_to_store, store));
        const struct el_arg to[] = {EL_MEMORY(wide.address), EL_MEMORY(stored.address), EL_INT(COUNT)};
        const struct el_arg from[] = {EL_MEMORY(stored.address), EL_MEMORY(wide.address), EL_INT(COUNT)};
        memset(out, 0, sizeof out);
        assert_ok(el_stream_upload(&stream, wide.address, in, sizeof in));
        assert_ok(launch(&stream, EL_KERNEL_to_store, store, (const int[3]){2, 1, 1}, to));
        assert_ok(el_stream_upload(&stream, wide.address, out, sizeof out));
        assert_ok(launch(&stream, EL_KERNEL_from_store, store, (const int[3]){1, 1, 1}, from));
        assert_ok(el_stream_download(&stream, out, wide.address, sizeof out));
        assert_ok(el_stream_sync(&stream));
        assert_memory_equal(in, out, sizeof in);
    }
    el_stream_close(&stream);
    el_buffer_close(&wide);
    el_buffer_close(&stored);
}

static void numbers_arrive(void **state) {
    (void)state;
    enum { WIDTH = 4 };
    const float in[WIDTH] = {1, 2, 3, 4}, gamma[WIDTH] = {1, 1, 1, 1}, beta[WIDTH] = {0, 0, 0, 10};
    const float epsilon = 1.25F; // as large as the variance
    float out[WIDTH];
    struct el_buffer x, g, b;
    struct el_stream stream;
    if (!launches()) return;
    assert_ok(el_buffer_open(device, sizeof in, &x));
    assert_ok(el_buffer_open(device, sizeof in, &g));
    assert_ok(el_buffer_open(device, sizeof in, &b));
    assert_ok(el_stream_open(device, &stream));
    assert_ok(el_stream_upload(&stream, x.address, in, sizeof in));
    assert_ok(el_stream_upload(&stream, g.address, gamma, sizeof gamma));
    assert_ok(el_stream_upload(&stream, b.address, beta, sizeof beta));
    assert_ok(LAUNCH(&stream, layer_norm, F32, 1, 1, 1, EL_MEMORY(x.address), EL_MEMORY(g.address),
                     EL_MEMORY(b.address), EL_FLOAT(epsilon), EL_INT(WIDTH), EL_MEMORY(x.address)));
    assert_ok(el_stream_download(&stream, out, x.address, sizeof out));
    assert_ok(el_stream_sync(&stream));
    for (int i = 0; i < WIDTH; i++)
        assert_true(fabs(out[i] - ((in[i] - 2.5) / sqrt(2.5) + beta[i])) < 1e-5);
    el_stream_close(&stream);
    el_buffer_close(&x);
    el_buffer_close(&g);
    el_buffer_close(&b);
}

// ---- threads ----

enum { THREADS = 4, ROUNDS = 25 };

struct worker {
    pthread_t thread;
    uint32_t seed;
    bool with_kernels;
    int status;    // of the first failure
    int wrong;     // rounds whose bytes were wrong
    char why[256]; // detail of the failure
};

// One round: buffers of its own, bytes there, across and back; the canary where there is one.
static int work_once(struct worker *worker, struct el_stream *stream) {
    enum { COUNT = 2 * LANES };
    uint32_t in[COUNT], out[COUNT], want[COUNT];
    struct el_buffer a = {0}, b = {0};
    const int seed = (int)(draw(&worker->seed) >> 8);
    draw_bytes(&worker->seed, (uint8_t *)in, sizeof in);
    memcpy(want, in, sizeof want);
    int status = el_buffer_open(device, sizeof in, &a);
    if (status == 0) status = el_buffer_open(device, sizeof in + draw_below(&worker->seed, 100000), &b);
    if (status == 0) status = el_stream_upload(stream, a.address, in, sizeof in);
    if (worker->with_kernels) {
        el_canary_expect(seed, 10, 1, want);
        if (status == 0)
            status = LAUNCH(stream, canary, F32, 1, 1, 1, EL_MEMORY(a.address), EL_INT(seed), EL_INT(10));
    }
    if (status == 0) status = el_stream_copy(stream, b.address, a.address, sizeof in);
    if (status == 0) status = el_stream_download(stream, out, b.address, sizeof out);
    const int synced = el_stream_sync(stream); // always: the bytes above are this function's
    if (status == 0) status = synced;
    if (status == 0 && memcmp(out, want, sizeof out) != 0) worker->wrong++;
    el_buffer_close(&a);
    el_buffer_close(&b);
    return status;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct el_stream stream = {0};
    worker->status = el_stream_open(device, &stream);
    for (int round = 0; round < ROUNDS && worker->status == 0; round++)
        worker->status = work_once(worker, &stream);
    if (worker->status < 0) snprintf(worker->why, sizeof worker->why, "%s", el_error_detail());
    el_stream_close(&stream);
    return NULL;
}

static void threads_do_not_meet(void **state) {
    (void)state;
    struct worker workers[THREADS];
    const bool with_kernels = launches();
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = 100 + i, .with_kernels = with_kernels};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (workers[i].status < 0) fail_msg("thread %d: %s", i, workers[i].why);
        assert_int_equal(workers[i].wrong, 0);
    }
}

// ---- closing ----

// Buffers, streams and events in every order, with work queued that nobody has waited for.
static void closing_needs_no_order(void **state) {
    (void)state;
    static const char *const orders[] = {"sbe", "seb", "bse", "bes", "esb", "ebs"};
    static uint8_t bytes[1 << 16];
    for (size_t i = 0; i < EL_COUNT(orders); i++) {
        struct el_buffer buffer;
        struct el_stream stream;
        struct el_event event;
        assert_ok(el_buffer_open(device, sizeof bytes, &buffer));
        assert_ok(el_stream_open(device, &stream));
        assert_ok(el_event_open(device, &event));
        assert_ok(el_stream_upload(&stream, buffer.address, bytes, sizeof bytes));
        assert_ok(el_stream_record(&stream, &event));
        for (const char *next = orders[i]; *next; next++) {
            if (*next == 's') el_stream_close(&stream);
            if (*next == 'e') el_event_close(&event);
            if (*next == 'b' && stream.device) el_buffer_close_after(&buffer, &stream);
            if (*next == 'b') el_buffer_close(&buffer);
        }
    }
}

// Whose bytes are given back at a stream's close must not see it work behind that.
static void a_closed_stream_is_done(void **state) {
    (void)state;
    enum { SIZE = 8 << 20 };
    uint8_t *bytes = NULL, *back = NULL;
    struct el_buffer buffer;
    struct el_stream stream, reader;
    assert_ok(el_alloc(SIZE, 1, &bytes));
    assert_ok(el_alloc(SIZE, 1, &back));
    assert_ok(el_buffer_open(device, SIZE, &buffer));
    assert_ok(el_stream_open(device, &reader));
    for (int round = 0; round < 5; round++) {
        memset(bytes, round, SIZE);
        assert_ok(el_stream_open(device, &stream));
        for (int i = 0; i < 5; i++)
            assert_ok(el_stream_upload(&stream, buffer.address, bytes, SIZE));
        el_stream_close(&stream);
        memset(bytes, 0xff, SIZE);
        assert_ok(el_stream_download(&reader, back, buffer.address, SIZE));
        assert_ok(el_stream_sync(&reader));
        for (size_t i = 0; i < SIZE; i += 999)
            assert_int_equal(back[i], round);
    }
    el_stream_close(&reader);
    el_buffer_close(&buffer);
    el_free(bytes);
    el_free(back);
}

#define ON_DEVICE(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)

static bool is_there(void) {
    const struct el_backend *backend = el_backend_find(backend_name);
    int count = 0;
    if (backend && backend->count(&count) == 0 && count > 0) return true;
    fprintf(stderr, "SKIPPED: no device of back-end %s: %s\n", backend_name, el_error_detail());
    return false;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_open_side_by_side),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        ON_DEVICE(facts_are_sane),
        ON_DEVICE(allocations_are_apart),
        ON_DEVICE(nothing_is_a_buffer_too),
        ON_DEVICE(copies_go_where_they_should),
        ON_DEVICE(pinned_memory_is_host_memory),
        ON_DEVICE(what_does_not_fit_is_recoverable),
        ON_DEVICE(streams_wait_for_events),
        ON_DEVICE(time_goes_by_between_events),
        ON_DEVICE(the_host_says_that_it_launches_nothing),
        ON_DEVICE(the_canary_sings_the_same_bits),
        ON_DEVICE(arguments_and_groups_arrive),
        ON_DEVICE(every_store_has_its_program),
        ON_DEVICE(numbers_arrive),
        ON_DEVICE(threads_do_not_meet),
        ON_DEVICE(closing_needs_no_order),
        ON_DEVICE(a_closed_stream_is_done),
    };
    backend_name = argc > 1 ? argv[1] : "host";
    if (!is_there()) return SKIPPED;
    return cmocka_run_group_tests_name(backend_name, tests, NULL, NULL);
}
