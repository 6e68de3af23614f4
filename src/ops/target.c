// SPDX-License-Identifier: Apache-2.0
// Which operations and which precision a device gets.
#include "base/error.h"
#include "ops/filling.h"

// What a device can do: a kernel for it decides. tf32 is tensor cores or nothing.
static bool device_has(const struct el_device *device, enum el_precision precision) {
    const enum el_store store = el_gpu_store(precision);
    switch (precision) {
    case EL_PRECISION_TF32:
        return device->backend->has(device, EL_KERNEL_linear_mma, store);
    case EL_PRECISION_INT8:
        return device->backend->has(device, EL_KERNEL_linear_int8, store);
    default:
        return device->backend->has(device, EL_KERNEL_linear, store);
    }
}

// fp16 halves what is read and has tensor cores from capability 7.0; a processor behind OpenCL gains nothing.
static enum el_precision fastest(const struct el_device *device) {
    return device->facts.is_processor ? EL_PRECISION_FP32 : EL_PRECISION_FP16;
}

int el_target_init(struct el_device *device, enum el_precision wanted, struct el_target *ret_target) {
    struct el_target target = {.device = device, .precision = wanted};
    if (el_device_is_host(device)) {
        EL_TRY(el_ops_find(NULL, &target.ops));
        EL_TRY(el_ops_precision(target.ops, wanted, &target.precision));
    } else {
        target.ops = &el_filling_gpu.ops;
        if (wanted == EL_PRECISION_AUTO) target.precision = fastest(device);
        if (!device_has(device, target.precision))
            return el_fail(EL_EUNSUPPORTED, "%s (%s) has no kernels for precision %s; use auto or fp32",
                           device->id, device->facts.name, el_precision_text(target.precision));
    }
    *ret_target = target;
    return 0;
}
