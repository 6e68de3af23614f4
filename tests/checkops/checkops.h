// SPDX-License-Identifier: Apache-2.0
// What the cases of checkops draw from: a seeded generator, buffers between guard bytes, and the comparison.
#ifndef EL_TESTS_CHECKOPS_H
#define EL_TESTS_CHECKOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/ops.h"

// A generator whose whole state is the seed, so that a failure is repeated by its number (splitmix64).
struct draw {
    uint64_t state;
};
uint64_t draw_bits(struct draw *draw);
int draw_int(struct draw *draw, int low, int high); // both included
float draw_normal(struct draw *draw);
int draw_rows(struct draw *draw);  // 0, 1, few, and around the heights of tiles
int draw_width(struct draw *draw); // 1, odd, and around the widths of lanes and panels

// What floats look like. A case draws one kind for its activations.
enum kind { KIND_NORMAL, KIND_TINY, KIND_HUGE, KIND_DENORMAL, KIND_SPARSE, KIND_NOT_FINITE, KIND_COUNT };
const char *kind_text(enum kind kind);
void draw_floats(struct draw *draw, enum kind kind, float *out, int64_t count);

// Floats between two stretches of guard bytes. Exits when memory ends: this is a test.
struct guarded {
    float *data;
    int64_t count;
    uint8_t *block;
};
struct guarded guarded_new(int64_t count);
void guarded_free(struct guarded *guarded);
bool guarded_intact(const struct guarded *guarded);

// One run of one operation: the tables, where the run happens, and what it found.
struct check {
    const struct el_ops *ops;    // under test
    struct el_target target;     // what weights are packed for
    struct el_exec exec;         // of `ops`, with or without a team, or on target.device
    struct el_exec ref;          // the reference's
    enum el_precision precision; // of the reference
    struct draw draw;
    double tolerance; // of ops.def
    void *held[24];   // inputs of this run
    int held_count;
    char shape[160]; // what was drawn, for the message
    char message[400];
    bool failed;
};

// Memory of this run, of the exact size, so that AddressSanitizer sees a read beyond it. Unset.
float *check_floats(struct check *check, int64_t count);
int32_t *check_ints(struct check *check, int64_t count);
void check_release(struct check *check);

// got against want, both [rows][width]: an element may be off by tolerance x scale[row]; NaN must meet NaN,
// and an infinity itself. Also checks the guards of `got`.
void check_rows(struct check *check, const struct guarded *got, const float *want, const float *scale,
                int64_t rows, int64_t width);
void check_status(struct check *check, int status, const char *what);
// The largest finite magnitude of each row.
void row_magnitudes(const float *values, int64_t rows, int64_t width, float *ret_scale);

// The operations of whatever device an exec is open on, for tensors of the processor (remote.c).
extern const struct el_ops remote_ops;

// Runs until it has lasted long enough, and prints the best rate: work / 1e9 per second in `unit`.
void bench_run(struct check *check, const char *shape, double work, const char *unit,
               int (*run)(struct check *check, void *state), void *state);

// A row per operation, in cases.c.
struct op_case {
    const char *name;
    double tolerance;
    void (*check)(struct check *check);
    void (*bench)(struct check *check);
};
extern const struct op_case op_cases[];
extern const int op_case_count;

// A table whose operations are those of `right`, each then spoiled in the way asked for.
enum spoil { SPOIL_VALUE, SPOIL_NAN, SPOIL_AFTER_END, SPOIL_BEFORE_START, SPOIL_COUNT };
const struct el_ops *wrong_ops(const struct el_ops *right, enum spoil spoil);

#endif
