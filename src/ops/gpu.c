// SPDX-License-Identifier: Apache-2.0
// The operations on devices: each is a launch of a kernel of src/kernels on the exec's stream. Activations
// are kept in the precision's store type; results that leave the device (pool, l2_normalize) are f32.
#include <assert.h>
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "ops/encode.h"
#include "ops/filling.h"

enum {
    MOST_GROUPS = 65535, // of the second and third dimension, on CUDA
    MOST_WANTED = 1024,  // of top_k, as most_found in its kernel
    MOST_FUSED = 128,    // of top_products: longer lists cost more than writing the products
    LIST_SHARE = 16,     // a list holds at most one of so many rows that it is of
};

enum el_store el_gpu_store(enum el_precision precision) {
    switch (precision) {
    case EL_PRECISION_FP16:
    case EL_PRECISION_INT8:
        return EL_STORE_F16;
    case EL_PRECISION_BF16:
        return EL_STORE_BF16;
    default:
        return EL_STORE_F32;
    }
}

static const enum el_dtype store_dtype[EL_STORE_COUNT] = {EL_F32, EL_F16, EL_BF16};

enum el_dtype el_gpu_dtype(enum el_precision precision) {
    return store_dtype[el_gpu_store(precision)];
}

static enum el_store store_of(const struct el_tensor *tensor) {
    for (int store = 0; store < EL_STORE_COUNT; store++)
        if (store_dtype[store] == tensor->dtype) return (enum el_store)store;
    assert(!"not a store type");
    return EL_STORE_F32;
}

static bool has(const struct el_exec *exec, enum el_kernel kernel, enum el_store store) {
    const struct el_device *device = exec->stream.device;
    return device->backend->has(device, kernel, store);
}

// Queues the kernel over so many groups; none at all is no work.
static int launch(struct el_exec *exec, enum el_kernel kernel, enum el_store store, int64_t x, int64_t y,
                  int64_t z, const struct el_arg *args, int arg_count) {
    if (x == 0 || y == 0 || z == 0) return 0;
    if (x > INT32_MAX || y > MOST_GROUPS || z > MOST_GROUPS)
        return el_fail(EL_ETOOBIG, "a batch is too large for one launch of %s; lower batch_tokens",
                       el_kernels[kernel].name);
    const struct el_launch l = {
        .kernel = kernel,
        .store = store,
        .groups = {(int)x, (int)y, (int)z},
        .args = args,
        .arg_count = arg_count,
    };
    return el_stream_launch(&exec->stream, &l);
}

#define LAUNCH(exec, kernel, store, x, y, z, ...)                                          \
    launch(exec, EL_KERNEL_##kernel, store, x, y, z, (const struct el_arg[]){__VA_ARGS__}, \
           (int)EL_COUNT(((const struct el_arg[]){__VA_ARGS__})))

static int embed_norm(struct el_exec *exec, const struct el_tensor *ids, const struct el_tensor *positions,
                      const struct el_tensor *words, const struct el_tensor *places,
                      const struct el_tensor *kind, const struct el_tensor *gamma,
                      const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    return LAUNCH(exec, embed_norm, store_of(out), ids->dim[0], 1, 1, EL_MEMORY(ids->data),
                  EL_MEMORY(positions->data), EL_MEMORY(words->data), EL_MEMORY(places->data),
                  EL_MEMORY(kind->data), EL_MEMORY(gamma->data), EL_MEMORY(beta->data), EL_FLOAT(epsilon),
                  EL_INT(out->dim[1]), EL_MEMORY(out->data));
}

static int layer_norm(struct el_exec *exec, const struct el_tensor *in, const struct el_tensor *gamma,
                      const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    return LAUNCH(exec, layer_norm, store_of(in), in->dim[0], 1, 1, EL_MEMORY(in->data),
                  EL_MEMORY(gamma->data), EL_MEMORY(beta->data), EL_FLOAT(epsilon), EL_INT(in->dim[1]),
                  EL_MEMORY(out->data));
}

