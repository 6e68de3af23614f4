// SPDX-License-Identifier: Apache-2.0
// Rows parted into lists by the nearest centroid, of squared distance; ties go to the lower list.
#ifndef EL_VECTORS_PARTITION_H
#define EL_VECTORS_PARTITION_H

#include <stdint.h>

#include "base/thread.h"
#include "ops/ops.h"
#include "vectors/exact.h"

// Some rows of a matrix, each less an origin. All is borrowed.
struct el_row_source {
    const float *rows; // [...][dim]
    int dim;
    const float *origin;    // [dim]
    const int64_t *numbers; // [count] of the rows; NULL: 0 .. count - 1
    int64_t count;
    struct el_device *device; // where an assigner finds their nearest centroids; NULL: on the processor
};

static inline const float *el_source_row(const struct el_row_source *source, int64_t i) {
    return source->rows + (source->numbers ? source->numbers[i] : i) * source->dim;
}

// Rows first .. first + count - 1, [count][dim].
void el_source_gather(const struct el_row_source *source, int64_t first, int64_t count, float *ret_rows);

// The list of each row, by the processor. The same for any number of threads. EL_ENOMEM.
int el_partition_assign(const struct el_row_source *source, const float *centroids /* [lists][dim] */,
                        int lists, struct el_team *team, int32_t *ret_lists /* [count] */);

// Sorts by list: members of list l are order[starts[l]] .. order[starts[l + 1] - 1], in ascending order.
void el_partition_group(const int32_t *list_of, int64_t count, int lists,
                        int64_t *ret_starts /* [lists + 1] */, int64_t *ret_order /* [count] */);

// The centroids [lists][dim] as a linear layer for a target, NULL: the processor. A row's product with each,
// by squared distance less |c|^2 / 2, so that the largest is that of the nearest. EL_ENOMEM, EL_ELOST.
int el_partition_pack(const struct el_target *target, const float *centroids, int lists, int dim,
                      enum el_metric metric, struct el_linear **ret_packed);

#endif
