// SPDX-License-Identifier: Apache-2.0
// What was called, launched and left behind, written as JSON into the file EL_FAKE_REPORT when the process
// ends.
#include <stdio.h>
#include <stdlib.h>

#include "fake_cuda.h"

static const char *const names[CALL_COUNT] = {
#define CUDA(name, symbol, parameters) #name,
#include "device/cuda/api.def"
#undef CUDA
};
static _Atomic long calls[CALL_COUNT], launches[EL_KERNEL_COUNT][EL_STORE_COUNT];
static _Atomic long left_device, left_pinned, left_streams, left_events, left_graphs;

void fake_count(enum fake_call call) {
    calls[call]++;
}

void fake_count_launch(enum el_kernel kernel, enum el_store store) {
    launches[kernel][store]++;
}

void fake_count_left(long device_memory, long pinned_memory, long streams, long events, long graphs) {
    left_device += device_memory;
    left_pinned += pinned_memory;
    left_streams += streams;
    left_events += events;
    left_graphs += graphs;
}

static void print_launches(FILE *file) {
    const char *comma = "";
    for (int kernel = 0; kernel < EL_KERNEL_COUNT; kernel++)
        for (int store = 0; store < EL_STORE_COUNT; store++) {
            char symbol[64];
            if (!launches[kernel][store]) continue;
            el_kernel_symbol((enum el_kernel)kernel, (enum el_store)store, symbol, sizeof symbol);
            fprintf(file, "%s\"%s\": %ld", comma, symbol, launches[kernel][store]);
            comma = ", ";
        }
}

static __attribute__((destructor)) void write_report(void) {
    const char *path = getenv("EL_FAKE_REPORT");
    FILE *file = path && *path ? fopen(path, "we") : NULL;
    const char *comma = "";
    if (!file) return;
    fprintf(file, "{\"calls\": {");
    for (int call = 0; call < CALL_COUNT; call++)
        if (calls[call]) {
            fprintf(file, "%s\"%s\": %ld", comma, names[call], calls[call]);
            comma = ", ";
        }
    fprintf(file, "},\n \"launches\": {");
    print_launches(file);
    long contexts = 0; // that were never destroyed
    pthread_mutex_lock(&fake_lock);
    for (struct CUctx_st *context = fake_contexts; context; context = context->next)
        contexts += !context->destroyed;
    pthread_mutex_unlock(&fake_lock);
    fprintf(file,
            "},\n \"left\": {\"contexts\": %ld, \"device_memory\": %ld, \"pinned_memory\": %ld, \"streams\": "
            "%ld, \"events\": %ld, \"graphs\": %ld}}\n",
            contexts, left_device, left_pinned, left_streams, left_events, left_graphs);
    fclose(file);
}
