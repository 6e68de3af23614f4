// SPDX-License-Identifier: Apache-2.0
// What the tests of kernels share: launching one with host memory as arguments, drawing inputs in a store
// type, and comparing what came out.
#ifndef EL_TESTS_HARNESS_H
#define EL_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

// Where kernels run, and in which store type.
struct harness {
    const char *name; // "C, backwards"
    enum el_store store;
    uint64_t random;
    struct el_device *device; // NULL: the C life
    struct block {
        void *bytes;
        size_t size;
    } blocks[32]; // what a case has taken
    int block_count;
};

// `size` bytes for a kernel's argument, of garbage; given back by harness_reset.
void *harness_take(struct harness *harness, size_t size);
void harness_reset(struct harness *harness);

// One argument: memory from harness_take, or a number.
struct argument {
    char kind; // m, i, f: its letter in kernels.def
    union {
        void *memory;
        int number;
        float real;
    };
};
#define MEMORY(p) ((struct argument){.kind = 'm', .memory = (p)})
#define NUMBER(n) ((struct argument){.kind = 'i', .number = (n)})
#define REAL(x) ((struct argument){.kind = 'f', .real = (x)})

// Runs a kernel over x by y by z groups; fails the test where it can't. A device gets copies of the blocks
// and its results are copied back; it must leave the bytes behind them alone.
void harness_launch(struct harness *harness, enum el_kernel kernel, int x, int y, int z,
                    const struct argument *arguments);
#define LAUNCH(harness, kernel, x, y, z, ...) \
    harness_launch(harness, EL_KERNEL_##kernel, x, y, z, (struct argument[]){__VA_ARGS__})

// Elements as a kernel stores them, and what they are.
struct stored {
    void *bytes;   // S [count]
    double *value; // [count]
};
size_t store_size(enum el_store store); // bytes of an element
double stored_value(enum el_store store, const void *bytes, size_t i);
// Normally distributed times `scale`, rounded to the store type by the C life of to_store.
struct stored draw_stored(struct harness *harness, size_t count, float scale);
float *draw_floats(struct harness *harness, size_t count, float scale);
// A size that is apt to find a kernel's edges: small, or close to `edge` or a multiple, odd or even.
int draw_size(struct harness *harness, int edge);
int draw_below(struct harness *harness, int end); // 0 .. end - 1

// Fails unless got is want within the tolerance (NaN where want is): `size` x 1e-5, plus what the store type
// rounds.
void assert_close(struct harness *harness, const char *what, size_t at, double got, double want, double size);
// The same in f32, whatever the store type.
void assert_close_f32(struct harness *harness, const char *what, size_t at, double got, double want,
                      double size);

#endif
