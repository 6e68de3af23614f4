// SPDX-License-Identifier: Apache-2.0
// What tensor-core kernels are written in beyond the dialect: instructions of compute capability 8.0 as PTX,
// and in C17 their emulation (tests/fake/kernels_c/tensor_lanes.c). The 32 lanes of a warp call them
// together.
//
//   INLINED                   begins a function whose register arrays must stay registers
//   UNROLLED                  before a loop whose every turn is its own code, so that indices are constants
//   ROLLED                    before a loop whose code shall stand there once
//   SHARED, shared_of(p)      an address in the group's memory, as these instructions take it
//   copy16(to, from, inside)  begins a copy of 16 bytes to the group's memory; of zeros where not inside
//   COPY_COMMIT               ends a batch of such copies
//   copy_wait(n)              waits until but the last n batches (0, 1, 4) are done: a lane sees its own
//   copies
//                             then; SYNC shows them to the others
//   load_matrices             four 8 x 8 matrices of 16-bit elements; lane 8 i + j points at row j of matrix
//   i multiply_add(sums, a, b)  sums[16][8] += a[16][32 bytes] b[8][32 bytes]^T: mma.sync shuffle_xor(x,
//   mask)      x of lane ^ mask WARP_SYNC                 the lanes of a warp meet load8, store8 eight of the
//   store type from and to floats, aligned to 16 bytes pack2(low, high)          two floats as two halves in
//   32 bits EXP2(x), maximum(x, y)    2^x, the larger
//
// Lane 4 g + t holds, of the sums, {row g, columns 2 t and 2 t + 1} and {row g + 8, the same}; of a, 4 bytes
// each of {row g, byte 4 t}, {g + 8, 4 t}, {g, 4 t + 16}, {g + 8, 4 t + 16}; of b, of {column g, byte 4 t}
// and {g, 4 t + 16}. So load_matrices brings them, matrices in that order; and so, in bytes, for f16, bf16,
// tf32.
#ifndef EL_KERNELS_TENSOR_H
#define EL_KERNELS_TENSOR_H

#include "dialect.h"

// Where 16-byte piece `piece` of row `row` stands in a tile of `pieces` (a multiple of 4) pieces a row:
// turned about such that eight rows at one piece, which is what load_matrices reads at a time, lie in
// different banks.
FUNCTION int tile_place(int row, int piece, int pieces) {
    const int turn = pieces % 8 == 0 ? row & 7 : row >> 1 & 3;
    return (row * pieces + (piece ^ turn)) * 16;
}

#if defined(__clang__) && defined(__CUDA__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__CUDACC__)
#define UNROLLED _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#else
#define UNROLLED
#define ROLLED
#endif

#if defined(__CUDA__) || defined(__CUDACC__)
#define INLINED static __device__ __attribute__((always_inline)) inline
typedef unsigned SHARED;
#define COPY_COMMIT __asm__ volatile("cp.async.commit_group;" ::: "memory")
#define WARP_SYNC __asm__ volatile("bar.warp.sync 0xffffffff;" ::: "memory")

INLINED SHARED shared_of(LOCAL void *p) {
    unsigned long address;
    __asm__("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(p));
    return (unsigned)address;
}

// A constant of the instruction, hence the cases: n is known once this is inlined.
INLINED void copy_wait(int n) {
    if (n == 0) __asm__ volatile("cp.async.wait_group 0;" ::: "memory");
    if (n == 1) __asm__ volatile("cp.async.wait_group 1;" ::: "memory");
    if (n == 4) __asm__ volatile("cp.async.wait_group 4;" ::: "memory");
}

INLINED void copy16(SHARED to, GLOBAL const void *from, int inside) {
    __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                     "r"(inside ? 16 : 0)
                     : "memory");
}

INLINED void load_matrices(unsigned *r, SHARED row) {
    __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(row)
                     : "memory");
}

INLINED void load_matrices_transposed(unsigned *r, SHARED row) {
    __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(row)
                     : "memory");
}

