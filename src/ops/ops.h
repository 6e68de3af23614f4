// SPDX-License-Identifier: Apache-2.0
// The operation table: what models compute with. Each row of ops.def is a function here, filled in plain C
// (ref.c, the definition), in SIMD per instruction set, later on GPUs; checkops holds them together.
//
// Every operation is batch-invariant: a row of the result has the same bits whatever stands beside it and
// however many threads share the work. Sums run in one fixed order for any number of rows.
#ifndef EL_OPS_OPS_H
#define EL_OPS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/thread.h"
#include "ops/tensor.h"

enum el_act { EL_ACT_NONE, EL_ACT_GELU, EL_ACT_GELU_TANH, EL_ACT_RELU, EL_ACT_SILU };
enum el_pool { EL_POOL_MEAN, EL_POOL_CLS, EL_POOL_MAX };
// What a matrix product is computed in. EL_PRECISION_AUTO is resolved by el_ops_precision().
enum el_precision { EL_PRECISION_AUTO, EL_PRECISION_FP32, EL_PRECISION_BF16, EL_PRECISION_INT8 };

// A packed batch: `count` sequences laid end to end; sequence i is rows start[i] .. start[i + 1] - 1.
struct el_seqs {
    int count;
    const int32_t *start; // [count + 1]
};

// Where an operation runs. One caller at a time.
struct el_exec {
    const struct el_ops *ops;
    struct el_team *team;    // threads that share each operation; NULL: the caller alone
    struct el_arena scratch; // temporaries of one operation; each releases what it took
};

// The weights of y = act(x W^T + b), packed once at load for one filling. Opaque outside src/ops.
struct el_linear;

struct el_ops {
    const char *name; // "ref", "sse2", "avx2", "avx512", "neon"
#define OP(name, params, tolerance, text) int(*name) params;
#include "ops/ops.def"
#undef OP
};

// The fillings this machine can run, best first; the last is always "ref". `el_ops_find` takes a name, or
// NULL for the best (which ELEANOR_SIMD names otherwise); EL_ENOENT lists what there is.
int el_ops_count(void);
const struct el_ops *el_ops_at(int index);
int el_ops_find(const char *name, const struct el_ops **ret_ops);

// The precision that `wanted` means on these ops: auto is the fastest that keeps cosine >= 0.999 with fp32
// (docs/precision.md); a wanted one that the processor has no instructions for is EL_EUNSUPPORTED.
int el_ops_precision(const struct el_ops *ops, enum el_precision wanted, enum el_precision *ret_precision);
const char *el_precision_text(enum el_precision precision);
int el_precision_parse(const char *text, enum el_precision *ret_precision); // EL_EINVAL names the choices

// Packs W [out][in] (f32, f16 or bf16) and bias [out] (f32, f16, bf16; NULL data: none). EL_ENOMEM,
// EL_EUNSUPPORTED. The result borrows nothing.
int el_linear_open(const struct el_ops *ops, enum el_precision precision, const struct el_tensor *weight,
                   const struct el_tensor *bias, struct el_linear **ret_linear);
void el_linear_close(struct el_linear *linear);
size_t el_linear_bytes(const struct el_linear *linear); // memory that it holds

// Converts f16, bf16 or f32 elements to f32.
void el_to_f32(enum el_dtype dtype, const void *from, int64_t count, float *to);

#endif
