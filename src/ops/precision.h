// SPDX-License-Identifier: Apache-2.0
// What a model's matrix products are computed in (docs/precision.md).
#ifndef EL_OPS_PRECISION_H
#define EL_OPS_PRECISION_H

enum el_precision {
    EL_PRECISION_AUTO, // resolved by el_target_init()
    EL_PRECISION_FP32,
    EL_PRECISION_TF32, // fp32 stored; products on tensor cores with 10 bits of mantissa
    EL_PRECISION_FP16,
    EL_PRECISION_BF16,
    EL_PRECISION_INT8, // weights in bytes
    EL_PRECISION_COUNT,
    // Of no model: `linear` of rows that are bytes already (EL_U8, 128 is zero, each filled up to whole units
    // of 4 bytes) and of weights that become bytes, with one scale per row. Sums are exact.
    EL_PRECISION_BYTES = EL_PRECISION_COUNT
};

const char *el_precision_text(enum el_precision precision);                 // "bf16"
int el_precision_parse(const char *text, enum el_precision *ret_precision); // EL_EINVAL names the choices

#endif
