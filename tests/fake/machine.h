// SPDX-License-Identifier: Apache-2.0
// A machine that is not there: what tests/machines/NAME.yaml says of GPUs, links and failures
// (docs/machines.md has the keys), and what has become of them since. The fake driver libraries of this
// folder answer from it; they share one copy, so that a GPU which falls off the bus in libcuda.so.1 is lost
// in libnvidia-ml.so.1 as well.
#ifndef EL_TESTS_MACHINE_H
#define EL_TESTS_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_GPUS = 16, MACHINE_FAILURES = 16, MACHINE_XIDS = 8 };

// Numbers of a GPU; -1: the driver does not say (NVML_ERROR_NOT_SUPPORTED).
#define MACHINE_NUMBERS(X)                                        \
    X(memory)      /* bytes */                                    \
    X(memory_used) /* bytes that others hold; 0 when not given */ \
    X(capability)  /* 80: 10 x major + minor */                   \
    X(multiprocessors)                                            \
    X(numa)               /* node */                              \
    X(temperature)        /* degrees Celsius */                   \
    X(power)              /* milliwatts */                        \
    X(power_limit)        /* milliwatts */                        \
    X(sm_clock)           /* MHz, now */                          \
    X(memory_clock)       /* MHz, now */                          \
    X(sm_clock_max)       /* MHz */                               \
    X(memory_clock_max)   /* MHz */                               \
    X(utilization)        /* percent */                           \
    X(memory_utilization) /* percent */                           \
    X(ecc_uncorrected)    /* since the driver was loaded */       \
    X(pcie_replay)                                                \
    X(throttle) /* bits of nvmlClocksEventReasons */              \
    X(nvlinks)  /* links it has; 0 when not given */

// Two GPUs as `nvidia-smi topo -m` shows them; n > 0 NVLinks beat what the PCIe says.
enum machine_path { MACHINE_SELF, MACHINE_PIX, MACHINE_PXB, MACHINE_PHB, MACHINE_NODE, MACHINE_SYS };
struct machine_link {
    enum machine_path path; // NODE where only NVLinks are given
    int nvlinks;
};

// The calls of a driver that are counted, and what becomes of one.
enum machine_call { MACHINE_ANY, MACHINE_OPEN, MACHINE_ALLOC, MACHINE_COPY, MACHINE_LAUNCH, MACHINE_SYNC };
enum machine_outcome {
    MACHINE_OK,
    MACHINE_LOST,        // a sticky error: the context is dead, a new one works
    MACHINE_OFF_THE_BUS, // gone: no call works any more, NVML says GPU_IS_LOST
    MACHINE_ECC,         // sticky as lost, and the GPU counts an uncorrected ECC error
    MACHINE_OOM,         // out of memory, may be tried again
    MACHINE_WRONG,       // the call works, but its bits are wrong (a launch)
    MACHINE_SLOW,        // the call takes `milliseconds` longer: told to nobody, waited for here
    MACHINE_HANG,        // a sync does not return: waited for here, until EL_FAKE_TRIP's line goes
};

struct machine_failure {
    int gpu;
    enum machine_call call;
    int64_t after; // trips at this call of the kind, 1 is the first
    int64_t times; // OOM, WRONG, SLOW: at how many calls; 0: at all from then on. LOST, ECC: at one call
    enum machine_outcome outcome;
    int64_t bytes;        // OOM: trips when the GPU's allocations would exceed this, however many calls
    int64_t milliseconds; // SLOW
};

struct machine_gpu {
    char name[96];
    char uuid[48]; // "GPU-..."
    char pci[32];  // "00000000:07:00.0"
#define X(number) int64_t number;
    MACHINE_NUMBERS(X)
#undef X
    int xids[MACHINE_XIDS], xid_count; // that NVML reports at once when asked to listen

    // What has become of it.
    atomic_bool off_the_bus;
    _Atomic int64_t allocated; // bytes, by libcuda.so.1 of this process
    _Atomic int64_t ecc_more;  // uncorrected errors since
    atomic_int xid;            // of the last failure, 0: none
};

struct machine {
    char driver[32]; // "550.54.15"
    int cuda;        // 12040: as cuDriverGetVersion says
    bool nvswitch;   // NVLinks end at switches
    struct machine_gpu gpus[MACHINE_GPUS];
    int gpu_count;
    int order[MACHINE_GPUS]; // places in gpus[] (which is in PCI order) as CUDA counts them, fastest first
    struct machine_link links[MACHINE_GPUS][MACHINE_GPUS];
    struct machine_failure failures[MACHINE_FAILURES];
    _Atomic int64_t calls[MACHINE_FAILURES]; // counted for each
    int failure_count;
};

// Reads a machine file. False, with the place and what is wrong with it in `ret_problem`.
bool machine_load(const char *path, struct machine *ret_machine, char *ret_problem, size_t size);

// "launch" ..., and "lost", "off-the-bus" ... of a file; false when it is none.
bool machine_call_of(const char *word, enum machine_call *ret_call);
bool machine_outcome_of(const char *word, enum machine_outcome *ret_outcome);

// The machine of this process, from the file that EL_MACHINE names; NULL when it names none or a broken one
// (then stderr says why). EL_FAKE_FAIL adds failures to those of the file: GPU:CALL:AFTER:OUTCOME[:TIMES],...
// ("0:alloc:17:oom:1,1:launch:5:lost"). Any thread.
struct machine *machine_get(void);

// Each counted call of a fake driver comes through here first; `bytes` of an allocation, else 0. Waits where
// the GPU is slow, makes off_the_bus, ecc_more and xid true where that is the outcome. Sticky outcomes are
// told once: a context that got one must keep it.
//
// EL_FAKE_TRIP names a file that a test may write while the process runs: a line "GPU OUTCOME" ("3
// off-the-bus", "0 lost") holds for every call as long as it stands there; without it the GPU is as before,
// back on the bus too.
enum machine_outcome machine_call(struct machine *machine, int gpu, enum machine_call call, size_t bytes);
// The same without counting: whether the GPU is off the bus now.
bool machine_gpu_gone(struct machine *machine, int gpu);

#endif
