// SPDX-License-Identifier: Apache-2.0
// What the files of the fake libcuda.so.1 share. It implements src/device/cuda/api.def on the GPUs of a
// machine file (tests/fake/machine.h): device memory is host memory between guard pages, streams are queues
// that run as late as CUDA allows, and kernels run as plain C (tests/fake/kernels_c). docs/cuda.md says what
// it checks.
#ifndef EL_TESTS_FAKE_CUDA_H
#define EL_TESTS_FAKE_CUDA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/cuda/api.h"
#include "kernels/kernels.h"
#include "launch.h"
#include "machine.h"

enum { FAKE_MAX_ARGS = 16 };

// The exported functions, by their names in the binary interface.
#define EXPORT __attribute__((visibility("default")))
#define CUDA(name, symbol, parameters) EXPORT CUresult symbol parameters;
#include "device/cuda/api.def"
#undef CUDA

enum fake_call {
#define CUDA(name, symbol, parameters) CALL_##name,
#include "device/cuda/api.def"
#undef CUDA
    CALL_COUNT
};

struct CUctx_st {
    int gpu;          // place in machine.gpus
    atomic_int error; // sticky: every call answers it
    atomic_bool destroyed;
    struct CUmod_st *modules;
    struct CUstream_st *streams;
    struct CUevent_st *events;
    struct CUgraph_st *graphs; // executables
    struct CUctx_st *next;
};

struct CUfunc_st {
    CUcontext context;
    enum el_kernel kernel;
    enum el_store store;
    const struct el_c_kernel *life;
    struct CUfunc_st *next;
};

struct CUmod_st {
    char *text; // PTX
    CUfunction functions;
    struct CUmod_st *next;
};

// Streams and events stay in their context's list when they are destroyed, since others may wait for them.
struct CUstream_st {
    CUcontext context;
    struct work *first, **last; // queued
    long queued, done;          // how many pieces of work ever were
    bool busy;                  // a thread runs the first
    CUgraph capture;            // takes what is queued while it is not NULL
    bool destroyed;
    struct CUstream_st *next;
};

struct CUevent_st {
    CUcontext context;
    CUstream stream; // that recorded it last, NULL when none has
    long place;      // in that stream
    uint64_t time_ns;
    bool destroyed;
    struct CUevent_st *next;
};

// A piece of work of a stream.
enum work_kind { WORK_COPY, WORK_LAUNCH, WORK_RECORD, WORK_WAIT };
struct work {
    enum work_kind kind;
    CUresult failure; // what becomes of it, by the machine's failures
    bool wrong;       // a launch that shall yield wrong bits
    void *to;
    const void *from; // of a copy
    size_t size;
    bool to_device, from_device;
    CUfunction function; // of a launch
    int groups[3];
    uint64_t args[FAKE_MAX_ARGS];
    CUevent event;    // of a record
    CUstream awaited; // of a wait; a record's own
    long place;       // in `awaited`
    struct work *next;
};

// Work that was captured, in order; an executable is a copy.
struct CUgraph_st {
    CUcontext context;
    struct work *first, **last;
    bool destroyed, unfit; // something was asked of the stream that cannot be captured
    struct CUgraph_st *next;
};
struct CUgraphExec_st {
    struct CUgraph_st graph;
};

// Guards the lists of contexts, modules, streams and events, and what is queued. Work runs without it.
extern pthread_mutex_t fake_lock;
extern struct CUctx_st *fake_contexts; // destroyed ones too

// One line on stderr: what the program that is tested did wrong.
void fake_blame(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- driver.c ----

struct machine *fake_machine(void);       // behind cuInit
int fake_gpu_of(CUdevice device);         // its place in the machine; -1 when there is none
CUresult fake_begin(enum fake_call call); // counts it; CUDA_ERROR_NOT_INITIALIZED before cuInit

// ---- context.c ----

// The beginning of a call that needs a context: fake_begin, and the context's sticky error.
CUresult fake_enter(enum fake_call call, CUcontext *ret_context);
// Kills the context, unless it is dead already, and returns what it died of.
CUresult fake_kill(CUcontext context, CUresult error);
// A counted call of the machine, and what the driver answers.
CUresult fake_machine_call(CUcontext context, enum machine_call call, size_t bytes);
// The same of what a stream does later: a sticky error or wrong bits become the work's own.
struct work;
CUresult fake_machine_work(CUcontext context, enum machine_call call, struct work *work);

// ---- report.c ----

void fake_count(enum fake_call call);
void fake_count_launch(enum el_kernel kernel, enum el_store store);
void fake_count_left(long device_memory, long pinned_memory, long streams, long events, long graphs);

// ---- memory.c ----

// gpu -1: pinned host memory. NULL when the host has none left.
void *fake_memory_open(int gpu, CUcontext context, size_t size);
bool fake_memory_close(int gpu, void *address); // false: there is no such allocation
void fake_memory_close_all(CUcontext context, long *ret_device, long *ret_pinned); // and how many there were
// True when all of the bytes are in one living allocation of the GPU.
bool fake_memory_owns(int gpu, const void *address, size_t size);
// Between these two the calling thread may touch guard pages and freed memory: the end says false if it did,
// or if what lies around an allocation has changed.
void fake_memory_watch(void);
bool fake_memory_watch_end(void);

// ---- stream.c ----

// The beginning of a call on a stream: its context must be the current one, and alive.
CUresult fake_enter_stream(enum fake_call call, CUstream stream, CUcontext *ret_context);
CUresult fake_queue(CUstream stream, const struct work *work);
void fake_streams_drain(CUcontext context); // runs all that is queued; the lock is held
void fake_streams_drop(CUcontext context);  // forgets it; the lock is held

// ---- graph.c ----

// A copy of the work, behind what the graph has.
CUresult fake_graph_add(CUgraph graph, const struct work *work);
// What cannot be captured was asked of the stream: its capture will fail.
CUresult fake_capture_spoil(CUstream stream);
// Forgets the graphs of a context that is destroyed; counts the executables that were left.
long fake_graphs_close(CUcontext context);

// ---- work.c ----

CUresult fake_work_run(CUcontext context, const struct work *work);

#endif
