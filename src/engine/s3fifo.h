// SPDX-License-Identifier: Apache-2.0
// S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): which of the keys seen
// lately are kept. New keys go through a small queue of a tenth of the places, where those that nobody asks
// for again fall out quickly; what was asked for twice moves to the main queue; a ghost queue remembers keys
// that fell out, so that one which comes back enters the main queue at once. Not thread-safe.
#ifndef EL_ENGINE_S3FIFO_H
#define EL_ENGINE_S3FIFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"

struct el_s3fifo;

#define EL_S3FIFO_NONE UINT32_MAX

// Keeps `capacity` keys, 1 to 2^30, each with a slot of its own from 0 to capacity - 1. EL_ENOMEM.
int el_s3fifo_open(uint32_t capacity, struct el_s3fifo **ret_cache);
void el_s3fifo_close(struct el_s3fifo *cache);
// Bytes that one with so many keys takes.
size_t el_s3fifo_bytes(uint32_t capacity);

// The slot of a key that is kept, or EL_S3FIFO_NONE. Counts as a use.
uint32_t el_s3fifo_find(struct el_s3fifo *cache, const struct el_hash128 *key);

// Keeps a key that is not kept yet, and returns its slot. While there is room that is el_s3fifo_count before
// the call; then it is the slot of the key that had to go.
uint32_t el_s3fifo_insert(struct el_s3fifo *cache, const struct el_hash128 *key);

uint32_t el_s3fifo_count(const struct el_s3fifo *cache); // keys kept

#endif
