// SPDX-License-Identifier: Apache-2.0
// A back-end moves bytes and launches kernels: the whole vtable, one screen. Today's only filling is `host`
// (plain memory and threads); a back-end is one file and one row in the table of backend.c.
#ifndef EL_DEVICE_BACKEND_H
#define EL_DEVICE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

struct el_device;
struct el_ops;
struct el_team;

// Bytes that a device owns. `host` is their address where the processor can reach them, else NULL.
struct el_buffer {
    struct el_device *device;
    size_t size; // bytes
    void *host;
    void *handle; // the back-end's own
};

struct el_backend {
    const char *name; // "host"
    // Number of devices, 0 when the driver is absent. Any thread.
    int (*count)(void);
    // Fills the back-end's part of `device`; EL_ENOENT for a bad index, EL_ELOST, EL_ENOMEM.
    int (*open)(struct el_device *device, int index);
    void (*close)(struct el_device *device);
    // EL_ENOMEM is recoverable: nothing has changed. Aligned to EL_CACHE_LINE.
    int (*alloc)(struct el_device *device, size_t size, struct el_buffer *ret_buffer);
    void (*free)(struct el_buffer *buffer);
    // Copies between host memory and the buffer; both return when the bytes have arrived.
    int (*upload)(struct el_buffer *buffer, size_t offset, const void *bytes, size_t size);
    int (*download)(const struct el_buffer *buffer, size_t offset, void *bytes, size_t size);
    // Bytes in all and bytes free, as the driver says.
    int (*memory)(const struct el_device *device, uint64_t *ret_total, uint64_t *ret_free);
};

// A device that is open. Owned by who opened it; the vtable's calls may come from any thread.
struct el_device {
    const struct el_backend *backend;
    int index;
    char name[128];     // "AMD EPYC, 2 threads, avx512"
    void *state;        // the back-end's own
    uint64_t allocated; // bytes in live buffers; atomic
};

// The back-ends of this build, in order of preference.
extern const struct el_backend *const el_backends[];
extern const int el_backend_count;

int el_device_open(const char *backend_name, int index, struct el_device **ret_device);
void el_device_close(struct el_device *device);

int el_buffer_open(struct el_device *device, size_t size, struct el_buffer *ret_buffer);
void el_buffer_close(struct el_buffer *buffer); // takes a zeroed or closed buffer too

#endif
