// SPDX-License-Identifier: Apache-2.0
// Which share of a work is this process's, when a launcher has started several of it: one of `size`, by the
// rank that the launcher gives. Nobody coordinates: each process finds its own share by itself, and all
// together have everything once.
#ifndef EL_SERVICE_SHARD_H
#define EL_SERVICE_SHARD_H

#include <stdbool.h>
#include <stdint.h>

enum { EL_SHARD_MOST = 1000000 };

struct el_shard {
    int64_t rank, size; // 0 <= rank < size; size 1: all of it
    const char *from;   // who said so: "--shard", "Slurm"; "": nobody, and it is all
};

// By `wish`, which is "RANK/SIZE" or "/SIZE" (the rank is the launcher's) or NULL; else by the variables of
// Open MPI, PMI, Slurm or a Kubernetes Job, the first of them that is there. EL_EINVAL: a rank beyond the
// size, no number, one of two variables, a "/SIZE" that is not the launcher's.
int el_shard_find(const char *wish, struct el_shard *ret_shard);

// Whether a document belongs to the share: by a hash of its id, so that one more moves no other.
bool el_shard_has(const struct el_shard *shard, const char *id);
// Where the share begins when `total` bytes are cut into `size` runs: at 0 for rank 0, at `total` for rank
// `size`.
uint64_t el_shard_start(const struct el_shard *shard, int64_t rank, uint64_t total);

#endif
