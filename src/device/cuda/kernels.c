// SPDX-License-Identifier: Apache-2.0
// The kernels of a CUDA device: per store the best PTX that it can run, compiled by the driver when loaded.
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/cuda/cuda.h"

enum { LOG_SIZE = 512 }; // bytes of the driver's complaint that fit in an error's detail

// The last text that fits is the best; NULL when there is none.
static const struct el_ptx *find_text(int capability, enum el_store store) {
    const struct el_ptx *best = NULL;
    for (int i = 0; i < el_ptx_count; i++)
        if (el_ptx[i].store == store && el_ptx[i].capability <= capability) best = &el_ptx[i];
    return best;
}

static int load_module(struct el_device *device, const struct el_ptx *ptx, CUmodule *ret_module) {
    struct el_cuda_device *cuda = device->state;
    char log[LOG_SIZE] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    CUresult result = cuda->api.cuModuleLoadDataEx(ret_module, ptx->text, EL_COUNT(options), options, values);
    int status = el_cuda_check(&cuda->api, device->id, "cuModuleLoadDataEx", result);
    if (status == 0) return 0;
    return el_fail(status, "%s\nkernels: %s, made by %s for capability %d.%d; driver: %s\n%s",
                   el_error_detail(), el_store_text[ptx->store], el_ptx_compiler, ptx->capability / 10,
                   ptx->capability % 10, device->facts.driver, log);
}

// A kernel that the text lacks is one for other devices: not there, no failure.
static int find_functions(struct el_device *device, CUmodule module, enum el_store store) {
    struct el_cuda_device *cuda = device->state;
    for (int kernel = 0; kernel < EL_KERNEL_COUNT; kernel++) {
        char symbol[64];
        CUfunction function;
        el_kernel_symbol(kernel, store, symbol, sizeof symbol);
        CUresult result = cuda->api.cuModuleGetFunction(&function, module, symbol);
        if (result == CUDA_ERROR_NOT_FOUND) continue;
        EL_TRY(el_cuda_check(&cuda->api, device->id, "cuModuleGetFunction", result));
        cuda->functions[kernel][store] = function;
    }
    return 0;
}

int el_cuda_load_kernels(struct el_device *device) {
    uint64_t start = el_now_ns();
    if (el_ptx_count == 0)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: this eleanor was built without CUDA kernels (it takes clang or nvcc)",
                       device->id);
    for (int store = 0; store < EL_STORE_COUNT; store++) {
        const struct el_ptx *ptx = find_text(device->facts.capability, store);
        if (!ptx) continue;
        CUmodule module; // belongs to the context and goes with it
        EL_TRY(load_module(device, ptx, &module));
        EL_TRY(find_functions(device, module, store));
    }
    device->facts.build_ns = el_now_ns() - start;
    return 0;
}
