// SPDX-License-Identifier: Apache-2.0
// A back-end moves bytes and launches kernels: the whole vtable, one screen. `host` (plain memory and the
// processor's threads), `opencl` and `cuda` fill it; a back-end is a few files and a row in the table of
// device.c. Callers use device.h, which counts, traces and remembers what is lost.
//
// Addresses are the device's: what `alloc` returns, plus any offset, is valid in copies; a kernel's memory
// arguments must be aligned to EL_DEVICE_ALIGN. Where a driver has no addresses (OpenCL 1.2) `alloc` reserves
// address space that nobody may touch and finds the driver's buffer behind it.
#ifndef EL_DEVICE_BACKEND_H
#define EL_DEVICE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

#define EL_DEVICE_ALIGN 512 // bytes

struct el_device;
struct el_stream;
struct el_event;

// What a device says of itself. Text is "" and numbers are 0 where the driver does not say.
struct el_device_facts {
    char name[128];       // "NVIDIA H200"
    char driver[96];      // "CUDA 12.8", "OpenCL 1.2 pocl 3.1"
    char uuid[48];        // "GPU-6f1c...": the form of nvidia-smi
    char pci[32];         // "0000:3b:00.0"
    uint64_t memory;      // bytes
    int capability;       // CUDA: 10 x major + minor, 90 for Hopper
    int units;            // multiprocessors, compute units, threads
    bool is_processor;    // it computes on the host's processor
    bool overlaps_copies; // a copy may run beside a kernel
    char unfit[96];    // why eleanor cannot use it: "compute capability 6.0; 7.0 is needed"; "" where it can
    uint64_t build_ns; // what making its kernels ready took when it was opened; 0 before
};

// One argument of a kernel; `kind` is its letter in kernels.def: m, i or f.
struct el_arg {
    char kind;
    union {
        const void *memory; // device address, or NULL
        int32_t i32;
        float f32;
    };
};
#define EL_MEMORY(address) ((struct el_arg){.kind = 'm', .memory = (address)})
#define EL_INT(value) ((struct el_arg){.kind = 'i', .i32 = (int32_t)(value)})
#define EL_FLOAT(value) ((struct el_arg){.kind = 'f', .f32 = (float)(value)})

// One launch of a kernel over groups[0] x groups[1] x groups[2] groups, each of the kernel's lanes.
struct el_launch {
    enum el_kernel kernel;
    enum el_store store;
    int groups[3]; // each >= 1
    const struct el_arg *args;
    int arg_count;
};

// Every call may come from any thread; calls on one stream come from one thread at a time. EL_ELOST is
// sticky: whatever is called on the device afterwards fails with it too, but closing and freeing work.
struct el_backend {
    const char *name; // "cuda"

    // Devices there are; EL_EUNSUPPORTED when the driver is absent, whose detail says what was looked for.
    int (*count)(int *ret_count);
    int (*describe)(int index, struct el_device_facts *ret_facts);
    // Fills device->state. EL_ELOST, EL_ENOMEM, EL_EUNSUPPORTED (too old: says what it needs).
    int (*open)(struct el_device *device);
    void (*close)(struct el_device *device);
    // True when the device can run the kernel: some are for some devices alone.
    bool (*has)(const struct el_device *device, enum el_kernel kernel, enum el_store store);
    int (*memory)(struct el_device *device, uint64_t *ret_total, uint64_t *ret_free); // bytes

    // EL_ENOMEM is recoverable: nothing has changed. Slow: the pool stands before it. size >= 1.
    int (*alloc)(struct el_device *device, size_t size, void **ret_address);
    void (*free)(struct el_device *device, void *address);
    // Host memory that copies read and write without a detour.
    int (*alloc_pinned)(struct el_device *device, size_t size, void **ret_bytes);
    void (*free_pinned)(struct el_device *device, void *bytes);

    int (*stream_open)(struct el_device *device, struct el_stream *stream); // fills stream->state
    void (*stream_close)(struct el_stream *stream);
    // All of these are queued and return at once; host bytes must stay until the stream was synced.
    int (*upload)(struct el_stream *stream, void *to, const void *host, size_t size);
    int (*download)(struct el_stream *stream, void *host, const void *from, size_t size);
    int (*copy)(struct el_stream *stream, void *to, const void *from, size_t size); // no overlap
    int (*launch)(struct el_stream *stream, const struct el_launch *launch);
    int (*sync)(struct el_stream *stream); // returns when all is done, with the first error of any of it

    // Between capture and capture_end what is queued is not done but kept as a graph; replay queues all of it
    // in one call. NULL where a driver has no graphs. A capture has ended whatever capture_end says.
    int (*capture)(struct el_stream *stream);
    int (*capture_end)(struct el_stream *stream, void **ret_graph);
    int (*replay)(struct el_stream *stream, void *graph);
    void (*graph_close)(struct el_device *device, void *graph);

    int (*event_open)(struct el_device *device, struct el_event *event); // fills event->state
    void (*event_close)(struct el_event *event);
    int (*record)(struct el_stream *stream, struct el_event *event);
    int (*wait)(struct el_stream *stream, struct el_event *event); // the stream waits, not the caller
    // Nanoseconds from one recorded event to another, both done.
    int (*elapsed)(struct el_event *from, struct el_event *to, uint64_t *ret_ns);
};

#endif