// Tensor cores where the device and the shape allow; but never for fp32, which keeps all bits of a product.
static enum el_kernel linear_kernel(const struct el_exec *exec, const struct el_linear *weights,
                                    enum el_store store, int64_t rows) {
    const int units = exec->stream.device->facts.units;
    enum el_kernel kernel;
    if (weights->precision == EL_PRECISION_INT8) return EL_KERNEL_linear_int8;
    if (weights->precision != EL_PRECISION_FP32 &&
        el_kernel_linear_mma(store, rows, weights->columns, weights->depth, units, &kernel) &&
        has(exec, kernel, store))
        return kernel;
    return EL_KERNEL_linear;
}

static int linear(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                  enum el_act act, const struct el_tensor *residual, struct el_tensor *out) {
    const struct el_gpu_linear *there = &weights->gpu;
    const enum el_store store = store_of(in);
    const enum el_kernel kernel = linear_kernel(exec, weights, store, in->dim[0]);
    struct el_arg args[11];
    int count = 0;
    args[count++] = EL_MEMORY(in->data);
    args[count++] = EL_MEMORY(there->weights.address);
    args[count++] = EL_MEMORY(there->bias.address);
    if (kernel == EL_KERNEL_linear_int8) args[count++] = EL_MEMORY(there->scales.address);
    args[count++] = EL_MEMORY(residual ? residual->data : NULL);
    args[count++] = EL_MEMORY(out->data);
    args[count++] = EL_INT(in->dim[0]);
    args[count++] = EL_INT(weights->columns);
    args[count++] = EL_INT(weights->depth);
    args[count++] = EL_INT(act);
    args[count++] = EL_INT(residual != NULL);
    return launch(exec, kernel, store, el_divide_up(weights->columns, el_kernels[kernel].columns),
                  el_divide_up(in->dim[0], el_kernels[kernel].rows), 1, args, count);
}

static int attention(struct el_exec *exec, const struct el_tensor *qkv, const struct el_seqs *seqs, int heads,
                     float scale, struct el_tensor *out) {
    const enum el_store store = store_of(qkv);
    const int64_t size = out->dim[1] / heads;
    if (size > 128)
        return el_fail(EL_EUNSUPPORTED, "heads of %d on %s; at most 128", (int)size, exec->stream.device->id);
    enum el_kernel kernel;
    if (!el_kernel_attention_mma(store, (int)size, &kernel) || !has(exec, kernel, store))
        kernel = EL_KERNEL_attention;
    const struct el_arg args[] = {EL_MEMORY(qkv->data), EL_MEMORY(seqs->there), EL_INT(heads),
                                  EL_INT(size),         EL_FLOAT(scale),        EL_MEMORY(out->data)};
    return launch(exec, kernel, store, el_divide_up(el_seqs_longest(seqs), el_kernels[kernel].rows), heads,
                  seqs->count, args, (int)EL_COUNT(args));
}

static int pool(struct el_exec *exec, const struct el_tensor *in, const struct el_seqs *seqs,
                enum el_pool kind, struct el_tensor *out) {
    return LAUNCH(exec, pool, store_of(in), seqs->count, 1, 1, EL_MEMORY(in->data), EL_MEMORY(seqs->there),
                  EL_INT(kind), EL_INT(in->dim[1]), EL_MEMORY(out->data));
}

static int l2_normalize(struct el_exec *exec, struct el_tensor *inout) {
    return LAUNCH(exec, l2_normalize, EL_STORE_F32, inout->dim[0], 1, 1, EL_MEMORY(inout->data),
                  EL_INT(inout->dim[1]));
}

static int inner_products(struct el_exec *exec, const struct el_tensor *rows, const struct el_tensor *others,
                          struct el_tensor *out, struct el_tensor *squares) {
    const int64_t groups = el_divide_up(rows->dim[0], el_kernels[EL_KERNEL_inner_products].rows);
    return LAUNCH(exec, inner_products, EL_STORE_F32, groups, 1, 1, EL_MEMORY(rows->data),
                  EL_MEMORY(others->data), EL_MEMORY(out->data), EL_MEMORY(squares->data),
                  EL_INT(rows->dim[0]), EL_INT(others->dim[0]), EL_INT(rows->dim[1]));
}

