// SPDX-License-Identifier: Apache-2.0
// The fake driver itself: starting, which GPUs it shows in which order, what it says of them and of its
// results.
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

enum { ASYNC_ENGINES = 2 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct machine *the_machine;
static int visible[MACHINE_GPUS], visible_count; // places in machine.gpus

void fake_blame(const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "fake libcuda: %s\n", text);
}

struct machine *fake_machine(void) {
    return the_machine;
}

// ---- CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER ----

// The place of a GPU that is called by its number in `order` or by the beginning of its UUID; -1.
static int find_gpu(const int *order, const char *word) {
    char *end;
    long number = strtol(word, &end, 10);
    if (end != word && *end == '\0')
        return number >= 0 && number < the_machine->gpu_count ? order[number] : -1;
    for (int i = 0; i < the_machine->gpu_count; i++)
        if (*word && strncmp(the_machine->gpus[i].uuid, word, strlen(word)) == 0) return i;
    return -1;
}

// The list counts up to its first word that names no GPU.
static void choose_visible(const int *order, const char *list) {
    while (visible_count < MACHINE_GPUS) {
        char word[64];
        const size_t length = strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, list);
        const int gpu = find_gpu(order, word);
        if (gpu < 0) return;
        visible[visible_count++] = gpu;
        if (list[length] == '\0') return;
        list += length + 1;
    }
}

static void start(void) {
    int by_pci[MACHINE_GPUS];
    const char *order = getenv("CUDA_DEVICE_ORDER"), *list = getenv("CUDA_VISIBLE_DEVICES");
    the_machine = machine_get();
    if (!the_machine) return;
    for (int i = 0; i < MACHINE_GPUS; i++)
        by_pci[i] = i;
    const int *numbers = order && strcmp(order, "PCI_BUS_ID") == 0 ? by_pci : the_machine->order;
    if (list) {
        choose_visible(numbers, list);
        return;
    }
    visible_count = the_machine->gpu_count;
    memcpy(visible, numbers, (size_t)visible_count * sizeof *visible);
}

CUresult cuInit(unsigned flags) {
    fake_count(CALL_cuInit);
    pthread_once(&once, start);
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    return visible_count ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult fake_begin(enum fake_call call) {
    fake_count(call);
    return visible_count ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

int fake_gpu_of(CUdevice device) {
    return device >= 0 && device < visible_count ? visible[device] : -1;
}

// ---- results ----

CUresult cuGetErrorName(CUresult result, const char **name) {
    fake_count(CALL_cuGetErrorName);
    switch (result) {
#define RESULT(code, value, status, text) \
    case code:                            \
        *name = #code;                    \
        return CUDA_SUCCESS;
#include "device/cuda/result.def"
#undef RESULT
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult result, const char **text) {
    fake_count(CALL_cuGetErrorString);
    switch (result) {
#define RESULT(code, value, status, words) \
    case code:                             \
        *text = words;                     \
        return CUDA_SUCCESS;
#include "device/cuda/result.def"
#undef RESULT
    }
    return CUDA_ERROR_INVALID_VALUE;
}

// ---- devices ----

CUresult cuDriverGetVersion(int *version) {
    fake_count(CALL_cuDriverGetVersion);
    *version = the_machine ? the_machine->cuda : 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    CUresult result = fake_begin(CALL_cuDeviceGetCount);
    if (result == CUDA_SUCCESS) *count = visible_count;
    return result;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    CUresult result = fake_begin(CALL_cuDeviceGet);
    if (result != CUDA_SUCCESS) return result;
    if (fake_gpu_of(ordinal) < 0) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

// The beginning of a call that asks a device for a fact.
static CUresult begin_fact(enum fake_call call, CUdevice device, const struct machine_gpu **ret_gpu) {
    CUresult result = fake_begin(call);
    if (result != CUDA_SUCCESS) return result;
    if (fake_gpu_of(device) < 0) return CUDA_ERROR_INVALID_DEVICE;
    *ret_gpu = &the_machine->gpus[fake_gpu_of(device)];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    const struct machine_gpu *gpu;
    CUresult result = begin_fact(CALL_cuDeviceGetName, device, &gpu);
    if (result == CUDA_SUCCESS) snprintf(name, (size_t)size, "%s", gpu->name);
    return result;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    const struct machine_gpu *gpu;
    CUresult result = begin_fact(CALL_cuDeviceGetUuid, device, &gpu);
    if (result != CUDA_SUCCESS) return result;
    const char *digits = gpu->uuid + strlen("GPU-");
    for (int i = 0; i < 16; i++) {
        unsigned byte = 0;
        digits += *digits == '-';
        sscanf(digits, "%2x", &byte);
        uuid->bytes[i] = (char)byte;
        digits += 2;
    }
    return CUDA_SUCCESS;
}

// A machine file has NVML's form with eight digits of domain, CUDA has four.
CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device) {
    const struct machine_gpu *gpu;
    CUresult result = begin_fact(CALL_cuDeviceGetPCIBusId, device, &gpu);
    if (result != CUDA_SUCCESS) return result;
    const char *colon = strchr(gpu->pci, ':');
    snprintf(id, (size_t)size, "%s", colon && colon - gpu->pci == 8 ? gpu->pci + 4 : gpu->pci);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    const struct machine_gpu *gpu;
    CUresult result = begin_fact(CALL_cuDeviceTotalMem, device, &gpu);
    if (result == CUDA_SUCCESS) *bytes = (size_t)gpu->memory;
    return result;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    const struct machine_gpu *gpu;
    CUresult result = begin_fact(CALL_cuDeviceGetAttribute, device, &gpu);
    if (result != CUDA_SUCCESS) return result;
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        *value = (int)gpu->multiprocessors;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
        *value = ASYNC_ENGINES;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *value = (int)gpu->capability / 10;
        return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *value = (int)gpu->capability % 10;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}
