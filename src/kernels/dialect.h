// SPDX-License-Identifier: Apache-2.0
// The dialect that kernels are written in: plain C and the words below, which mean the same as CUDA (made
// into PTX by clang or nvcc, without a toolkit header), as OpenCL C 1.2 (without cl_khr_fp16), and as C17,
// where lanes are fibers (tests/fake/kernels_c). The lives differ in this file alone.
//
//   KERNEL(name)         begins a kernel: its symbol is name_store, its lanes are those of kernels.def
//   FUNCTION             begins any other function
//   GLOBAL, LOCAL        where a pointer points: memory of the device, memory of the group
//   LOCAL_ARRAY(t,x,dim) memory of the group, declared first in a kernel; unset, aligned to 16 bytes
//   LANE, GROUP(i)       place of the lane in its group, of the group in the launch
//   GROUPS               how many groups there are along axis 0
//   SYNC                 all lanes of the group meet; behind it they see what was written to LOCAL before
//   S                    the store type: f32, f16 or bf16
//   load, store          one S as a float; a store rounds to nearest even, and NaN stays NaN
//   load4, store4        four neighbours of them, aligned to their size
//   F4                   four floats .x .y .z .w: moved at once, computed one by one
//   QUOTIENT(a, b)       a / b within 2 units of the last place
//   EXP, SQRT, FMA, INFINITE, FLOAT_BITS, BITS_FLOAT, ATOMIC_ADD (returns what was there)
//   UNROLL               before a loop of constant length: arrays that it indexes shall live in registers
//   UNROLL_BY_4          before another loop that is worth it
//
// `int` has 32 and `long` 64 bits. No shuffles, no swizzles, at most 256 lanes and 32 KiB of LOCAL memory.
#ifndef EL_KERNELS_DIALECT_H
#define EL_KERNELS_DIALECT_H

// layer_norm_lanes, linear_rows, linear_columns and so on.
enum {
#define KERNEL(name, lanes, args, rows, columns, text) \
    name##_lanes = lanes, name##_rows = rows, name##_columns = columns,
#include "kernels.def"
#undef KERNEL
};

#if defined(STORE_BF16)
#define STORED(name) name##_bf16
#elif defined(STORE_F16)
#define STORED(name) name##_f16
#else
#define STORED(name) name##_f32
#if !defined(STORE_F32)
#define STORE_F32
#endif
#endif

#if defined(__OPENCL_C_VERSION__)
#define KERNEL(name) __kernel __attribute__((reqd_work_group_size(name##_lanes, 1, 1))) void STORED(name)
// Inlined: PoCL 3.1 makes LOCAL memory that a function of its own names one for all groups.
#define FUNCTION static inline __attribute__((always_inline))
#define GLOBAL __global
#define LOCAL __local
#define LOCAL_ARRAY(type, name, dims) __local type name dims __attribute__((aligned(16)))
#define LANE ((int)get_local_id(0))
#define GROUP(i) ((int)get_group_id(i))
#define GROUPS ((int)get_num_groups(0))
#define SYNC barrier(CLK_LOCAL_MEM_FENCE)
#define EXP(x) exp(x)
#define SQRT(x) sqrt(x)
#define QUOTIENT(a, b) ((a) / (b))
#define FMA(a, b, c) fma(a, b, c)
#define INFINITE INFINITY
#define FLOAT_BITS(x) as_uint(x)
#define BITS_FLOAT(bits) as_float(bits)
#define ATOMIC_ADD(p, n) atomic_add(p, n)
#if defined(POCL_DEVICE_ADDRESS_BITS) // PoCL 3.1 takes minutes for unrolled loops, and then gets some wrong
#define UNROLL
#define UNROLL_BY_4
#else
#define UNROLL _Pragma("unroll")
#define UNROLL_BY_4 _Pragma("unroll 4")
#endif
#define F4 float4
#define BYTES4 char4
#define SHORTS4 ushort4

