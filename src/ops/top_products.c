// SPDX-License-Identifier: Apache-2.0
// The largest products in two steps: all of them into temporary memory, and then the largest of each row. It
// is what fused kernels compute, and does their work where there is none.
#include "base/error.h"
#include "base/mem.h"
#include "ops/filling.h"

enum {
    MOST_SCORES = 1 << 24, // at a time: 64 MiB, or those of STEP rows
    STEP = 128, // rows, of whatever width: what begins behind so many is aligned to EL_DEVICE_ALIGN
};

static int multiply_and_select(struct el_exec *exec, const struct el_tensor *in,
                               const struct el_linear *weights, struct el_tensor *values,
                               struct el_tensor *places) {
    struct el_tensor scores;
    const struct el_exec_mark mark = el_exec_mark(exec);
    int status = el_exec_alloc(exec, EL_F32, in->dim[0], weights->columns, &scores);
    if (status == 0) status = exec->ops->linear(exec, in, weights, EL_ACT_NONE, NULL, &scores);
    if (status == 0) status = exec->ops->top_k(exec, &scores, values, places);
    el_exec_release(exec, mark);
    return status;
}

int el_top_products_plain(struct el_exec *exec, const struct el_tensor *in, const struct el_linear *weights,
                          struct el_tensor *values, struct el_tensor *places) {
    const int64_t step = EL_MAX(MOST_SCORES / EL_MAX(weights->columns, 1) / STEP * STEP, STEP);
    for (int64_t first = 0; first < in->dim[0]; first += step) {
        const int64_t count = EL_MIN(step, in->dim[0] - first);
        const struct el_tensor part = el_tensor_rows(in, first, count);
        struct el_tensor part_values = el_tensor_rows(values, first, count);
        struct el_tensor part_places = el_tensor_rows(places, first, count);
        EL_TRY(multiply_and_select(exec, &part, weights, &part_values, &part_places));
    }
    return 0;
}
