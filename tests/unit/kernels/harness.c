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

#include "launch.h"
#include "ops/ops.h"

enum { GARBAGE = 0xa5 };

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

void harness_launch(struct harness *harness, enum el_kernel kernel, int x, int y, int z,
                    const struct argument *arguments) {
    const struct el_kernel_info *info = &el_kernels[kernel];
    char symbol[64];
    void *params[16];
    for (int i = 0; info->args[i]; i++) {
        assert_int_equal(info->args[i], arguments[i].kind);
        params[i] = (void *)&arguments[i].memory; // all members of a union begin where it does
    }
    el_kernel_symbol(kernel, harness->store, symbol, sizeof symbol);
    assert_int_equal(el_c_life_launch(symbol, (int[3]){x, y, z}, params), 0);
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
