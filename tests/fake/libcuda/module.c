// SPDX-License-Identifier: Apache-2.0
// Modules of the fake driver: nothing runs the PTX, but its version, its target and the parameters of its
// entries must be right, and a function is found only if it has an entry.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

// What the driver writes into the log that the caller gave, if any.
static void write_log(unsigned count, const CUjit_option *options, void **values, const char *text) {
    char *log = NULL;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER) log = values[i];
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) size = (size_t)(uintptr_t)values[i];
    }
    if (log) snprintf(log, size, "%s", text);
}

// The PTX that a driver knows: 7.x came with CUDA 11.x, 8.x with 12.x, 9.x with 13.x.
static CUresult check_text(const char *text, int gpu, char *ret_log, size_t size) {
    const struct machine *machine = fake_machine();
    const char *version = strstr(text, ".version"), *target = strstr(text, ".target sm_");
    int major, minor, capability;
    if (!version || sscanf(version, ".version %d.%d", &major, &minor) != 2 || !target ||
        sscanf(target, ".target sm_%d", &capability) != 1) {
        snprintf(ret_log, size, "ptxas fatal : no .version or .target");
        return CUDA_ERROR_INVALID_PTX;
    }
    if ((major + 4) * 1000 + minor * 10 > machine->cuda) {
        snprintf(ret_log, size, "ptxas fatal : Unsupported .version %d.%d", major, minor);
        return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    }
    if (capability > machine->gpus[gpu].capability) {
        snprintf(ret_log, size, "ptxas fatal : SM version sm_%d is newer than the device", capability);
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options,
                            void **values) {
    char log[128];
    CUcontext context;
    CUresult result = fake_enter(CALL_cuModuleLoadDataEx, &context);
    if (result != CUDA_SUCCESS) return result;
    result = check_text(image, context->gpu, log, sizeof log);
    if (result != CUDA_SUCCESS) {
        write_log(count, options, values, log);
        return result;
    }
    struct CUmod_st *fresh = calloc(1, sizeof *fresh);
    if (!fresh || !(fresh->text = strdup(image))) {
        free(fresh);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&fake_lock);
    fresh->next = context->modules;
    context->modules = fresh;
    pthread_mutex_unlock(&fake_lock);
    *module = fresh;
    return CUDA_SUCCESS;
}

// ---- functions ----

// Behind the "(" of the entry; NULL when there is none.
static const char *find_entry(const char *text, const char *name) {
    const size_t length = strlen(name);
    while ((text = strstr(text, ".entry"))) {
        text += strlen(".entry");
        text += strspn(text, " \t");
        if (strncmp(text, name, length) == 0 && text[length + strspn(text + length, " \t\n")] == '(')
            return strchr(text, '(') + 1;
    }
    return NULL;
}

// Whether the parameters are of the widths that `args`, letters of kernels.def, asks for.
static bool check_parameters(const char *text, const char *args) {
    const char *end = strchr(text, ')');
    for (; end; args++) {
        char kind;
        int bits;
        text = strstr(text, ".param");
        if (!text || text > end) return *args == '\0';
        text += strlen(".param");
        if (!*args || sscanf(text, " .%c%d", &kind, &bits) != 2) return false;
        if (bits != (*args == 'm' ? 64 : 32) || (kind == 'f') != (*args == 'f')) return false;
    }
    return false;
}

static bool find_kernel(const char *name, enum el_kernel *ret_kernel, enum el_store *ret_store) {
    for (int kernel = 0; kernel < EL_KERNEL_COUNT; kernel++)
        for (int store = 0; store < EL_STORE_COUNT; store++) {
            char symbol[64];
            el_kernel_symbol((enum el_kernel)kernel, (enum el_store)store, symbol, sizeof symbol);
            if (strcmp(symbol, name) != 0) continue;
            *ret_kernel = (enum el_kernel)kernel;
            *ret_store = (enum el_store)store;
            return true;
        }
    return false;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuModuleGetFunction, &context);
    if (result != CUDA_SUCCESS) return result;
    const char *parameters = find_entry(module->text, name);
    struct CUfunc_st found = {.context = context, .life = el_c_life_find(name)};
    if (!parameters || !found.life || !find_kernel(name, &found.kernel, &found.store))
        return CUDA_ERROR_NOT_FOUND;
    if (!check_parameters(parameters, el_kernels[found.kernel].args)) {
        fake_blame("the parameters of %s in the PTX are not \"%s\"", name, el_kernels[found.kernel].args);
        return CUDA_ERROR_INVALID_IMAGE;
    }
    struct CUfunc_st *fresh = malloc(sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&fake_lock);
    found.next = module->functions;
    *fresh = found;
    module->functions = fresh;
    pthread_mutex_unlock(&fake_lock);
    *function = fresh;
    return CUDA_SUCCESS;
}
