// SPDX-License-Identifier: Apache-2.0
// The names of precisions.
#include "ops/precision.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const names[EL_PRECISION_COUNT + 1] = {
    [EL_PRECISION_AUTO] = "auto",   [EL_PRECISION_FP32] = "fp32", [EL_PRECISION_TF32] = "tf32",
    [EL_PRECISION_FP16] = "fp16",   [EL_PRECISION_BF16] = "bf16", [EL_PRECISION_INT8] = "int8",
    [EL_PRECISION_BYTES] = "bytes",
};

const char *el_precision_text(enum el_precision precision) {
    return names[precision];
}

int el_precision_parse(const char *text, enum el_precision *ret_precision) {
    for (int i = 0; i < EL_PRECISION_COUNT; i++) {
        if (!el_streq(text, names[i])) continue;
        *ret_precision = (enum el_precision)i;
        return 0;
    }
    return el_fail(EL_EINVAL, "precision is auto, fp32, tf32, fp16, bf16 or int8, not \"%s\"", text);
}
