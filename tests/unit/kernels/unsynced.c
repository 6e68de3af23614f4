// SPDX-License-Identifier: Apache-2.0
// The f32 kernels once more, with barriers that test_barriers.c takes away one at a time.
#include "unsynced.h"
#include "lanes.h"

#define STORE_F32
#define el_lane_sync unsynced_sync
#define el_c_kernels_f32 unsynced_kernels
#include "stored.c"
