// SPDX-License-Identifier: Apache-2.0
// The tensor-core kernels with a mistake, chosen by -DBREAK_... and named by -DMISTAKE=name.
#include "mma_broken.h"

#include "tensor_lanes.h"

#define STORE_F16
#include "kernels/kernels.k"

#include "kernels/tensor.h"

#if defined(BREAK_WAIT)
#undef copy_wait
#define copy_wait(n) ((void)(n))
#elif defined(BREAK_COUNT)
#undef copy_wait
#define copy_wait(n) el_tensor_copy_wait((n) + 1)
#elif defined(BREAK_BARRIER)
#undef SYNC
#define SYNC WARP_SYNC
#elif defined(BREAK_FRAGMENTS)
static void load_swapped(unsigned *words, const unsigned char *row) {
    el_tensor_load_matrices(words, row, false, __FILE__, __LINE__);
    const unsigned second = words[1];
    words[1] = words[2];
    words[2] = second;
}
#undef load_matrices
#define load_matrices load_swapped
#elif defined(BREAK_BOUNDS)
#undef copy16
#define copy16(to, from, inside) el_tensor_copy16(to, (inside) ? (const void *)(from) : garbage, 1)
static _Alignas(16) const unsigned short garbage[8] = {[0 ... 7] = 0x7e00}; // NaN
#endif

#include "kernels/attention_mma.k"
#include "kernels/linear_mma.k"

static void call_linear(void *const *params) {
    linear_mma_small_f16(*(void *const *)params[0], *(void *const *)params[1], *(void *const *)params[2],
                         *(void *const *)params[3], *(void *const *)params[4], *(const int *)params[5],
                         *(const int *)params[6], *(const int *)params[7], *(const int *)params[8],
                         *(const int *)params[9]);
}

static void call_attention(void *const *params) {
    attention_mma_64_f16(*(void *const *)params[0], *(void *const *)params[1], *(const int *)params[2],
                         *(const int *)params[3], *(const float *)params[4], *(void *const *)params[5]);
}

#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN_(a, b, c)
const struct el_c_kernel JOIN(el_broken_, MISTAKE, _linear) = {"broken linear_mma_small", 128, call_linear};
const struct el_c_kernel JOIN(el_broken_, MISTAKE, _attention) = {"broken attention_mma_64", 128,
                                                                  call_attention};
