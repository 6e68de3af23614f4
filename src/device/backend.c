// SPDX-License-Identifier: Apache-2.0
// The table of back-ends, and the few calls that every device shares.
#include "device/backend.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

extern const struct el_backend el_backend_host;

const struct el_backend *const el_backends[] = {&el_backend_host};
const int el_backend_count = EL_COUNT(el_backends);

static const struct el_backend *find_backend(const char *name) {
    for (int i = 0; i < el_backend_count; i++)
        if (el_streq(el_backends[i]->name, name)) return el_backends[i];
    return NULL;
}

int el_device_open(const char *backend_name, int index, struct el_device **ret_device) {
    const struct el_backend *backend = find_backend(backend_name);
    if (!backend) return el_fail(EL_ENOENT, "no back-end \"%s\"; this build has: host", backend_name);
    if (index < 0 || index >= backend->count())
        return el_fail(EL_ENOENT, "no device %s:%d; there are %d", backend_name, index, backend->count());
    struct el_device *device;
    int status = el_zalloc(1, sizeof *device, &device);
    if (status < 0) return status;
    device->backend = backend;
    device->index = index;
    status = backend->open(device, index);
    if (status < 0) {
        el_free(device);
        return status;
    }
    *ret_device = device;
    return 0;
}

void el_device_close(struct el_device *device) {
    if (!device) return;
    device->backend->close(device);
    el_free(device);
}

int el_buffer_open(struct el_device *device, size_t size, struct el_buffer *ret_buffer) {
    struct el_buffer buffer = {.device = device, .size = size};
    int status = device->backend->alloc(device, size, &buffer);
    if (status < 0) return status;
    __atomic_fetch_add(&device->allocated, size, __ATOMIC_RELAXED);
    *ret_buffer = buffer;
    return 0;
}

void el_buffer_close(struct el_buffer *buffer) {
    if (!buffer->device) return;
    __atomic_fetch_sub(&buffer->device->allocated, buffer->size, __ATOMIC_RELAXED);
    buffer->device->backend->free(buffer);
    *buffer = (struct el_buffer){0};
}