#elif defined(__CUDA__) || defined(__CUDACC__)
#if defined(__clang__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(lanes) __attribute__((launch_bounds(lanes)))
#define LANE __nvvm_read_ptx_sreg_tid_x()
#define GROUP(i) GROUP_##i
#define GROUP_0 __nvvm_read_ptx_sreg_ctaid_x()
#define GROUP_1 __nvvm_read_ptx_sreg_ctaid_y()
#define GROUP_2 __nvvm_read_ptx_sreg_ctaid_z()
#define GROUPS __nvvm_read_ptx_sreg_nctaid_x()
#define SQRT(x) __nvvm_sqrt_rn_f(x)
#define FMA(a, b, c) __nvvm_fma_rn_f(a, b, c)
#define INFINITE __builtin_inff()
#define ATOMIC_ADD(p, n) __atomic_fetch_add(p, n, __ATOMIC_RELAXED)
typedef float F4 __attribute__((ext_vector_type(4)));
typedef signed char BYTES4 __attribute__((ext_vector_type(4)));
typedef unsigned short SHORTS4 __attribute__((ext_vector_type(4)));
#else // nvcc, which brings the rest
#define LANE ((int)threadIdx.x)
#define GROUP(i) GROUP_##i
#define GROUP_0 ((int)blockIdx.x)
#define GROUP_1 ((int)blockIdx.y)
#define GROUP_2 ((int)blockIdx.z)
#define GROUPS ((int)gridDim.x)
#define SQRT(x) __fsqrt_rn(x)
#define FMA(a, b, c) __fmaf_rn(a, b, c)
#define INFINITE __int_as_float(0x7f800000)
#define ATOMIC_ADD(p, n) atomicAdd(p, n)
#define F4 float4
#define BYTES4 char4
#define SHORTS4 ushort4
#endif
#define KERNEL(name) extern "C" __global__ __launch_bounds__(name##_lanes) void STORED(name)
#define FUNCTION static __device__ inline __attribute__((always_inline))
#define GLOBAL
#define LOCAL
#define LOCAL_ARRAY(type, name, dims) __shared__ __attribute__((aligned(16))) type name dims
#define SYNC __syncthreads()
#define EXP(x) exponential(x)
#define QUOTIENT(a, b) quotient(a, b)
#define FLOAT_BITS(x) float_bits(x)
#define BITS_FLOAT(bits) bits_float(bits)
#define UNROLL _Pragma("unroll")
#define UNROLL_BY_4 _Pragma("unroll 4")

#else // C17; the lanes are in tests/fake/kernels_c/lanes.h
#define KERNEL(name) static void STORED(name)
#define FUNCTION static inline
#define GLOBAL
#define LOCAL
// A pointer to the first row of an array of this type.
#define LOCAL_ARRAY(type, name, dims) \
    __typeof__(&(*(type(*) dims)0)[0]) name = el_lane_local(sizeof(type dims))
#define LANE (el_lane.lane)
#define GROUP(i) (el_lane.group[i])
#define GROUPS (el_lane.groups)
#define SYNC el_lane_sync(__FILE__, __LINE__)
#define EXP(x) __builtin_expf(x)
#define SQRT(x) __builtin_sqrtf(x)
#define QUOTIENT(a, b) ((a) / (b))
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define INFINITE __builtin_inff()
#define FLOAT_BITS(x) float_bits(x)
#define BITS_FLOAT(bits) bits_float(bits)
#define ATOMIC_ADD(p, n) __atomic_fetch_add(p, n, __ATOMIC_RELAXED)
#define UNROLL
#define UNROLL_BY_4
#define F4 struct f4
#define BYTES4 struct bytes4
#define SHORTS4 struct shorts4
struct f4 {
    float x, y, z, w;
};
struct bytes4 {
    signed char x, y, z, w;
};
struct shorts4 {
    unsigned short x, y, z, w;
};
#endif

FUNCTION F4 four(float x, float y, float z, float w) {
    F4 result;
    result.x = x;
    result.y = y;
    result.z = z;
    result.w = w;
    return result;
}

#if !defined(__OPENCL_C_VERSION__)
FUNCTION unsigned float_bits(float x) {
    union {
        float x;
        unsigned bits;
    } both;
    both.x = x;
    return both.bits;
}

