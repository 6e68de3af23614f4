// SPDX-License-Identifier: Apache-2.0
// Nearest centroids of the same rows again and again, as k-means asks for them: on a device, whose memory
// holds the rows meanwhile, or on the processor, which takes over where there is no device or it fails.
//
// A device adds the products up in another order than the processor does. So a row whose two nearest
// centroids are as near as rounding of fp32 (bound.h) may go to either; ties that are exact go to the lower
// list on both.
#ifndef EL_VECTORS_ASSIGNER_H
#define EL_VECTORS_ASSIGNER_H

#include "vectors/partition.h"

struct el_assigner;

// Source and team are borrowed. Where source->device has no room for rows, the processor serves. EL_ENOMEM.
int el_assigner_open(const struct el_row_source *source, struct el_team *team,
                     struct el_assigner **ret_assigner);
void el_assigner_close(struct el_assigner *assigner);

// As el_partition_assign. A device that fails is not asked again.
int el_assigner_assign(struct el_assigner *assigner, const float *centroids /* [lists][dim] */, int lists,
                       int32_t *ret_lists /* [count] */);

bool el_assigner_is_on_device(const struct el_assigner *assigner); // still

#endif
