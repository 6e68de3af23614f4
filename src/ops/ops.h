// SPDX-License-Identifier: Apache-2.0
// The operation table: what models compute with. Each row of ops.def is a function here, filled in plain C
// (ref.c, the definition), in SIMD per instruction set, and by kernels on devices (gpu.c); checkops holds
// them together. On a device an operation is queued on the exec's stream and returns at once.
//
// Every operation is batch-invariant: a row of the result has the same bits whatever stands beside it and
// however many threads share the work. Sums run in one fixed order for any number of rows.
#ifndef EL_OPS_OPS_H
#define EL_OPS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/exec.h"
#include "ops/precision.h"
#include "ops/tensor.h"

enum el_act { EL_ACT_NONE, EL_ACT_GELU, EL_ACT_GELU_TANH, EL_ACT_RELU, EL_ACT_SILU };
enum el_pool { EL_POOL_MEAN, EL_POOL_CLS, EL_POOL_MAX };

// A packed batch: `count` sequences laid end to end; sequence i is rows start[i] .. start[i + 1] - 1.
struct el_seqs {
    int count;
    const int32_t *start; // [count + 1], for the processor
    const int32_t *there; // the same where the operations compute; the processor does not look here
};

int64_t el_seqs_longest(const struct el_seqs *seqs); // rows of the longest; 0 when there is none

// The weights of y = act(x W^T + b), packed once at load for one filling. Opaque outside src/ops.
struct el_linear;

struct el_ops {
    const char *name; // "ref", "sse2", "avx2", "avx512", "neon", "gpu"
#define OP(name, params, tolerance, text) int(*name) params;
#include "ops/ops.def"
#undef OP
};

// The fillings this machine can run, best first; the last is always "ref". `el_ops_find` takes a name, or
// NULL for the best (which ELEANOR_SIMD names otherwise); EL_ENOENT lists what there is.
int el_ops_count(void);
const struct el_ops *el_ops_at(int index);
int el_ops_find(const char *name, const struct el_ops **ret_ops);

// The precision that `wanted` means on these operations of the processor: auto is the fastest that keeps
// cosine >= 0.999 with fp32 (docs/precision.md); one that it has no instructions for is EL_EUNSUPPORTED.
int el_ops_precision(const struct el_ops *ops, enum el_precision wanted, enum el_precision *ret_precision);

// Packs W [out][in] (f32, f16 or bf16) and bias [out] (f32, f16, bf16; NULL: none), both in the processor's
// memory, for the target. The result borrows nothing but the device. EL_ENOMEM, EL_EUNSUPPORTED, EL_ELOST.
int el_linear_open(const struct el_target *target, const struct el_tensor *weight,
                   const struct el_tensor *bias, struct el_linear **ret_linear);
void el_linear_close(struct el_linear *linear);
// Says that inputs will be blocks of one long matrix, in order: on the processor each fetches the next from
// memory while it computes. What lies behind the last is not touched.
void el_linear_expect_stream(struct el_linear *linear);
size_t el_linear_bytes(const struct el_linear *linear); // memory that it holds, on its device
// What a layer of W [rows][columns] takes of a GPU.
size_t el_gpu_linear_bytes(enum el_precision precision, int64_t rows, int64_t columns);

#endif
