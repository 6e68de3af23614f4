// SPDX-License-Identifier: Apache-2.0
// Products of rows kept as bytes with queries kept as signed bytes, and which of them reach a threshold: what
// a search in quantised rows does with nearly all of them. Sums are whole numbers, so they are the same for
// every instruction set; a query's largest code is not (el_reach.most).
//
// Rows lie in panels of EL_REACH_ROWS, [units][EL_REACH_ROWS][EL_REACH_UNIT] bytes: a unit is so many codes
// of a row as a lane of a vector takes at a time. A row's code c is kept as c + EL_REACH_ZERO.
#ifndef EL_OPS_REACH_H
#define EL_OPS_REACH_H

#include <stdint.h>

#include "base/mem.h"
#include "ops/ops.h"

enum { EL_REACH_ROWS = 16, EL_REACH_UNIT = 4, EL_REACH_ZERO = 128, EL_REACH_MOST = 127 };

struct el_reach_panel {
    const uint8_t *codes;
    const float *scales, *offsets; // [EL_REACH_ROWS]
};

struct el_reach_query {
    const int8_t *codes; // [units][EL_REACH_UNIT]
    int32_t start;       // el_reach_start(codes)
    float slack;         // units of the sum: how far it may be below what it stands for
    float scale;         // of the sum
    float least;         // what is to be reached
};

struct el_reach {
    unsigned needs; // EL_CPU_*
    int most;       // of a query's codes: -most .. most
    // Bit r of ret_rows[q] says that row r reaches what query q wants:
    //     scales[r] * query->scale * (product + query->slack) - offsets[r] >= query->least
    // in floats; one that is not a number does. At most 2^14 units.
    void (*find)(const struct el_reach_panel *panel, int64_t units, const struct el_reach_query *queries,
                 int count, uint16_t *ret_rows);
};

// The best that these operations and this processor have.
const struct el_reach *el_reach_find(const struct el_ops *ops);

// What a query's sums begin with, so that rows' codes count from EL_REACH_ZERO.
int32_t el_reach_start(const int8_t *codes, int64_t units);

static inline int64_t el_reach_units(int dim) {
    return el_divide_up(dim, EL_REACH_UNIT);
}
static inline int64_t el_reach_panels(int64_t rows) {
    return el_divide_up(rows, EL_REACH_ROWS);
}

#endif
