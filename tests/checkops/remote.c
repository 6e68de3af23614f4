// SPDX-License-Identifier: Apache-2.0
// The operations of a device behind a table that takes the processor's tensors, so that cases need not know
// of devices: each call takes its inputs there in the store type, puts guard bytes around its output, and
// brings the result back as f32. Temporaries stay until the exec is closed.
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "checkops.h"
#include "ops/filling.h"

enum { GUARD = EL_DEVICE_ALIGN, GUARD_BYTE = 0xa5 };

// An output on the device, between two guards.
struct landing {
    struct el_tensor all; // i8 [1][GUARD + bytes + GUARD]
    struct el_tensor inner;
};

// `host` (f32 or i32) as `dtype` on the device.
static int send(struct el_exec *exec, const struct el_tensor *host, enum el_dtype dtype,
                struct el_tensor *ret) {
    el_auto_free void *converted = NULL;
    struct el_tensor tensor = *host;
    const int64_t count = el_tensor_count(host);
    if (host->dtype == EL_F32) {
        EL_TRY(el_alloc((size_t)count, el_dtype_size(dtype), &converted));
        el_from_f32(dtype, host->data, count, converted);
        tensor.dtype = dtype;
        tensor.data = converted;
    }
    return el_exec_upload(exec, &tensor, ret);
}

// Room for `host` as `dtype`; what `host` holds lies in it.
static int open_landing(struct el_exec *exec, const struct el_tensor *host, enum el_dtype dtype,
                        struct landing *ret) {
    const size_t bytes = (size_t)el_tensor_count(host) * el_dtype_size(dtype);
    el_auto_free uint8_t *image = NULL;
    EL_TRY(el_alloc(bytes + 2 * GUARD, 1, &image));
    memset(image, GUARD_BYTE, bytes + 2 * GUARD);
    el_from_f32(dtype, host->data, el_tensor_count(host), image + GUARD);
    const struct el_tensor all = el_tensor_2d(EL_I8, image, 1, (int64_t)bytes + 2 * GUARD);
    EL_TRY(el_exec_upload(exec, &all, &ret->all));
    ret->inner = *host;
    ret->inner.dtype = dtype;
    ret->inner.data = (char *)ret->all.data + GUARD;
    return 0;
}

static int close_landing(struct el_exec *exec, const struct landing *landing, struct el_tensor *out) {
    const int64_t size = landing->all.dim[1];
    el_auto_free uint8_t *image = NULL;
    EL_TRY(el_alloc((size_t)size, 1, &image));
    EL_TRY(el_exec_download(exec, &landing->all, image));
    for (int i = 0; i < GUARD; i++)
        if (image[i] != GUARD_BYTE || image[size - 1 - i] != GUARD_BYTE)
            return el_fail(EL_EFORMAT, "the device wrote beside its output");
    el_to_f32(landing->inner.dtype, image + GUARD, el_tensor_count(out), out->data);
    return 0;
}

static int send_seqs(struct el_exec *exec, const struct el_seqs *seqs, struct el_seqs *ret) {
    struct el_tensor start = el_tensor_1d(EL_I32, (void *)(uintptr_t)seqs->start, seqs->count + 1);
    EL_TRY(el_exec_upload(exec, &start, &start));
    *ret = *seqs;
    ret->there = start.data;
    return 0;
}

static int run_embed_norm(struct el_exec *exec, const struct el_tensor *ids,
                          const struct el_tensor *positions, const struct el_tensor *words,
                          const struct el_tensor *places, const struct el_tensor *kind,
                          const struct el_tensor *gamma, const struct el_tensor *beta, float epsilon,
                          struct el_tensor *out) {
    const enum el_dtype dtype = exec->activations;
    struct el_tensor i, p, w, l, k, g, b;
    struct landing landing;
    EL_TRY(send(exec, ids, EL_I32, &i));
    EL_TRY(send(exec, positions, EL_I32, &p));
    EL_TRY(send(exec, words, dtype, &w));
    EL_TRY(send(exec, places, dtype, &l));
    EL_TRY(send(exec, kind, dtype, &k));
    EL_TRY(send(exec, gamma, EL_F32, &g));
    EL_TRY(send(exec, beta, EL_F32, &b));
    EL_TRY(open_landing(exec, out, dtype, &landing));
    EL_TRY(el_filling_gpu.ops.embed_norm(exec, &i, &p, &w, &l, &k, &g, &b, epsilon, &landing.inner));
    return close_landing(exec, &landing, out);
}

static int run_linear(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                      enum el_act act, const struct el_tensor *residual, struct el_tensor *out) {
    struct el_tensor there, rest;
    struct landing landing;
    EL_TRY(send(exec, in, exec->activations, &there));
    EL_TRY(open_landing(exec, out, exec->activations, &landing));
    if (residual && residual->data == out->data)
        rest = landing.inner;
    else if (residual)
        EL_TRY(send(exec, residual, exec->activations, &rest));
    EL_TRY(el_filling_gpu.ops.linear(exec, &there, weights, act, residual ? &rest : NULL, &landing.inner));
    return close_landing(exec, &landing, out);
}

