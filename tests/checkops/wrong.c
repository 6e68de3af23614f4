// SPDX-License-Identifier: Apache-2.0
// Deliberately wrong operation tables, to see that checkops catches them: each operation computes what the
// right table does and then spoils its output a little.
#include <math.h>
#include <string.h>

#include "checkops.h"
#include "ops/filling.h"

static const struct el_ops *right_ops;
static enum spoil how;

// Spoils the last element of `out`, or a byte beside it.
static int spoil(int status, struct el_tensor *out) {
    int64_t count = el_tensor_count(out);
    if (status < 0 || count == 0) return status;
    float *last = el_f32(out) + count - 1;
    switch (how) {
    case SPOIL_VALUE:
        *last = *last * 1.01f + 1e-30f;
        break;
    case SPOIL_NAN:
        *last = isnan(*last) ? 0 : NAN;
        break;
    case SPOIL_AFTER_END:
        ((char *)(last + 1))[0] ^= 1;
        break;
    case SPOIL_BEFORE_START:
        ((char *)out->data)[-1] ^= 1;
        break;
    case SPOIL_COUNT:
        break;
    }
    return 0;
}

static int wrong_embed_norm(struct el_exec *exec, const struct el_tensor *ids,
                            const struct el_tensor *positions, const struct el_tensor *words,
                            const struct el_tensor *places, const struct el_tensor *kind,
                            const struct el_tensor *gamma, const struct el_tensor *beta, float epsilon,
                            struct el_tensor *out) {
    return spoil(right_ops->embed_norm(exec, ids, positions, words, places, kind, gamma, beta, epsilon, out),
                 out);
}

static int wrong_linear(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                        enum el_act act, const struct el_tensor *residual, struct el_tensor *out) {
    return spoil(right_ops->linear(exec, in, weights, act, residual, out), out);
}

static int wrong_layer_norm(struct el_exec *exec, const struct el_tensor *in, const struct el_tensor *gamma,
                            const struct el_tensor *beta, float epsilon, struct el_tensor *out) {
    return spoil(right_ops->layer_norm(exec, in, gamma, beta, epsilon, out), out);
}

static int wrong_attention(struct el_exec *exec, const struct el_tensor *qkv, const struct el_seqs *seqs,
                           int heads, float scale, struct el_tensor *out) {
    return spoil(right_ops->attention(exec, qkv, seqs, heads, scale, out), out);
}

static int wrong_pool(struct el_exec *exec, const struct el_tensor *in, const struct el_seqs *seqs,
                      enum el_pool kind, struct el_tensor *out) {
    return spoil(right_ops->pool(exec, in, seqs, kind, out), out);
}

static int wrong_l2_normalize(struct el_exec *exec, struct el_tensor *inout) {
    return spoil(right_ops->l2_normalize(exec, inout), inout);
}

static int wrong_inner_products(struct el_exec *exec, const struct el_tensor *rows,
                                const struct el_tensor *others, struct el_tensor *out,
                                struct el_tensor *squares) {
    int status = right_ops->inner_products(exec, rows, others, out, squares);
    return spoil(status, el_tensor_count(out) > 0 ? out : squares);
}

static int wrong_top_k(struct el_exec *exec, const struct el_tensor *scores, struct el_tensor *values,
                       struct el_tensor *places) {
    return spoil(right_ops->top_k(exec, scores, values, places), values);
}

// These may be made of operations of the exec's table, which must not spoil them first.
static int wrong_top_products(struct el_exec *exec, const struct el_tensor *in,
                              const struct el_linear *weights, struct el_tensor *values,
                              struct el_tensor *places) {
    const struct el_ops *wrong = exec->ops;
    exec->ops = right_ops;
    const int status = right_ops->top_products(exec, in, weights, values, places);
    exec->ops = wrong;
    return spoil(status, values);
}

static int wrong_top_products_few(struct el_exec *exec, const struct el_tensor *in,
                                  const struct el_linear *weights, struct el_tensor *values,
                                  struct el_tensor *places) {
    return wrong_top_products(exec, in, weights, values, places);
}

const struct el_ops *wrong_ops(const struct el_ops *right, enum spoil wanted) {
    static struct el_filling wrong;
    right_ops = right;
    how = wanted;
    wrong = *(const struct el_filling *)right; // the products stay: weights are packed for them
    wrong.ops.name = "wrong";
#define OP(op, params, tolerance, text) wrong.ops.op = wrong_##op;
#include "ops/ops.def"
#undef OP
    return &wrong.ops;
}