FUNCTION float bits_float(unsigned bits) {
    union {
        float x;
        unsigned bits;
    } both;
    both.bits = bits;
    return both.x;
}
#endif

#if defined(__CUDA__) || defined(__CUDACC__)
FUNCTION float exponential(float x) {
    float y;
    __asm__("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x * 1.44269504088896341f));
    return y;
}

FUNCTION float quotient(float a, float b) {
    float x;
    __asm__("div.full.f32 %0, %1, %2;" : "=f"(x) : "f"(a), "f"(b));
    return x;
}
#endif

// The store type
// -------------------------------------------------------------------------------------------------

#if defined(STORE_BF16) || (defined(STORE_F16) && !defined(__OPENCL_C_VERSION__))
#define S unsigned short

#if defined(STORE_BF16)
FUNCTION float widen(unsigned short x) {
    return BITS_FLOAT((unsigned)x << 16);
}

FUNCTION unsigned short narrow(float x) {
    const unsigned bits = FLOAT_BITS(x);
    if (x != x) return (unsigned short)(bits >> 16 | 0x40); // not rounded away to infinity
    return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#elif defined(__CUDA__) || defined(__CUDACC__)
FUNCTION float widen(unsigned short x) {
    float y;
    __asm__("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
    return y;
}

FUNCTION unsigned short narrow(float x) {
    unsigned short y;
    __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
}
#else
// A product with 2^112 moves the exponent to where a float has it, for subnormals too.
FUNCTION float widen(unsigned short x) {
    const unsigned sign = (x & 0x8000u) << 16, rest = (x & 0x7fffu) << 13;
    if (rest >= 0x7c00u << 13) return BITS_FLOAT(sign | 0x7f800000 | rest);
    return BITS_FLOAT(sign | FLOAT_BITS(BITS_FLOAT(rest) * 0x1p112f));
}

FUNCTION unsigned short narrow(float x) {
    const unsigned sign = FLOAT_BITS(x) >> 16 & 0x8000, rest = FLOAT_BITS(x) & 0x7fffffff;
    if (rest > 0x7f800000) return (unsigned short)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x477ff000) return (unsigned short)(sign | 0x7c00); // from 65520 on, infinity
    if (rest < 0x38800000) // subnormal: the sum's last place is that of the result
        return (unsigned short)(sign | (FLOAT_BITS(BITS_FLOAT(rest) + 0.5f) - FLOAT_BITS(0.5f)));
    return (unsigned short)(sign | ((rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13));
}
#endif

FUNCTION float load(GLOBAL const S *p) {
    return widen(*p);
}

FUNCTION void store(GLOBAL S *p, float x) {
    *p = narrow(x);
}

FUNCTION F4 load4(GLOBAL const S *p) {
    const SHORTS4 v = *(GLOBAL const SHORTS4 *)p;
    return four(widen(v.x), widen(v.y), widen(v.z), widen(v.w));
}

FUNCTION void store4(GLOBAL S *p, F4 v) {
    SHORTS4 narrowed;
    narrowed.x = narrow(v.x);
    narrowed.y = narrow(v.y);
    narrowed.z = narrow(v.z);
    narrowed.w = narrow(v.w);
    *(GLOBAL SHORTS4 *)p = narrowed;
}
#elif defined(STORE_F16)
#define S half
FUNCTION float load(GLOBAL const S *p) {
    return vload_half(0, p);
}

FUNCTION void store(GLOBAL S *p, float x) {
    vstore_half_rte(x, 0, p);
}

FUNCTION F4 load4(GLOBAL const S *p) {
    return vload_half4(0, p);
}

FUNCTION void store4(GLOBAL S *p, F4 v) {
    vstore_half4_rte(v, 0, p);
}
#else
#define S float
FUNCTION float load(GLOBAL const S *p) {
    return *p;
}

FUNCTION void store(GLOBAL S *p, float x) {
    *p = x;
}

FUNCTION F4 load4(GLOBAL const S *p) {
    return *(GLOBAL const F4 *)p;
}

FUNCTION void store4(GLOBAL S *p, F4 v) {
    *(GLOBAL F4 *)p = v;
}
#endif

#endif
