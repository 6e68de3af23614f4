// SPDX-License-Identifier: Apache-2.0
// A kernel's arguments are exact blocks of the heap, so that AddressSanitizer sees a step beside them.
#include "harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "device/device.h"
#include "launch.h"
#include "ops/ops.h"

enum { GARBAGE = 0xa5, GUARD = 64, MOST_ARGUMENTS = 16 }; // bytes

void *harness_take(struct harness *harness, size_t size) {
    assert_true(harness->block_count < (int)(sizeof harness->blocks / sizeof *harness->blocks));
    struct block *block = &harness->blocks[harness->block_count++];
    block->size = size;
    block->bytes = malloc(size);
    assert_non_null(block->bytes);
    memset(block->bytes, GARBAGE, size);
    return block->bytes;
}

void harness_reset(struct harness *harness) {
    while (harness->block_count > 0)
        free(harness->blocks[--harness->block_count].bytes);
}

static void launch_c(const struct harness *harness, enum el_kernel kernel, const int groups[3],
                     const struct argument *arguments) {
    char symbol[64];
    void *params[MOST_ARGUMENTS];
    for (int i = 0; el_kernels[kernel].args[i]; i++)
        params[i] = (void *)&arguments[i].memory; // all members of a union begin where it does
    el_kernel_symbol(kernel, harness->store, symbol, sizeof symbol);
    assert_int_equal(el_c_life_launch(symbol, groups, params), 0);
}

// What lies in a block from p on. A block's end is not its own: the next block may begin there.
static size_t size_from(const struct harness *harness, const char *p) {
    for (const struct block *b = harness->blocks; b < harness->blocks + harness->block_count; b++)
        if (p == b->bytes || (p > (char *)b->bytes && p < (char *)b->bytes + b->size))
            return (size_t)((char *)b->bytes + b->size - p);
    fail_msg("a kernel's argument is not from harness_take");
    return 0;
}

// Blocks of a launch on a device: one per address, with guard bytes behind it.
struct copies {
    struct el_stream stream;
    int count;
    void *host[MOST_ARGUMENTS];
    struct el_buffer buffers[MOST_ARGUMENTS];
};

static void must(int status) {
    if (status < 0) fail_msg("%s", el_error_detail());
}

static void *copy_to_device(const struct harness *harness, struct copies *copies, void *p) {
    static const unsigned char
        guard[GUARD]; // the device's memory is not zeroed, so that these are the test's
    int i = 0;
    while (i < copies->count && copies->host[i] != p)
        i++;
    if (!p || i < copies->count) return p ? copies->buffers[i].address : NULL;
    size_t size = size_from(harness, p);
    copies->host[copies->count++] = p;
    must(el_buffer_open(harness->device, size + GUARD, &copies->buffers[i]));
    char *address = copies->buffers[i].address;
    if (size > 0) must(el_stream_upload(&copies->stream, address, p, size));
    must(el_stream_upload(&copies->stream, address + size, guard, GUARD));
    return address;
}

static void copy_back(const struct harness *harness, struct copies *copies) {
    unsigned char guard[GUARD];
    for (int i = 0; i < copies->count; i++) {
        size_t size = size_from(harness, copies->host[i]);
        char *address = copies->buffers[i].address;
        if (size > 0) must(el_stream_download(&copies->stream, copies->host[i], address, size));
        must(el_stream_download(&copies->stream, guard, address + size, GUARD));
        must(el_stream_sync(&copies->stream));
        for (int j = 0; j < GUARD; j++)
            if (guard[j] != 0) fail_msg("argument block %d was written %d bytes behind its end", i, j);
        el_buffer_close(&copies->buffers[i]);
    }
}

static void launch_on_device(const struct harness *harness, enum el_kernel kernel, const int groups[3],
                             const struct argument *arguments) {
    struct copies copies = {0};
    struct el_arg args[MOST_ARGUMENTS];
    struct el_launch launch = {.kernel = kernel, .store = harness->store, .args = args};
    must(el_stream_open(harness->device, &copies.stream));
    for (int i = 0; i < 3; i++)
        launch.groups[i] = groups[i];
    for (const char *kind = el_kernels[kernel].args; *kind; kind++) {
        const struct argument *a = &arguments[launch.arg_count];
        args[launch.arg_count++] = *kind == 'm'   ? EL_MEMORY(copy_to_device(harness, &copies, a->memory))
                                   : *kind == 'i' ? EL_INT(a->number)
                                                  : EL_FLOAT(a->real);
    }
    must(el_stream_launch(&copies.stream, &launch));
    copy_back(harness, &copies);
    el_stream_close(&copies.stream);
}

