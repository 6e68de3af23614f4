// SPDX-License-Identifier: Apache-2.0
// Parts of an index: what each process of a launcher writes, an index of its own, until a merge joins them.
// They lie beside the index, as root/NAME.parts/RANK-of-SIZE; a merge begins by renaming that folder to
// NAME.merging, so that a process that comes late begins a new one.
#ifndef EL_SERVICE_PARTS_H
#define EL_SERVICE_PARTS_H

#include "index/index.h"
#include "service/shard.h"

// The part of this share, for writing; made where there is none. EL_EBUSY: another process has it, or a merge
// was interrupted and wants to be ended first. EL_EINVAL: it was begun for another index of that name.
int el_parts_open(const char *root, const char *name, const struct el_index *whole,
                  const struct el_shard *shard, struct el_index **ret_part);

// Puts all parts into the index and removes them. After a crash at any time it goes on when it is called
// again. EL_ENOENT: there is none. EL_EINVAL: the part of some rank is missing. EL_EBUSY: one is being
// written.
int el_parts_merge(const char *root, const char *name, struct el_index *whole,
                   void (*tell)(void *context, int64_t documents), void *context, int64_t *ret_added);

// Removes all parts of an index that goes.
int el_parts_delete(const char *root, const char *name);

#endif
