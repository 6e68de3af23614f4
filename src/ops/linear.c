// SPDX-License-Identifier: Apache-2.0
// Linear layers: weights are packed once into panels; a product is cut into tiles of a few rows by one panel.
// Panels are the outer loop, so that a panel is read from memory once and then serves every row from L2.
#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/encode.h"
#include "ops/filling.h"

enum {
    UNIT = 4,             // bytes of a unit
    ENCODE_ROWS = 32,     // fewer are not worth waking a thread
    HUGE_PAGE = 2 << 20,  // bytes
    COLLAPSE_ADVICE = 25, // MADV_COLLAPSE of Linux 6.1, which older headers lack
};

// Row n of W goes to column n % columns of panel n / columns.
static void place_row(const struct el_linear *linear, int64_t n, const uint32_t *units) {
    int64_t columns = linear->product->columns;
    uint32_t *panel = (uint32_t *)linear->weights + n / columns * columns * linear->weight_units;
    for (int64_t k = 0; k < linear->weight_units; k++)
        panel[k * columns + n % columns] = units[k];
}

static int pack(struct el_linear *linear, const struct el_tensor *weight, const struct el_tensor *bias) {
    int64_t depth = linear->depth;
    size_t element = el_dtype_size(weight->dtype);
    float *row el_auto_free = NULL;
    uint32_t *units el_auto_free = NULL;
    int status = el_alloc((size_t)depth, sizeof *row, &row);
    if (status == 0) status = el_alloc((size_t)linear->weight_units, sizeof *units, &units);
    if (status < 0) return status;
    for (int64_t n = 0; n < linear->columns; n++) {
        el_to_f32(weight->dtype, (const char *)weight->data + (size_t)(n * depth) * element, depth, row);
        el_encode_weights(linear->precision, row, depth, linear->terms, units);
        place_row(linear, n, units);
    }
    if (bias && bias->data) el_to_f32(bias->dtype, bias->data, linear->columns, linear->bias);
    return 0;
}

// Weights are read from front to back by every batch: on huge pages the processor looks up 512 times fewer
// addresses (measured: one short text is 12 % faster). Layers that were opened one after the other lie side
// by side, so the huge pages that this one completes are made now. Advice only: a kernel before Linux 6.1
// does not know it.
static void collapse_pages(const void *p, size_t bytes) {
    uintptr_t begin = (uintptr_t)p / HUGE_PAGE * HUGE_PAGE,
              end = ((uintptr_t)p + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end) madvise((void *)begin, end - begin, COLLAPSE_ADVICE);
}

static int alloc_zeroed(size_t count, size_t size, void *ret_p, size_t *bytes) {
    void *p;
    int status = el_alloc_aligned(count, size, &p);
    if (status < 0) return status;
    memset(p, 0, count * size);
    memcpy(ret_p, &p, sizeof p);
    *bytes += count * size;
    return 0;
}

// In int8, layers that widen (query, key and value; the way into the feed-forward network) get a second term:
// an error there goes through the rest of the model (docs/precision.md has the figures).
static int terms_of(const struct el_linear *linear) {
    return linear->precision == EL_PRECISION_INT8 && linear->columns > linear->depth ? 2 : 1;
}

static int open_panels(struct el_linear *linear, const struct el_product *product,
                       const struct el_tensor *weight, const struct el_tensor *bias) {
    linear->product = product;
    linear->terms = terms_of(linear);
    linear->units = el_input_units(linear->precision, linear->depth);
    linear->weight_units = el_weight_units(linear->precision, linear->depth, linear->terms);
    linear->panels = el_divide_up(linear->columns, product->columns);
    size_t padded = (size_t)(linear->panels * product->columns);
    EL_TRY(alloc_zeroed(padded, (size_t)linear->weight_units * UNIT, &linear->weights, &linear->bytes));
    EL_TRY(alloc_zeroed(padded, sizeof(float), &linear->bias, &linear->bytes));
    EL_TRY(pack(linear, weight, bias));
    collapse_pages(linear->weights, padded * (size_t)linear->weight_units * UNIT);
    return 0;
}

// NULL where there is none.
static const struct el_product *choose_product(const struct el_ops *ops, enum el_precision precision,
                                               int64_t columns) {
    const struct el_filling *filling = (const struct el_filling *)ops;
    if (precision != EL_PRECISION_BYTES) return filling->products[precision];
    for (const struct el_product *const *product = filling->byte_products; product && *product; product++)
        if (el_cpu_has((*product)->needs) &&
            ((*product)->most_columns == 0 || columns <= (*product)->most_columns))
            return *product;
    return NULL;
}

int el_linear_open(const struct el_target *target, const struct el_tensor *weight,
                   const struct el_tensor *bias, struct el_linear **ret_linear) {
    const bool on_device = target->device && !el_device_is_host(target->device);
    const struct el_product *product = choose_product(target->ops, target->precision, weight->dim[0]);
    if (on_device ? target->precision == EL_PRECISION_BYTES : !product)
        return el_fail(EL_EUNSUPPORTED, "the %s operations have no %s products", target->ops->name,
                       el_precision_text(target->precision));
    assert(weight->rank == 2);
    struct el_linear *linear;
    int status = el_zalloc(1, sizeof *linear, &linear);
    if (status < 0) return status;
    linear->precision = target->precision;
    linear->columns = weight->dim[0];
    linear->depth = weight->dim[1];
    linear->bytes = sizeof *linear;
    status = on_device ? el_gpu_linear_open(target->device, weight, bias, linear)
                       : open_panels(linear, product, weight, bias);
    if (status < 0) {
        el_linear_close(linear);
        return status;
    }
    *ret_linear = linear;
    return 0;
}

