// SPDX-License-Identifier: Apache-2.0
// Numbers up, through half the width and back down, on two streams.
#include "cuda_program.h"

#include "base/error.h"
#include "base/mem.h"

enum { WIDE = PROGRAM_COUNT * sizeof(float), NARROW = PROGRAM_COUNT * 2 };

int program_open(int index, struct program *ret_program) {
    struct program *p = ret_program;
    *p = (struct program){0};
    EL_TRY(el_device_open("cuda", index, NULL, &p->device));
    const struct el_backend *backend = p->device->backend;
    EL_TRY(backend->alloc(p->device, WIDE, &p->wide));
    EL_TRY(backend->alloc(p->device, NARROW, &p->narrow));
    EL_TRY(backend->alloc(p->device, WIDE, &p->out));
    EL_TRY(backend->alloc_pinned(p->device, 2 * (size_t)WIDE, (void **)&p->host));
    EL_TRY(el_stream_open(p->device, &p->first));
    EL_TRY(el_stream_open(p->device, &p->second));
    return el_event_open(p->device, &p->halved);
}

int program_convert(struct el_stream *stream, enum el_kernel kernel, const void *in, void *out, int count) {
    const struct el_arg args[] = {EL_MEMORY(in), EL_MEMORY(out), EL_INT(count)};
    const struct el_launch launch = {.kernel = kernel,
                                     .store = EL_STORE_F16,
                                     .groups = {2, 1, 1},
                                     .args = args,
                                     .arg_count = EL_COUNT(args)};
    return el_stream_launch(stream, &launch);
}

// Halves hold these exactly.
static float number(int i) {
    return (float)(i - PROGRAM_COUNT / 2) / 8;
}

int program_compute(struct program *p, bool waits) {
    for (int i = 0; i < PROGRAM_COUNT; i++) {
        p->host[i] = number(i);
        p->host[PROGRAM_COUNT + i] = -1e9f;
    }
    EL_TRY(el_stream_upload(&p->first, p->wide, p->host, WIDE));
    EL_TRY(program_convert(&p->first, EL_KERNEL_to_store, p->wide, p->narrow, PROGRAM_COUNT));
    EL_TRY(el_stream_record(&p->first, &p->halved));
    if (waits) EL_TRY(el_stream_wait(&p->second, &p->halved));
    EL_TRY(program_convert(&p->second, EL_KERNEL_from_store, p->narrow, p->out, PROGRAM_COUNT));
    EL_TRY(el_stream_download(&p->second, p->host + PROGRAM_COUNT, p->out, WIDE));
    EL_TRY(el_stream_sync(&p->second));
    return el_stream_sync(&p->first);
}

bool program_is_right(const struct program *p) {
    for (int i = 0; i < PROGRAM_COUNT; i++)
        if (p->host[PROGRAM_COUNT + i] != number(i)) return false;
    return true;
}

void program_close(struct program *p) {
    if (!p->device) return;
    const struct el_backend *backend = p->device->backend;
    el_event_close(&p->halved);
    el_stream_close(&p->first);
    el_stream_close(&p->second);
    if (p->wide) backend->free(p->device, p->wide);
    if (p->narrow) backend->free(p->device, p->narrow);
    if (p->out) backend->free(p->device, p->out);
    if (p->host) backend->free_pinned(p->device, p->host);
    el_device_close(p->device);
    *p = (struct program){0};
}
