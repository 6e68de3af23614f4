// SPDX-License-Identifier: Apache-2.0
// As much of NVIDIA's driver API as eleanor uses, declared by its documentation so that no toolkit is needed:
// types, constants and result codes under NVIDIA's names, and a struct of pointers into libcuda.so.1.
#ifndef EL_DEVICE_CUDA_API_H
#define EL_DEVICE_CUDA_API_H

#include <stddef.h>

typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;

typedef enum cudaError_enum {
#define RESULT(name, value, status, text) name = (value),
#include "device/cuda/result.def"
#undef RESULT
} CUresult;

typedef enum CUdevice_attribute_enum {
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
} CUdevice_attribute;

typedef enum CUjit_option_enum {
    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
} CUjit_option;

typedef enum CUstreamCaptureMode_enum {
    CU_STREAM_CAPTURE_MODE_RELAXED = 2, // any call may be made meanwhile, by any thread
} CUstreamCaptureMode;

enum { CU_CTX_SCHED_AUTO = 0 };
enum { CU_STREAM_NON_BLOCKING = 1 };
enum { CU_EVENT_DEFAULT = 0 };
enum { CU_MEMHOSTALLOC_PORTABLE = 1 };

struct el_cuda_api {
#define CUDA(name, symbol, parameters) CUresult(*name) parameters;
#include "device/cuda/api.def"
#undef CUDA
};

// Loads the driver and initialises it. EL_EUNSUPPORTED: it is absent, lacks a function or does not start; the
// detail says which. Without any device it succeeds. Any thread, any number of times.
int el_cuda_load(struct el_cuda_api *ret_api);

// 0 for CUDA_SUCCESS; else the status of result.def, with a detail that names who ("cuda:0"), the call,
// and the driver's name and text of the result.
int el_cuda_check(const struct el_cuda_api *api, const char *who, const char *call, CUresult result);

#endif