void el_linear_close(struct el_linear *linear) {
    if (!linear) return;
    el_gpu_linear_close(linear);
    el_free(linear->weights);
    el_free(linear->bias);
    el_free(linear);
}

void el_linear_expect_stream(struct el_linear *linear) {
    linear->streams = true;
}

size_t el_linear_bytes(const struct el_linear *linear) {
    return linear->bytes;
}

// One product, shared by the tasks of a team.
struct job {
    const struct el_linear *weights;
    enum el_act act;
    int64_t rows;
    const void *in;        // [rows][units]
    const float *residual; // [rows][columns], or NULL
    float *out;            // [rows][columns]
    int tasks;
};

// All rows by one panel. The tiles' heights differ by one at most, so that none is left with a stub. While
// they run, each fetches its share of the next panel; behind the last panel of a stream, the rows that stand
// where its own will stand in the next block. Where there is neither, fetching does not fault.
static void run_panel(const struct job *job, int64_t index) {
    const struct el_linear *weights = job->weights;
    const struct el_product *product = weights->product;
    int64_t tiles = el_divide_up(job->rows, product->rows), column = index * product->columns;
    int64_t panel_bytes = weights->weight_units * product->columns * UNIT;
    const char *panel = (const char *)weights->weights + index * panel_bytes;
    const bool fetch_rows = weights->streams && index == weights->panels - 1;
    struct el_tile tile = {
        .columns = (int)EL_MIN(weights->columns - column, product->columns),
        .depth = weights->units,
        .terms = weights->terms,
        .activation_stride = weights->units,
        .panel = panel,
        .bias = weights->bias + column,
        .act = job->act,
        .out_stride = weights->columns,
        .ahead_bytes = fetch_rows ? product->rows * UNIT : el_divide_up(product->columns * UNIT, tiles),
    };
    for (int64_t i = 0; i < tiles; i++) {
        int64_t first = job->rows * i / tiles, end = job->rows * (i + 1) / tiles;
        tile.rows = (int)(end - first);
        tile.activations = (const char *)job->in + first * weights->units * UNIT;
        tile.residual = job->residual ? job->residual + first * weights->columns + column : NULL;
        tile.out = job->out + first * weights->columns + column;
        tile.ahead = fetch_rows ? (const char *)job->in + (job->rows + first) * weights->units * UNIT
                                : panel + panel_bytes + i * tile.ahead_bytes * weights->weight_units;
        product->tile(&tile);
    }
}

static void run_task(void *context, int task, int worker) {
    (void)worker;
    const struct job *job = context;
    int64_t end = job->weights->panels * (task + 1) / job->tasks;
    for (int64_t panel = job->weights->panels * task / job->tasks; panel < end; panel++)
        run_panel(job, panel);
}

struct encode_job {
    const struct el_linear *weights;
    const float *in; // [rows][depth]
    char *units;     // [rows][weights->units]
};

static void encode_rows(const void *context, int64_t first, int64_t end) {
    const struct encode_job *job = context;
    const struct el_linear *weights = job->weights;
    for (int64_t t = first; t < end; t++)
        weights->product->encode(job->in + t * weights->depth, weights->depth,
                                 job->units + t * weights->units * UNIT);
}

// Rows of floats as the units that the product reads, in scratch memory.
static int encode_input(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                        const void **ret_units) {
    struct encode_job job = {.weights = weights, .in = el_f32(in)};
    int status =
        el_arena_alloc(&exec->scratch, (size_t)in->dim[0], (size_t)weights->units * UNIT, &job.units);
    if (status < 0) return status;
    el_rows_run(exec, in->dim[0], ENCODE_ROWS, encode_rows, &job);
    *ret_units = job.units;
    return 0;
}

int el_linear_tiled(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                    enum el_act act, const struct el_tensor *residual, struct el_tensor *out) {
    assert(in->dim[1] == weights->depth && out->dim[1] == weights->columns);
    assert(choose_product(exec->ops, weights->precision, weights->columns) == weights->product);
    if (in->dim[0] == 0) return 0;
    struct job job = {
        .weights = weights,
        .act = act,
        .rows = in->dim[0],
        .in = in->data,
        .residual = residual ? el_f32(residual) : NULL,
        .out = el_f32(out),
        .tasks = (int)EL_MIN(el_team_size(exec->team), weights->panels),
    };
    struct el_arena_mark mark = el_arena_mark(&exec->scratch);
    int status = weights->product->encode ? encode_input(exec, in, weights, &job.in) : 0;
    if (status == 0) el_team_run(exec->team, job.tasks, run_task, &job);
    el_arena_release(&exec->scratch, mark);
    return status;
}