void harness_launch(struct harness *harness, enum el_kernel kernel, int x, int y, int z,
                    const struct argument *arguments) {
    const int groups[3] = {x, y, z};
    for (int i = 0; el_kernels[kernel].args[i]; i++)
        assert_int_equal(el_kernels[kernel].args[i], arguments[i].kind);
    (harness->device ? launch_on_device : launch_c)(harness, kernel, groups, arguments);
}

size_t store_size(enum el_store store) {
    return store == EL_STORE_F32 ? 4 : 2;
}

double stored_value(enum el_store store, const void *bytes, size_t i) {
    static const enum el_dtype dtypes[] = {EL_F32, EL_F16, EL_BF16};
    float value;
    el_to_f32(dtypes[store], (const char *)bytes + i * store_size(store), 1, &value);
    return value;
}

static uint64_t draw_bits(struct harness *harness) { // xorshift64* (Vigna 2016)
    harness->random ^= harness->random >> 12;
    harness->random ^= harness->random << 25;
    harness->random ^= harness->random >> 27;
    return harness->random * 0x2545f4914f6cdd1dull;
}

int draw_below(struct harness *harness, int end) {
    return (int)(draw_bits(harness) >> 33) % end;
}

int draw_size(struct harness *harness, int edge) {
    int around = edge * (1 + draw_below(harness, 2)) - 1 + draw_below(harness, 3);
    return draw_below(harness, 3) ? around : 1 + draw_below(harness, 9);
}

float *draw_floats(struct harness *harness, size_t count, float scale) {
    float *x = harness_take(harness, count * sizeof *x);
    for (size_t i = 0; i < count; i++) {
        double u = ((double)(draw_bits(harness) >> 11) + 0.5) * 0x1p-53;
        double v = (double)(draw_bits(harness) >> 11) * 0x1p-53;
        x[i] = scale * (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v)); // Box, Muller
    }
    return x;
}

struct stored draw_stored(struct harness *harness, size_t count, float scale) {
    float *x = draw_floats(harness, count, scale);
    struct stored stored = {.bytes = harness_take(harness, count * store_size(harness->store)),
                            .value = harness_take(harness, count * sizeof(double))};
    int number = (int)count;
    char symbol[64];
    el_kernel_symbol(EL_KERNEL_to_store, harness->store, symbol, sizeof symbol);
    void *params[] = {&x, &stored.bytes, &number};
    assert_int_equal(el_c_life_launch(symbol, (int[3]){1, 1, 1}, params), 0);
    for (size_t i = 0; i < count; i++)
        stored.value[i] = stored_value(harness->store, stored.bytes, i);
    return stored;
}

static void assert_within(struct harness *harness, const char *what, size_t at, double got, double want,
                          double tolerance) {
    if (isnan(want) ? isnan(got) : got == want || fabs(got - want) <= tolerance) return;
    fail_msg("%s, %s: %s at %zu is %.9g, not %.9g (within %.3g)", harness->name,
             el_store_text[harness->store], what, at, got, want, tolerance);
}

void assert_close_f32(struct harness *harness, const char *what, size_t at, double got, double want,
                      double size) {
    assert_within(harness, what, at, got, want, 1e-5 * size);
}

void assert_close(struct harness *harness, const char *what, size_t at, double got, double want,
                  double size) {
    static const double rounding[] = {
        [EL_STORE_F32] = 0x1p-24, [EL_STORE_F16] = 0x1p-11, [EL_STORE_BF16] = 0x1p-8};
    static const double least[] = {
        [EL_STORE_F32] = 0x1p-149, [EL_STORE_F16] = 0x1p-24, [EL_STORE_BF16] = 0x1p-133};
    assert_within(harness, what, at, got, want,
                  1e-5 * size + rounding[harness->store] * fabs(want) + least[harness->store]);
}
