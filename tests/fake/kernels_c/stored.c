// SPDX-License-Identifier: Apache-2.0
// Every kernel as plain C for one store type: compiled three times, with -DSTORE_F32, -DSTORE_F16 and
// -DSTORE_BF16. generated/kernel_calls.inc is made from kernels.def: CALL(name, its arguments out of params).
#include "stored.h"

#include "tensor_lanes.h"

#include "kernels/kernels_mma.k"

#define POINTER(i) (*(void *const *)params[i])
#define INT(i) (*(const int *)params[i])
#define FLOAT(i) (*(const float *)params[i])

#define CALL(name, ...)                            \
    static void call_##name(void *const *params) { \
        STORED(name)(__VA_ARGS__);                 \
    }
#include "generated/kernel_calls.inc"
#undef CALL

#define TEXT(x) #x
#define SYMBOL(x) TEXT(x)

const struct el_c_kernel STORED(el_c_kernels)[] = {
#define CALL(name, ...) {SYMBOL(STORED(name)), name##_lanes, call_##name},
#include "generated/kernel_calls.inc"
#undef CALL
    {0},
};
