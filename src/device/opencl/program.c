// SPDX-License-Identifier: Apache-2.0
// The kernels' text, compiled by the driver: one program per store, at its first use. Drivers cache what they
// have compiled, so there is no cache here.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/opencl/opencl.h"

static const char *const store_option[EL_STORE_COUNT] = {
    [EL_STORE_F32] = "-DSTORE_F32",
    [EL_STORE_F16] = "-DSTORE_F16",
    [EL_STORE_BF16] = "-DSTORE_BF16",
};

// The compiler's words, as much as the slot of an error holds.
static int fail_build(const struct el_device *device, struct cl_program *program, enum el_store store,
                      cl_int code) {
    struct el_opencl *cl = el_opencl_of(device);
    el_auto_free char *log = NULL;
    size_t size = 0;
    cl->api.clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    EL_TRY(el_zalloc(size + 1, 1, &log));
    cl->api.clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    return el_fail(EL_EUNSUPPORTED, "%s (%s, %s) cannot compile the kernels for %s (%s): %s", device->id,
                   device->facts.name, device->facts.driver, el_store_text[store], el_opencl_code_text(code),
                   log);
}

// ";a_f32;b_f32;": with both ends marked, so that a name is found by strstr.
static int read_kernel_names(const struct el_device *device, struct cl_program *program, char **ret_names) {
    struct el_opencl *cl = el_opencl_of(device);
    el_auto_free char *names = NULL;
    size_t size = 0;
    EL_TRY(el_opencl_check(device, "clGetProgramInfo",
                           cl->api.clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, 0, NULL, &size)));
    EL_TRY(el_zalloc(size + 3, 1, &names));
    names[0] = ';';
    EL_TRY(
        el_opencl_check(device, "clGetProgramInfo",
                        cl->api.clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, size, names + 1, NULL)));
    names[strlen(names)] = ';';
    *ret_names = el_steal(names);
    return 0;
}

static int build(const struct el_device *device, enum el_store store, struct el_opencl_program *ret_program) {
    struct el_opencl *cl = el_opencl_of(device);
    struct el_opencl_program built = {0};
    const uint64_t begin = el_now_ns();
    char options[64];
    cl_int code = CL_SUCCESS;
    built.program = cl->api.clCreateProgramWithSource(cl->context, 1, &el_opencl_text, NULL, &code);
    if (!built.program) return el_opencl_check(device, "clCreateProgramWithSource", code);
    snprintf(options, sizeof options, "-cl-std=CL1.2 %s", store_option[store]);
    code = cl->api.clBuildProgram(built.program, 1, &cl->device, options, NULL, NULL);
    int status = code == CL_SUCCESS ? read_kernel_names(device, built.program, &built.kernels)
                                    : fail_build(device, built.program, store, code);
    if (status < 0) {
        cl->api.clReleaseProgram(built.program);
        return status;
    }
    el_debug("%s: kernels for %s compiled in %.0f ms", device->id, el_store_text[store],
             (double)(el_now_ns() - begin) / 1e6);
    *ret_program = built;
    return 0;
}

// A text that does not compile is not compiled again: the log of the first time is the answer.
static int build_once(const struct el_device *device, enum el_store store,
                      struct el_opencl_program *program) {
    if (program->program) return 0;
    if (program->failure) return el_fail_copy(EL_EUNSUPPORTED, program->failure);
    const int status = build(device, store, program);
    if (status == EL_EUNSUPPORTED) EL_TRY(el_strdup(el_error_detail(), &program->failure));
    return status;
}

int el_opencl_program(const struct el_device *device, enum el_store store,
                      const struct el_opencl_program **ret_program) {
    struct el_opencl *cl = el_opencl_of(device);
    pthread_mutex_lock(&cl->build_lock);
    const int status = build_once(device, store, &cl->programs[store]);
    pthread_mutex_unlock(&cl->build_lock);
    if (status == 0) *ret_program = &cl->programs[store];
    return status;
}

bool el_opencl_has(const struct el_device *device, enum el_kernel kernel, enum el_store store) {
    const struct el_opencl_program *program = NULL;
    char symbol[64], marked[66];
    if (el_opencl_program(device, store, &program) < 0) {
        el_debug("%s", el_error_detail());
        return false;
    }
    el_kernel_symbol(kernel, store, symbol, sizeof symbol);
    snprintf(marked, sizeof marked, ";%s;", symbol);
    return strstr(program->kernels, marked);
}

void el_opencl_programs_done(struct el_opencl *cl) {
    for (int store = 0; store < EL_STORE_COUNT; store++) {
        if (cl->programs[store].program) cl->api.clReleaseProgram(cl->programs[store].program);
        el_free(cl->programs[store].kernels);
        el_free(cl->programs[store].failure);
    }
}
