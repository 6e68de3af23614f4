// SPDX-License-Identifier: Apache-2.0
// Loading OpenCL, and the names of its codes.
#include "device/opencl/api.h"

#include "base/dl.h"
#include "base/mem.h"

static const struct el_dl_symbol symbols[] = {
#define X(name, result, parameters) {#name, offsetof(struct el_opencl_api, name), false},
#include "device/opencl/api.def"
#undef X
};

int el_opencl_load(struct el_opencl_api *ret_api) {
    return el_dl_load("libOpenCL.so.1", symbols, EL_COUNT(symbols), ret_api);
}

const char *el_opencl_code_text(cl_int code) {
    switch (code) {
#define X(name, value) \
    case name:         \
        return #name;
        EL_OPENCL_CODES(X)
#undef X
    default:
        return "unknown code";
    }
}
