// SPDX-License-Identifier: Apache-2.0
// Drawing shapes and floats from a seed, guarded buffers, and the comparison with the reference.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "checkops.h"

uint64_t draw_bits(struct draw *draw) { // Steele, Lea, Flood: Fast splittable pseudorandom number generators
    uint64_t z = draw->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

int draw_int(struct draw *draw, int low, int high) {
    return low + (int)(draw_bits(draw) % (uint64_t)(high - low + 1));
}

float draw_normal(struct draw *draw) { // Box, Muller
    double u = ((double)(draw_bits(draw) >> 11) + 0.5) * 0x1p-53;
    double v = (double)(draw_bits(draw) >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

static int draw_from(struct draw *draw, const int *choices, size_t count) {
    return choices[draw_bits(draw) % count];
}

int draw_rows(struct draw *draw) {
    static const int rows[] = {0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 14, 15, 16, 24, 25, 28, 29, 43, 64};
    return draw_int(draw, 0, 3) ? draw_from(draw, rows, EL_COUNT(rows)) : draw_int(draw, 1, 100);
}

int draw_width(struct draw *draw) {
    static const int widths[] = {1,  2,  3,  4,  5,  7,  8,  9,   15,  16, 17,
                                 31, 32, 33, 63, 64, 65, 96, 128, 129, 384};
    return draw_int(draw, 0, 3) ? draw_from(draw, widths, EL_COUNT(widths)) : draw_int(draw, 1, 300);
}

const char *kind_text(enum kind kind) {
    static const char *const texts[] = {"normal", "tiny", "huge", "denormal", "sparse", "NaN and Inf"};
    return texts[kind];
}

static float draw_float(struct draw *draw, enum kind kind) {
    float x = draw_normal(draw);
    switch (kind) {
    case KIND_TINY:
        return x * 1e-15f;
    case KIND_HUGE:
        return x * 1e15f;
    case KIND_DENORMAL:
        return x * 1e-40f;
    case KIND_SPARSE:
        return draw_int(draw, 0, 9) ? 0 : x;
    case KIND_NOT_FINITE:
        if (draw_int(draw, 0, 199)) return x;
        return draw_int(draw, 0, 1) ? NAN : x < 0 ? -INFINITY : INFINITY;
    case KIND_NORMAL:
    case KIND_COUNT:
        break;
    }
    return x;
}

void draw_floats(struct draw *draw, enum kind kind, float *out, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        out[i] = draw_float(draw, kind);
}

enum { GUARD = 256, GUARD_BYTE = 0xa5 }; // bytes on each side

struct guarded guarded_new(int64_t count) {
    size_t bytes = (size_t)count * sizeof(float);
    struct guarded guarded = {.count = count};
    if (el_alloc_aligned(bytes + 2 * GUARD, 1, &guarded.block) < 0) {
        fprintf(stderr, "checkops: out of memory\n");
        exit(1);
    }
    memset(guarded.block, GUARD_BYTE, bytes + 2 * GUARD);
    guarded.data = (float *)(guarded.block + GUARD);
    return guarded;
}

void guarded_free(struct guarded *guarded) {
    el_free(guarded->block);
}

bool guarded_intact(const struct guarded *guarded) {
    const uint8_t *end = guarded->block + GUARD + (size_t)guarded->count * sizeof(float);
    for (int i = 0; i < GUARD; i++)
        if (guarded->block[i] != GUARD_BYTE || end[i] != GUARD_BYTE) return false;
    return true;
}

static void *check_memory(struct check *check, int64_t count) {
    void *p;
    if (check->held_count == EL_COUNT(check->held) || el_alloc((size_t)count, 4, &p) < 0) {
        fprintf(stderr, "checkops: no room for an input of %lld elements\n", (long long)count);
        exit(1);
    }
    return check->held[check->held_count++] = p;
}

float *check_floats(struct check *check, int64_t count) {
    return check_memory(check, count);
}

int32_t *check_ints(struct check *check, int64_t count) {
    return check_memory(check, count);
}

void check_release(struct check *check) {
    while (check->held_count > 0)
        el_free(check->held[--check->held_count]);
}

// Below this, processors may flush to zero.
static const double smallest = 1e-37;

static bool close_enough(float got, float want, double allowed) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got)) return got == want;
    return fabs((double)got - want) <= allowed;
}

void check_rows(struct check *check, const struct guarded *got, const float *want, const float *scale,
                int64_t rows, int64_t width) {
    if (check->failed) return;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < width; c++) {
            float g = got->data[r * width + c], w = want[r * width + c];
            double allowed = check->tolerance * scale[r] + smallest;
            if (close_enough(g, w, allowed)) continue;
            snprintf(check->message, sizeof check->message,
                     "row %d column %d is %.9g, the reference has %.9g, %.3g off is allowed", (int)r, (int)c,
                     g, w, allowed);
            check->failed = true;
            return;
        }
    if (guarded_intact(got)) return;
    snprintf(check->message, sizeof check->message, "wrote outside its output");
    check->failed = true;
}

void check_status(struct check *check, int status, const char *what) {
    if (check->failed || status == 0) return;
    snprintf(check->message, sizeof check->message, "%s: %s: %s", what, el_status_text(status),
             el_error_detail());
    check->failed = true;
}

void row_magnitudes(const float *values, int64_t rows, int64_t width, float *ret_scale) {
    for (int64_t r = 0; r < rows; r++) {
        ret_scale[r] = 0;
        for (int64_t c = 0; c < width; c++)
            if (isfinite(values[r * width + c]))
                ret_scale[r] = fmaxf(ret_scale[r], fabsf(values[r * width + c]));
    }
}
