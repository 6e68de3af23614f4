// SPDX-License-Identifier: Apache-2.0
// A small program on a CUDA device, which several tests run: one stream uploads numbers and halves their
// width, the other waits for it, widens them again and downloads them.
#ifndef EL_TESTS_CUDA_PROGRAM_H
#define EL_TESTS_CUDA_PROGRAM_H

#include <stdbool.h>

#include "device/device.h"

enum { PROGRAM_COUNT = 1000 }; // numbers

struct program {
    struct el_device *device;
    struct el_stream first, second;
    struct el_event halved;
    void *wide, *narrow, *out; // device memory
    float *host;               // pinned, [2][PROGRAM_COUNT]: what goes up, what came down
};

// Each returns 0 or the status of what failed first.
int program_open(int index, struct program *ret_program); // half open where it fails: close it all the same
int program_compute(struct program *program, bool waits);
void program_close(struct program *program);
// Whether the numbers that came down are those that went up.
bool program_is_right(const struct program *program);

// from_store or to_store of `count` numbers, queued.
int program_convert(struct el_stream *stream, enum el_kernel kernel, const void *in, void *out, int count);

#endif