static int top_k(struct el_exec *exec, const struct el_tensor *scores, struct el_tensor *values,
                 struct el_tensor *places) {
    const int64_t wanted = values->dim[1];
    if (wanted > MOST_WANTED || scores->dim[1] > INT32_MAX)
        return el_fail(EL_EUNSUPPORTED, "the %d largest of %lld on %s; at most %d", (int)wanted,
                       (long long)scores->dim[1], exec->stream.device->id, MOST_WANTED);
    return LAUNCH(exec, top_k, EL_STORE_F32, scores->dim[0], 1, 1, EL_MEMORY(scores->data),
                  EL_INT(scores->dim[1]), EL_INT(wanted), EL_MEMORY(values->data), EL_MEMORY(places->data));
}

// How many lists the rows of W are cut into: `per_unit` groups on each multiprocessor.
static int64_t lists_for(const struct el_exec *exec, const struct el_kernel_info *info, int per_unit,
                         int64_t row_groups, int64_t columns, int64_t wanted) {
    const int64_t groups = (int64_t)EL_MAX(exec->stream.device->facts.units, 1) * per_unit;
    int64_t lists = EL_MIN(el_divide_up(groups, row_groups), el_divide_up(columns, info->columns));
    lists = EL_MIN(lists, el_divide_up(columns, wanted * LIST_SHARE));
    return EL_MIN(EL_MAX(lists, 1), MOST_GROUPS);
}

// Lists by `kernel`, then one of them.
static int fuse_top_products(struct el_exec *exec, enum el_kernel kernel, int per_unit,
                             const struct el_tensor *in, const struct el_linear *weights,
                             struct el_tensor *values, struct el_tensor *places) {
    const struct el_kernel_info *info = &el_kernels[kernel];
    const int64_t rows = in->dim[0], row_groups = el_divide_up(rows, info->rows), wanted = values->dim[1];
    if (rows == 0 || wanted == 0) return 0;
    const int64_t lists = lists_for(exec, info, per_unit, row_groups, weights->columns, wanted);
    const struct el_exec_mark mark = el_exec_mark(exec);
    struct el_tensor ranks; // of 64 bits
    EL_TRY(el_exec_alloc(exec, EL_I32, row_groups * info->rows, 2 * lists * wanted, &ranks));
    const struct el_arg args[] = {EL_MEMORY(in->data),
                                  EL_MEMORY(weights->gpu.weights.address),
                                  EL_MEMORY(weights->gpu.bias.address),
                                  EL_MEMORY(ranks.data),
                                  EL_INT(rows),
                                  EL_INT(weights->columns),
                                  EL_INT(weights->depth),
                                  EL_INT(wanted),
                                  EL_INT(lists)};
    int status = launch(exec, kernel, store_of(in), row_groups, lists, 1, args, (int)EL_COUNT(args));
    if (status == 0)
        status =
            LAUNCH(exec, merge_lists, EL_STORE_F32, rows, 1, 1, EL_MEMORY(ranks.data), EL_INT(info->rows),
                   EL_INT(lists * wanted), EL_INT(wanted), EL_MEMORY(values->data), EL_MEMORY(places->data));
    el_exec_release(exec, mark);
    return status;
}

// Groups per multiprocessor are reckoned from registers and local memory; nobody has measured them.
static int top_products(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                        struct el_tensor *values, struct el_tensor *places) {
    enum { PER_UNIT = 2 };
    if (values->dim[1] > MOST_FUSED) return el_top_products_plain(exec, in, weights, values, places);
    return fuse_top_products(exec, EL_KERNEL_top_products, PER_UNIT, in, weights, values, places);
}

static int top_products_few(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                            struct el_tensor *values, struct el_tensor *places) {
    enum { PER_UNIT = 4 };
    if (values->dim[1] > MOST_FUSED) return el_top_products_plain(exec, in, weights, values, places);
    return fuse_top_products(exec, EL_KERNEL_top_products_few, PER_UNIT, in, weights, values, places);
}

// ---- weights ----

static int write_buffer(struct el_device *device, const void *bytes, size_t size,
                        struct el_buffer *ret_buffer) {
    EL_TRY(el_buffer_open(device, size, ret_buffer));
    return el_device_write(device, ret_buffer->address, bytes, size);
}

// A row of W as bytes and a scale per block: the largest magnitude of a block becomes 127.
static void quantize_row(const float *row, int64_t depth, int8_t *bytes, float *scales) {
    for (int64_t block = 0; block * EL_INT8_BLOCK < depth; block++) {
        const int64_t first = block * EL_INT8_BLOCK, end = EL_MIN(first + EL_INT8_BLOCK, depth);
        float largest = 0;
        for (int64_t k = first; k < end; k++)
            largest = fmaxf(largest, fabsf(row[k]));
        scales[block] = largest / 127;
        for (int64_t k = first; k < end; k++)
            bytes[k] = largest > 0 ? (int8_t)lrintf(row[k] / scales[block]) : 0;
    }
}

