// SPDX-License-Identifier: Apache-2.0
// The C life of a kernel: its lanes are fibers of one thread that take turns, switching where they meet. A
// lane runs until its next SYNC; when all lanes of the group stand there, all go on. Which lane goes first is
// told by EL_LANE_ORDER=forwards|backwards|shuffled[:seed], so that what depends on an order shows. Memory of
// a group begins as NaN, so that reading what nobody wrote shows. Lanes of one group that stand at different
// barriers, or of which some have ended, end the process with a message: a device would hang or compute
// nonsense.
//
// What a kernel calls here (through src/kernels/dialect.h) works inside of el_lanes_run() alone. Groups run
// one after the other on the caller's thread; different threads may run kernels at the same time.
#ifndef EL_TESTS_LANES_H
#define EL_TESTS_LANES_H

#include <stddef.h>
#include <stdint.h>

enum { EL_LANES_MAX = 256, EL_WARP = 32 };

// A kernel as plain C.
struct el_c_kernel {
    const char *symbol; // "layer_norm_f16"
    int lanes;          // per group
    void (*call)(void *const *params);
};

// Runs every lane of every group. params: a pointer to each argument, as in cuLaunchKernel.
void el_lanes_run(const struct el_c_kernel *kernel, const int groups[3], void *const *params);

enum el_lane_order { EL_LANES_FORWARDS, EL_LANES_BACKWARDS, EL_LANES_SHUFFLED };
// The order from here on, instead of EL_LANE_ORDER's.
void el_lanes_set_order(enum el_lane_order order, uint64_t seed);

// The lane that runs now. Read it anew behind every call of this header.
struct el_lane {
    int lane;     // 0 .. lanes - 1
    int group[3]; // 0 .. groups - 1
    int groups;   // along axis 0
};
extern _Thread_local struct el_lane el_lane;

// `size` bytes of the group's memory, aligned to 16: the same for every lane, told apart by the order of the
// calls.
void *el_lane_local(size_t size);

// All lanes of the group meet.
void el_lane_sync(const char *file, int line);

// The 32 lanes of a warp meet, each with an item of its own. When all are there, `act` runs once with the
// items in the order of the lanes, then every lane goes on. So a collective is a function of 32 lanes'
// fragments:
//
//   struct exchange { float in, out; };
//   static void rotate(void *const items[EL_WARP]) {
//       for (int i = 0; i < EL_WARP; i++)
//           ((struct exchange *)items[i])->out = ((struct exchange *)items[(i + 1) % EL_WARP])->in;
//   }
//   struct exchange x = {.in = mine};
//   el_warp_meet(rotate, &x, __FILE__, __LINE__); // x.out is the next lane's
typedef void el_warp_fn(void *const items[EL_WARP]);
void el_warp_meet(el_warp_fn *act, void *item, const char *file, int line);

// Memory of this lane alone, zeroed when its group begins: for what is under way between two calls, like
// copies that cp.async has begun and nobody has waited for.
enum { EL_LANE_OWN = 4096 }; // bytes
void *el_lane_own(void);

#endif
