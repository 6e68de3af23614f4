// SPDX-License-Identifier: Apache-2.0
// Tensor-core instructions in plain C. Those of a warp are functions of what its 32 lanes hold, done when all
// are there.
#include "tensor_lanes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

enum { ROWS = 16, COLUMNS = 8, STEP = 32 /* bytes of depth */, WORD = 4, COPY = 16 /* bytes */ };

static void check_aligned(const void *address, const char *what) {
    if ((uintptr_t)address % COPY == 0) return;
    fprintf(stderr, "lane %d, group (%d, %d, %d): %s at %p, which is not a multiple of 16 bytes\n",
            el_lane.lane, el_lane.group[0], el_lane.group[1], el_lane.group[2], what, address);
    abort();
}

// cp.async
// ---------------------------------------------------------------------------------------------------------

struct copy {
    unsigned char *to;
    const void *from; // NULL: zeros
    int batch;
};

// Copies of one lane that have begun.
struct under_way {
    int batches; // committed
    int count;
    struct copy copies[128];
};
_Static_assert(sizeof(struct under_way) <= EL_LANE_OWN, "a lane's own memory holds its copies");

static bool copies_early;

void el_tensor_copy_early(bool early) {
    copies_early = early;
}

static void copy_now(const struct copy *copy) {
    if (copy->from)
        memcpy(copy->to, copy->from, COPY);
    else
        memset(copy->to, 0, COPY);
}

void el_tensor_copy16(unsigned char *to, const void *from, int inside) {
    struct under_way *u = el_lane_own();
    check_aligned(to, "cp.async writes");
    check_aligned(from, "cp.async reads");
    if (u->count == sizeof u->copies / sizeof u->copies[0]) {
        fprintf(stderr, "lane %d has begun %d copies and waited for none\n", el_lane.lane, u->count);
        abort();
    }
    struct copy copy = {to, inside ? from : NULL, u->batches};
    if (copies_early)
        copy_now(&copy);
    else
        u->copies[u->count++] = copy;
}

void el_tensor_copy_commit(void) {
    ((struct under_way *)el_lane_own())->batches++;
}

void el_tensor_copy_wait(int batches) {
    struct under_way *u = el_lane_own();
    int left = 0;
    for (int i = 0; i < u->count; i++)
        if (u->copies[i].batch < u->batches - batches)
            copy_now(&u->copies[i]);
        else
            u->copies[left++] = u->copies[i];
    u->count = left;
}

// ldmatrix
// ---------------------------------------------------------------------------------------------------------

struct matrices {
    unsigned *words;          // out: one of each matrix
    const unsigned char *row; // row lane % 8 of matrix lane / 8
    bool transposed;
};

static void load_matrices(void *const items[EL_WARP]) {
    for (int lane = 0; lane < EL_WARP; lane++)
        for (int i = 0; i < 4; i++) {
            const struct matrices *m = items[lane];
            unsigned char *word = (unsigned char *)&m->words[i];
            for (int half = 0; half < 2; half++) { // elements 2 (lane % 4) and + 1 of row or column lane / 4
                int row = m->transposed ? lane % 4 * 2 + half : lane / 4;
                int column = m->transposed ? lane / 4 : lane % 4 * 2 + half;
                memcpy(word + 2 * half, ((const struct matrices *)items[8 * i + row])->row + 2 * column, 2);
            }
        }
}

void el_tensor_load_matrices(unsigned *words, const unsigned char *row, bool transposed, const char *file,
                             int line) {
    check_aligned(row, "ldmatrix reads");
    struct matrices m = {words, row, transposed};
    el_warp_meet(load_matrices, &m, file, line);
}

// mma.sync
// ---------------------------------------------------------------------------------------------------------

struct product {
    float *sums;
    const unsigned *a, *b;
    el_tensor_widen *widen;
};

unsigned el_tensor_tf32(unsigned bits) {
    bool finite = (bits & 0x7f800000) != 0x7f800000;
    return finite ? (bits + 0x1000) & ~0x1fffu : bits;
}

static float float_of(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// The elements that are in 4 bytes: 2 of 16 bits, or a tf32, of which the hardware reads 19 bits. Returns how
// many.
static int widen_word(unsigned word, el_tensor_widen *widen, double *elements) {
    if (!widen) {
        elements[0] = float_of(word & ~0x1fffu);
        return 1;
    }
    elements[0] = widen((unsigned short)word);
    elements[1] = widen((unsigned short)(word >> 16));
    return 2;
}

static void multiply_add(void *const items[EL_WARP]) {
    double a[ROWS][STEP / 2], b[COLUMNS][STEP / 2];
    el_tensor_widen *widen = ((const struct product *)items[0])->widen;
    int per_word = widen ? 2 : 1;
    for (int lane = 0; lane < EL_WARP; lane++) {
        const struct product *p = items[lane];
        int row = lane / 4, word = lane % 4; // of the 8 words of depth
        for (int i = 0; i < 4; i++)
            widen_word(p->a[i], widen, &a[row + i % 2 * 8][(word + i / 2 * 4) * per_word]);
        for (int i = 0; i < 2; i++)
            widen_word(p->b[i], widen, &b[row][(word + i * 4) * per_word]);
    }
    for (int lane = 0; lane < EL_WARP; lane++)
        for (int i = 0; i < 4; i++) {
            float *sum = &((const struct product *)items[lane])->sums[i];
            const double *x = a[lane / 4 + i / 2 * 8], *y = b[lane % 4 * 2 + i % 2];
            double total = *sum;
            for (int k = 0; k < STEP / WORD * per_word; k++)
                total += x[k] * y[k];
            *sum = (float)total;
        }
}

void el_tensor_multiply_add(float *sums, const unsigned *a, const unsigned *b, el_tensor_widen *widen,
                            const char *file, int line) {
    struct product p = {sums, a, b, widen};
    el_warp_meet(multiply_add, &p, file, line);
}

// What is left
// ------------------------------------------------------------------------------------------------------

struct shuffle {
    float in, out;
    int mask;
};

static void shuffle(void *const items[EL_WARP]) {
    for (int lane = 0; lane < EL_WARP; lane++) {
        struct shuffle *s = items[lane];
        s->out = ((const struct shuffle *)items[lane ^ s->mask])->in;
    }
}

float el_tensor_shuffle_xor(float x, int mask, const char *file, int line) {
    struct shuffle s = {.in = x, .mask = mask};
    el_warp_meet(shuffle, &s, file, line);
    return s.out;
}

static void nothing(void *const items[EL_WARP]) {
    (void)items;
}

void el_tensor_warp_sync(const char *file, int line) {
    el_warp_meet(nothing, NULL, file, line);
}
