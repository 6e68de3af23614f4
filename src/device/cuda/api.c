// SPDX-License-Identifier: Apache-2.0
// Finding the CUDA driver, and what its results mean.
#include "device/cuda/api.h"

#include "base/dl.h"
#include "base/error.h"
#include "base/mem.h"

static const struct el_dl_symbol symbols[] = {
#define CUDA(name, symbol, parameters) {#symbol, offsetof(struct el_cuda_api, name), false},
#include "device/cuda/api.def"
#undef CUDA
};

int el_cuda_load(struct el_cuda_api *ret_api) {
    struct el_cuda_api api;
    EL_TRY(el_dl_load("libcuda.so.1", symbols, EL_COUNT(symbols), &api));
    CUresult result = api.cuInit(0);
    // A driver without a device (or with CUDA_VISIBLE_DEVICES empty) is no failure: there are none of them.
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NO_DEVICE) {
        el_cuda_check(&api, "the CUDA driver", "cuInit", result);
        return EL_EUNSUPPORTED;
    }
    *ret_api = api;
    return 0;
}

static int status_of(CUresult result) {
    switch (result) {
#define RESULT(name, value, status, text) \
    case name:                            \
        return status;
#include "device/cuda/result.def"
#undef RESULT
    }
    return EL_EIO; // a code that came after this was written: nothing is known of it
}

int el_cuda_check(const struct el_cuda_api *api, const char *who, const char *call, CUresult result) {
    if (result == CUDA_SUCCESS) return 0;
    const char *name = NULL, *text = NULL;
    api->cuGetErrorName(result, &name);
    api->cuGetErrorString(result, &text);
    return el_fail(status_of(result), "%s: %s: %s (%d: %s)", who, call, name ? name : "unknown result",
                   result, text ? text : "the driver does not say");
}
