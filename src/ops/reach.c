// SPDX-License-Identifier: Apache-2.0
// Products of codes in plain C, which define them, and the choice of the fastest that there is.
#include "ops/reach.h"

#include "ops/filling.h"

static int32_t product(const uint8_t *row, const int8_t *query, int64_t units) {
    int32_t sum = 0;
    for (int64_t u = 0; u < units; u++)
        for (int i = 0; i < EL_REACH_UNIT; i++)
            sum += row[u * EL_REACH_ROWS * EL_REACH_UNIT + i] * query[u * EL_REACH_UNIT + i];
    return sum;
}

static void reach_plain(const struct el_reach_panel *panel, int64_t units,
                        const struct el_reach_query *queries, int count, uint16_t *ret_rows) {
    for (int q = 0; q < count; q++) {
        unsigned rows = 0;
        for (int r = 0; r < EL_REACH_ROWS; r++) {
            const struct el_reach_query *query = &queries[q];
            const int32_t sum = query->start + product(panel->codes + r * EL_REACH_UNIT, query->codes, units);
            const float value =
                ((float)sum + query->slack) * (query->scale * panel->scales[r]) - panel->offsets[r];
            rows |= (unsigned)!(value < query->least) << r;
        }
        ret_rows[q] = (uint16_t)rows;
    }
}

static const struct el_reach plain = {.most = EL_REACH_MOST, .find = reach_plain};

const struct el_reach *el_reach_find(const struct el_ops *ops) {
    const struct el_filling *filling = (const struct el_filling *)ops;
    for (int i = 0; i < EL_FILLING_REACHES; i++)
        if (filling->reaches[i] && el_cpu_has(filling->reaches[i]->needs)) return filling->reaches[i];
    return &plain;
}

int32_t el_reach_start(const int8_t *codes, int64_t units) {
    int32_t sum = 0;
    for (int64_t i = 0; i < units * EL_REACH_UNIT; i++)
        sum += codes[i];
    return -EL_REACH_ZERO * sum;
}