static int write_int8(struct el_device *device, const float *wide, struct el_linear *linear) {
    const int64_t blocks = el_divide_up(linear->depth, EL_INT8_BLOCK);
    const size_t rows = (size_t)linear->columns;
    el_auto_free int8_t *bytes = NULL;
    el_auto_free float *scales = NULL;
    EL_TRY(el_alloc(rows, (size_t)linear->depth, &bytes));
    EL_TRY(el_alloc(rows, (size_t)blocks * sizeof *scales, &scales));
    for (int64_t n = 0; n < linear->columns; n++)
        quantize_row(wide + n * linear->depth, linear->depth, bytes + n * linear->depth, scales + n * blocks);
    EL_TRY(write_buffer(device, bytes, rows * (size_t)linear->depth, &linear->gpu.weights));
    return write_buffer(device, scales, rows * (size_t)blocks * sizeof *scales, &linear->gpu.scales);
}

static int write_weights(struct el_device *device, const struct el_tensor *weight, struct el_linear *linear) {
    const enum el_dtype dtype = el_gpu_dtype(linear->precision);
    const int64_t count = el_tensor_count(weight);
    el_auto_free float *wide = NULL;
    el_auto_free void *stored = NULL;
    if (weight->dtype == EL_F32 && dtype == EL_F32) // rows of a search may be many: not copied here first
        return write_buffer(device, weight->data, (size_t)count * sizeof(float), &linear->gpu.weights);
    EL_TRY(el_alloc((size_t)count, sizeof *wide, &wide));
    el_to_f32(weight->dtype, weight->data, count, wide);
    if (linear->precision == EL_PRECISION_INT8) return write_int8(device, wide, linear);
    EL_TRY(el_alloc((size_t)count, el_dtype_size(dtype), &stored));
    el_from_f32(dtype, wide, count, stored);
    return write_buffer(device, stored, (size_t)count * el_dtype_size(dtype), &linear->gpu.weights);
}

int el_gpu_linear_open(struct el_device *device, const struct el_tensor *weight, const struct el_tensor *bias,
                       struct el_linear *linear) {
    el_auto_free float *zeros_or_bias = NULL;
    EL_TRY(el_zalloc((size_t)linear->columns, sizeof *zeros_or_bias, &zeros_or_bias));
    if (bias && bias->data) el_to_f32(bias->dtype, bias->data, linear->columns, zeros_or_bias);
    EL_TRY(write_weights(device, weight, linear));
    EL_TRY(write_buffer(device, zeros_or_bias, (size_t)linear->columns * sizeof(float), &linear->gpu.bias));
    linear->bytes += linear->gpu.weights.size + linear->gpu.bias.size + linear->gpu.scales.size;
    return 0;
}

size_t el_gpu_linear_bytes(enum el_precision precision, int64_t rows, int64_t columns) {
    const size_t n = (size_t)rows, k = (size_t)columns, scales = (size_t)el_divide_up(columns, EL_INT8_BLOCK);
    const size_t bias = el_buffer_bytes(n * sizeof(float));
    if (precision == EL_PRECISION_INT8)
        return el_buffer_bytes(n * k) + el_buffer_bytes(n * scales * sizeof(float)) + bias;
    return el_buffer_bytes(n * k * el_dtype_size(el_gpu_dtype(precision))) + bias;
}

void el_gpu_linear_close(struct el_linear *linear) {
    el_buffer_close(&linear->gpu.weights);
    el_buffer_close(&linear->gpu.scales);
    el_buffer_close(&linear->gpu.bias);
}

const struct el_filling el_filling_gpu = {
    .ops =
        {
            .name = "gpu",
            .embed_norm = embed_norm,
            .linear = linear,
            .layer_norm = layer_norm,
            .attention = attention,
            .pool = pool,
            .l2_normalize = l2_normalize,
            .inner_products = inner_products,
            .top_k = top_k,
            .top_products = top_products,
            .top_products_few = top_products_few,
        },
};
