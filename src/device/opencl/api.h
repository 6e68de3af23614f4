// SPDX-License-Identifier: Apache-2.0
// The part of OpenCL 1.2 that eleanor uses, so that building needs no OpenCL header: names and values are the
// Khronos specification's, but a handle is written `struct cl_mem *`, not `cl_mem`.
#ifndef EL_DEVICE_OPENCL_API_H
#define EL_DEVICE_OPENCL_API_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint32_t cl_bool;
typedef uint64_t cl_ulong; // also the specification's cl_bitfield

struct cl_platform;
struct cl_device;
struct cl_context;
struct cl_queue;
struct cl_mem;
struct cl_program;
struct cl_kernel;
struct cl_event;

struct cl_buffer_region {
    size_t origin, size; // bytes
};

// X(code, value): codes that the calls used here may return
#define EL_OPENCL_CODES(X)                               \
    X(CL_SUCCESS, 0)                                     \
    X(CL_DEVICE_NOT_FOUND, -1)                           \
    X(CL_DEVICE_NOT_AVAILABLE, -2)                       \
    X(CL_COMPILER_NOT_AVAILABLE, -3)                     \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE, -4)              \
    X(CL_OUT_OF_RESOURCES, -5)                           \
    X(CL_OUT_OF_HOST_MEMORY, -6)                         \
    X(CL_PROFILING_INFO_NOT_AVAILABLE, -7)               \
    X(CL_MEM_COPY_OVERLAP, -8)                           \
    X(CL_BUILD_PROGRAM_FAILURE, -11)                     \
    X(CL_MAP_FAILURE, -12)                               \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET, -13)              \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, -14) \
    X(CL_INVALID_VALUE, -30)                             \
    X(CL_INVALID_DEVICE_TYPE, -31)                       \
    X(CL_INVALID_PLATFORM, -32)                          \
    X(CL_INVALID_DEVICE, -33)                            \
    X(CL_INVALID_CONTEXT, -34)                           \
    X(CL_INVALID_QUEUE_PROPERTIES, -35)                  \
    X(CL_INVALID_COMMAND_QUEUE, -36)                     \
    X(CL_INVALID_HOST_PTR, -37)                          \
    X(CL_INVALID_MEM_OBJECT, -38)                        \
    X(CL_INVALID_BINARY, -42)                            \
    X(CL_INVALID_BUILD_OPTIONS, -43)                     \
    X(CL_INVALID_PROGRAM, -44)                           \
    X(CL_INVALID_PROGRAM_EXECUTABLE, -45)                \
    X(CL_INVALID_KERNEL_NAME, -46)                       \
    X(CL_INVALID_KERNEL_DEFINITION, -47)                 \
    X(CL_INVALID_KERNEL, -48)                            \
    X(CL_INVALID_ARG_INDEX, -49)                         \
    X(CL_INVALID_ARG_VALUE, -50)                         \
    X(CL_INVALID_ARG_SIZE, -51)                          \
    X(CL_INVALID_KERNEL_ARGS, -52)                       \
    X(CL_INVALID_WORK_DIMENSION, -53)                    \
    X(CL_INVALID_WORK_GROUP_SIZE, -54)                   \
    X(CL_INVALID_WORK_ITEM_SIZE, -55)                    \
    X(CL_INVALID_GLOBAL_OFFSET, -56)                     \
    X(CL_INVALID_EVENT_WAIT_LIST, -57)                   \
    X(CL_INVALID_EVENT, -58)                             \
    X(CL_INVALID_OPERATION, -59)                         \
    X(CL_INVALID_BUFFER_SIZE, -61)                       \
    X(CL_INVALID_GLOBAL_WORK_SIZE, -63)                  \
    X(CL_INVALID_PROPERTY, -64)                          \
    X(CL_PLATFORM_NOT_FOUND_KHR, -1001)

enum {
#define X(code, value) code = (value),
    EL_OPENCL_CODES(X)
#undef X
};

enum {
    CL_FALSE = 0,
    CL_TRUE = 1,

    CL_PLATFORM_NAME = 0x0902,

    CL_DEVICE_TYPE_CPU = 1 << 1,
    CL_DEVICE_TYPE_GPU = 1 << 2,
    CL_DEVICE_TYPE_ACCELERATOR = 1 << 3,

    CL_DEVICE_TYPE = 0x1000,
    CL_DEVICE_MAX_COMPUTE_UNITS = 0x1002,
    CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
    CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
    CL_DEVICE_MEM_BASE_ADDR_ALIGN = 0x1019, // bits
    CL_DEVICE_GLOBAL_MEM_SIZE = 0x101F,
    CL_DEVICE_AVAILABLE = 0x1027,
    CL_DEVICE_COMPILER_AVAILABLE = 0x1028,
    CL_DEVICE_NAME = 0x102B,
    CL_DRIVER_VERSION = 0x102D,
    CL_DEVICE_VERSION = 0x102F, // "OpenCL 1.2 and what the vendor likes"
    CL_DEVICE_EXTENSIONS = 0x1030,
    CL_DEVICE_PLATFORM = 0x1031,
    CL_DEVICE_HOST_UNIFIED_MEMORY = 0x1035,

    CL_DEVICE_UUID_KHR = 0x106A,               // cl_khr_device_uuid: 16 bytes
    CL_DEVICE_PCI_BUS_ID_NV = 0x4008,          // cl_nv_device_attribute_query: cl_uint
    CL_DEVICE_PCI_SLOT_ID_NV = 0x4009,         // device << 3 | function
    CL_DEVICE_PCI_DOMAIN_ID_NV = 0x400A,       //
    CL_DEVICE_TOPOLOGY_AMD = 0x4037,           // cl_amd_device_attribute_query: 24 bytes, see opencl_facts.c
    CL_DEVICE_BOARD_NAME_AMD = 0x4038,         //
    CL_DEVICE_GLOBAL_FREE_MEMORY_AMD = 0x4039, // size_t[2]: KiB free, KiB of the largest piece
    CL_DEVICE_PCI_BUS_INFO_KHR = 0x410F,       // cl_khr_pci_bus_info: domain, bus, device, function

    CL_QUEUE_PROFILING_ENABLE = 1 << 1,

    CL_MEM_READ_WRITE = 1 << 0,
    CL_MEM_ALLOC_HOST_PTR = 1 << 4,
    CL_BUFFER_CREATE_TYPE_REGION = 0x1220,
    CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED = 1 << 1,
    CL_MAP_READ = 1 << 0,
    CL_MAP_WRITE = 1 << 1,

    CL_PROGRAM_KERNEL_NAMES = 0x1168, // separated by ;
    CL_PROGRAM_BUILD_LOG = 0x1183,
    CL_PROFILING_COMMAND_END = 0x1283, // cl_ulong, nanoseconds
};

struct el_opencl_api {
#define X(name, result, parameters) result(*name) parameters;
#include "device/opencl/api.def"
#undef X
};

// Loads libOpenCL.so.1 and looks up the functions. EL_EUNSUPPORTED says what was looked for.
int el_opencl_load(struct el_opencl_api *ret_api);

// "CL_OUT_OF_RESOURCES"; "unknown code" for what is not in the list.
const char *el_opencl_code_text(cl_int code);

#endif