static int run_layer_norm(struct el_exec *exec, const struct el_tensor *in, const struct el_tensor *gamma,
                          const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    struct el_tensor there, g, b;
    struct landing landing;
    EL_TRY(open_landing(exec, out, exec->activations, &landing));
    if (in->data == out->data)
        there = landing.inner;
    else
        EL_TRY(send(exec, in, exec->activations, &there));
    EL_TRY(send(exec, gamma, EL_F32, &g));
    EL_TRY(send(exec, beta, EL_F32, &b));
    EL_TRY(el_filling_gpu.ops.layer_norm(exec, &there, &g, &b, epsilon, &landing.inner));
    return close_landing(exec, &landing, out);
}

static int run_attention(struct el_exec *exec, const struct el_tensor *qkv, const struct el_seqs *seqs,
                         int heads, float scale, struct el_tensor *out) {
    struct el_tensor there;
    struct el_seqs seqs_there;
    struct landing landing;
    EL_TRY(send(exec, qkv, exec->activations, &there));
    EL_TRY(send_seqs(exec, seqs, &seqs_there));
    EL_TRY(open_landing(exec, out, exec->activations, &landing));
    EL_TRY(el_filling_gpu.ops.attention(exec, &there, &seqs_there, heads, scale, &landing.inner));
    return close_landing(exec, &landing, out);
}

static int run_pool(struct el_exec *exec, const struct el_tensor *in, const struct el_seqs *seqs,
                    enum el_pool kind, struct el_tensor *out) {
    struct el_tensor there;
    struct el_seqs seqs_there;
    struct landing landing;
    EL_TRY(send(exec, in, exec->activations, &there));
    EL_TRY(send_seqs(exec, seqs, &seqs_there));
    EL_TRY(open_landing(exec, out, EL_F32, &landing));
    EL_TRY(el_filling_gpu.ops.pool(exec, &there, &seqs_there, kind, &landing.inner));
    return close_landing(exec, &landing, out);
}

static int run_l2_normalize(struct el_exec *exec, struct el_tensor *inout) {
    struct landing landing;
    EL_TRY(open_landing(exec, inout, EL_F32, &landing));
    EL_TRY(el_filling_gpu.ops.l2_normalize(exec, &landing.inner));
    return close_landing(exec, &landing, inout);
}

static int run_inner_products(struct el_exec *exec, const struct el_tensor *rows,
                              const struct el_tensor *others, struct el_tensor *out,
                              struct el_tensor *squares) {
    struct el_tensor r, o;
    struct landing products, own;
    EL_TRY(send(exec, rows, EL_F32, &r));
    EL_TRY(send(exec, others, EL_F32, &o));
    EL_TRY(open_landing(exec, out, EL_F32, &products));
    EL_TRY(open_landing(exec, squares, EL_F32, &own));
    EL_TRY(el_filling_gpu.ops.inner_products(exec, &r, &o, &products.inner, &own.inner));
    EL_TRY(close_landing(exec, &products, out));
    return close_landing(exec, &own, squares);
}

// Places come back as they are: i32 in landings for floats, which are as large.
static int run_top_k(struct el_exec *exec, const struct el_tensor *scores, struct el_tensor *values,
                     struct el_tensor *places) {
    struct el_tensor there;
    struct landing best, at;
    EL_TRY(send(exec, scores, EL_F32, &there));
    EL_TRY(open_landing(exec, values, EL_F32, &best));
    EL_TRY(open_landing(exec, places, EL_F32, &at));
    EL_TRY(el_filling_gpu.ops.top_k(exec, &there, &best.inner, &at.inner));
    EL_TRY(close_landing(exec, &best, values));
    return close_landing(exec, &at, places);
}

typedef int top_products_fn(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                            struct el_tensor *values, struct el_tensor *places);

static int run_either_top_products(top_products_fn *top_products, struct el_exec *exec,
                                   const struct el_tensor *in, const struct el_linear *weights,
                                   struct el_tensor *values, struct el_tensor *places) {
    struct el_tensor there;
    struct landing best, at;
    EL_TRY(send(exec, in, EL_F32, &there));
    EL_TRY(open_landing(exec, values, EL_F32, &best));
    EL_TRY(open_landing(exec, places, EL_F32, &at));
    exec->ops = &el_filling_gpu.ops; // one operation may be made of others
    const int status = top_products(exec, &there, weights, &best.inner, &at.inner);
    exec->ops = &remote_ops;
    EL_TRY(status);
    EL_TRY(close_landing(exec, &best, values));
    return close_landing(exec, &at, places);
}

static int run_top_products(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                            struct el_tensor *values, struct el_tensor *places) {
    return run_either_top_products(el_filling_gpu.ops.top_products, exec, in, weights, values, places);
}

static int run_top_products_few(struct el_exec *exec, const struct el_tensor *in,
                                const struct el_linear *weights, struct el_tensor *values,
                                struct el_tensor *places) {
    return run_either_top_products(el_filling_gpu.ops.top_products_few, exec, in, weights, values, places);
}

const struct el_ops remote_ops = {
    .name = "remote",
#define OP(op, params, tolerance, text) .op = run_##op,
#include "ops/ops.def"
#undef OP
};
