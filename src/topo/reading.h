// SPDX-License-Identifier: Apache-2.0
// What a GPU tells of itself at one moment, field by field: doctor, top and the metrics go through the list.
#ifndef EL_TOPO_READING_H
#define EL_TOPO_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

// X(FIELD, name, unit, what it is): what a GPU may tell of itself at a moment.
#define EL_GPU_FIELD_LIST(X)                                                                                \
    X(MEMORY_TOTAL, "memory_total", "bytes", "memory of the GPU")                                           \
    X(MEMORY_USED, "memory_used", "bytes", "memory in use, by all processes and the driver")                \
    X(MEMORY_FREE, "memory_free", "bytes", "memory that is free")                                           \
    X(UTILIZATION, "utilization", "percent", "time in which a kernel ran, of the last sample period")       \
    X(MEMORY_UTILIZATION, "memory_utilization", "percent", "time in which memory was read or written")      \
    X(TEMPERATURE, "temperature", "celsius", "of the GPU's die")                                            \
    X(POWER, "power", "milliwatts", "power drawn")                                                          \
    X(POWER_LIMIT, "power_limit", "milliwatts", "power that it may draw")                                   \
    X(ENERGY, "energy", "millijoules", "energy taken since the driver started")                             \
    X(SM_CLOCK, "sm_clock", "MHz", "clock of the multiprocessors now")                                      \
    X(MEMORY_CLOCK, "memory_clock", "MHz", "clock of the memory now")                                       \
    X(SM_CLOCK_MAX, "sm_clock_max", "MHz", "highest clock of the multiprocessors")                          \
    X(ECC_UNCORRECTED, "ecc_uncorrected", "errors", "memory errors beyond repair since the driver started") \
    X(XID, "xid", "code", "last Xid error since eleanor listens; 0: none")                                  \
    X(XID_COUNT, "xid_count", "errors", "Xid errors since eleanor listens")                                 \
    X(PCIE_REPLAYS, "pcie_replays", "packets", "sent again over PCIe since the driver started")             \
    X(NVLINKS, "nvlinks", "links", "NVLinks that are up")                                                   \
    X(THROTTLE, "throttle", "bits", "why the clocks are held down: el_throttle_text")

enum el_gpu_field {
#define X(field, name, unit, what) EL_GPU_##field,
    EL_GPU_FIELD_LIST(X)
#undef X
        EL_GPU_FIELD_COUNT
};

struct el_gpu_field_info {
    const char *name, *unit, *what;
};
extern const struct el_gpu_field_info el_gpu_fields[EL_GPU_FIELD_COUNT];

// A GPU at one moment. A field that is not valid is unknown, never zero.
struct el_gpu_reading {
    bool is_lost;   // the GPU has fallen off the bus: nothing else of it is known but its Xid
    unsigned valid; // bit 1 << field
    uint64_t value[EL_GPU_FIELD_COUNT];
};
static inline bool el_gpu_knows(const struct el_gpu_reading *reading, enum el_gpu_field field) {
    return reading->valid >> field & 1;
}

// The reasons in EL_GPU_THROTTLE, but for idleness: "power cap, thermal"; "" when there is none. Cut to size.
void el_throttle_text(uint64_t reasons, char *ret_text, int size);

// {"memory_total": 85899345920, ..., "throttle": null}: a field that is not known is null. EL_ENOMEM.
int el_gpu_reading_put_json(const struct el_gpu_reading *reading, struct el_str *json);

#endif