#if defined(STORE_F32)
#define MMA "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
#elif defined(STORE_F16)
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#endif
INLINED void multiply_add(float *sums, const unsigned *a, const unsigned *b) {
    __asm__(MMA " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The bits of a float, rounded to the 10 bits of fraction that tf32 has; ties away from zero.
INLINED unsigned tf32_of(unsigned bits) {
    unsigned rounded;
    __asm__("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(bits_float(bits)));
    return rounded;
}

INLINED float shuffle_xor(float x, int mask) {
    float y;
    __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(y) : "f"(x), "r"(mask));
    return y;
}

INLINED float EXP2(float x) {
    float y;
    __asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

INLINED float maximum(float x, float y) {
    float most;
    __asm__("max.f32 %0, %1, %2;" : "=f"(most) : "f"(x), "f"(y));
    return most;
}

#if !defined(STORE_F32)
INLINED unsigned pack2(float low, float high) {
    unsigned both;
#if defined(STORE_F16)
    __asm__("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#else
    __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#endif
    return both;
}
#endif

#else // C17; what these call is in tests/fake/kernels_c/tensor_lanes.h
#define INLINED static inline
typedef unsigned char *SHARED;
#define COPY_COMMIT el_tensor_copy_commit()
#define WARP_SYNC el_tensor_warp_sync(__FILE__, __LINE__)
#define EXP2(x) __builtin_exp2f(x)
#define maximum(x, y) __builtin_fmaxf(x, y)
#define shared_of(p) ((SHARED)(p))
#define copy16 el_tensor_copy16
#define copy_wait el_tensor_copy_wait
#define load_matrices(words, row) el_tensor_load_matrices(words, row, 0, __FILE__, __LINE__)
#define load_matrices_transposed(words, row) el_tensor_load_matrices(words, row, 1, __FILE__, __LINE__)
#define shuffle_xor(x, mask) el_tensor_shuffle_xor(x, mask, __FILE__, __LINE__)
#if defined(STORE_F32)
#define multiply_add(sums, a, b) el_tensor_multiply_add(sums, a, b, 0, __FILE__, __LINE__)
#define tf32_of el_tensor_tf32
#else
#define multiply_add(sums, a, b) el_tensor_multiply_add(sums, a, b, widen, __FILE__, __LINE__)
FUNCTION unsigned pack2(float low, float high) {
    return narrow(low) | (unsigned)narrow(high) << 16;
}
#endif
#endif

// Bytes of memory that one instruction moves.
struct __attribute__((aligned(16))) sixteen {
    unsigned word[4];
};
struct __attribute__((aligned(8))) two_floats {
    float low, high;
};

#if defined(STORE_F32)
INLINED void load8(float *x, GLOBAL const S *p) {
    UNROLLED
    for (int i = 0; i < 8; i += 4) {
        const F4 four = *(GLOBAL const F4 *)(p + i);
        x[i] = four.x;
        x[i + 1] = four.y;
        x[i + 2] = four.z;
        x[i + 3] = four.w;
    }
}

INLINED void store8(GLOBAL S *p, const float *x) {
    store4(p, four(x[0], x[1], x[2], x[3]));
    store4(p + 4, four(x[4], x[5], x[6], x[7]));
}
#else
INLINED void load8(float *x, GLOBAL const S *p) {
    const struct sixteen packed = *(GLOBAL const struct sixteen *)p;
    UNROLLED
    for (int i = 0; i < 8; i++)
        x[i] = widen((unsigned short)(packed.word[i / 2] >> i % 2 * 16));
}

INLINED void store8(GLOBAL S *p, const float *x) {
    struct sixteen packed;
    UNROLLED
    for (int i = 0; i < 4; i++)
        packed.word[i] = pack2(x[2 * i], x[2 * i + 1]);
    *(GLOBAL struct sixteen *)p = packed;
}
#endif

#endif
