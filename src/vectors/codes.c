// SPDX-License-Identifier: Apache-2.0
// Encoding rows, in runs, so that appending never moves one.
#include "vectors/codes.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/encode.h"

enum {
    RUN_ROWS = 1 << 16,
    RUN_BYTES = 32 << 20, // at most: mostly huge pages (with 8 MiB one query takes a quarter longer)
    GROUP = 64,           // rows that share a bound
};

struct bounds {
    float error, square; // the largest of a group
};

struct run {
    uint8_t *bytes;        // [rows][stride]
    float *scales;         // [rows]
    float *squares;        // [rows]
    struct bounds *bounds; // [rows / GROUP]
};

struct el_codes {
    int dim;
    size_t stride;    // bytes of a row
    int64_t run_rows; // a multiple of GROUP
    struct run *runs;
    int64_t run_count;
    int64_t count;
};

int el_codes_open(int dim, struct el_codes **ret_codes) {
    struct el_codes *codes;
    if (dim < 1 || dim > EL_CODES_MOST_DIM)
        return el_fail(EL_EINVAL, "vectors of %d dimensions can't be kept as bytes; 1 to %d can", dim,
                       EL_CODES_MOST_DIM);
    EL_TRY(el_zalloc(1, sizeof *codes, &codes));
    codes->dim = dim;
    codes->stride = (size_t)el_input_units(EL_PRECISION_BYTES, dim) * 4;
    codes->run_rows = EL_MIN(EL_MAX(RUN_BYTES / (int64_t)codes->stride / GROUP, 1) * GROUP, RUN_ROWS);
    *ret_codes = codes;
    return 0;
}

static void close_run(struct run *run) {
    el_free(run->bytes);
    el_free(run->scales);
    el_free(run->squares);
    el_free(run->bounds);
}

void el_codes_close(struct el_codes *codes) {
    if (!codes) return;
    for (int64_t i = 0; i < codes->run_count; i++)
        close_run(&codes->runs[i]);
    el_free(codes->runs);
    el_free(codes);
}

int64_t el_codes_count(const struct el_codes *codes) {
    return codes->count;
}

int64_t el_codes_run(const struct el_codes *codes) {
    return codes->run_rows;
}

size_t el_codes_bytes(const struct el_codes *codes) {
    const size_t rows = (size_t)codes->count;
    return rows * (codes->stride + 2 * sizeof(float)) + rows / GROUP * sizeof(struct bounds);
}

// ---- encoding ----

double el_codes_query_error(const float *query, int dim, int8_t *scratch) {
    const float scale = el_encode_bytes(query, dim, scratch);
    double sum = 0;
    if (isnan(scale)) return NAN;
    for (int i = 0; i < dim; i++) {
        const double difference = query[i] - (double)scale * scratch[i];
        sum += difference * difference;
    }
    return sqrt(sum) * (1 + 0x1p-20); // for the rounding of the sum
}

struct appending {
    struct el_codes *codes;
    const struct el_vector_set *set;
    const struct el_ops *ops;
    int64_t first_group; // of all rows
};

// A group's rows that stand behind those encoded before.
static void encode_group(void *context, int task, int worker) {
    const struct appending *appending = context;
    const struct el_codes *codes = appending->codes;
    const int64_t first = EL_MAX((appending->first_group + task) * GROUP, codes->count);
    const int64_t end = EL_MIN((appending->first_group + task + 1) * GROUP, appending->set->count);
    const struct run *run = &codes->runs[first / codes->run_rows];
    const int64_t i = first % codes->run_rows;
    struct bounds *bounds = &run->bounds[i / GROUP];
    float errors[GROUP];
    const struct el_byte_rows rows = {.bytes = run->bytes + (size_t)i * codes->stride,
                                      .scales = run->scales + i,
                                      .squares = run->squares + i,
                                      .errors = errors};
    (void)worker;
    el_encode_byte_rows(appending->ops, appending->set->rows + first * codes->dim, end - first, codes->dim,
                        &rows);
    for (int64_t row = 0; row < end - first; row++) {
        bounds->error = fmaxf(bounds->error, errors[row]);
        bounds->square = fmaxf(bounds->square, rows.squares[row]);
    }
}

static int open_run(const struct el_codes *codes, struct run *ret_run) {
    const size_t rows = (size_t)codes->run_rows;
    struct run run = {0};
    int status = el_alloc_aligned(rows, codes->stride, &run.bytes);
    if (status == 0) status = el_alloc(rows, sizeof *run.scales, &run.scales);
    if (status == 0) status = el_alloc(rows, sizeof *run.squares, &run.squares);
    if (status == 0) status = el_zalloc(rows / GROUP, sizeof *run.bounds, &run.bounds);
    if (status < 0) {
        close_run(&run);
        return status;
    }
    el_advise_huge_pages(run.bytes, rows * codes->stride);
    *ret_run = run;
    return 0;
}

int el_codes_append(struct el_codes *codes, const struct el_vector_set *set, struct el_team *team) {
    const int64_t runs = EL_MAX(el_divide_up(set->count, codes->run_rows), codes->run_count);
    struct appending appending = {.codes = codes, .set = set, .first_group = codes->count / GROUP};
    if (set->count <= codes->count) return 0;
    EL_TRY(el_ops_find(NULL, &appending.ops));
    EL_TRY(el_realloc(&codes->runs, (size_t)runs, sizeof *codes->runs));
    for (; codes->run_count < runs; codes->run_count++)
        EL_TRY(open_run(codes, &codes->runs[codes->run_count]));
    el_team_run(team, (int)(el_divide_up(set->count, GROUP) - appending.first_group), encode_group,
                &appending);
    codes->count = set->count;
    return 0;
}

// ---- looking ----

struct el_code_rows el_codes_at(const struct el_codes *codes, int64_t first, int64_t count) {
    const struct run *run = &codes->runs[first / codes->run_rows];
    const int64_t i = first % codes->run_rows;
    struct el_code_rows rows = {.bytes = run->bytes + (size_t)i * codes->stride,
                                .scales = run->scales + i,
                                .squares = run->squares + i};
    for (int64_t group = i / GROUP; group * GROUP < i + count; group++) {
        rows.error = fmaxf(rows.error, run->bounds[group].error);
        rows.square = fmaxf(rows.square, run->bounds[group].square);
    }
    return rows;
}
