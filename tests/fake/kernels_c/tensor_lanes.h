// SPDX-License-Identifier: Apache-2.0
// The C life of the words of src/kernels/tensor.h: what mma.sync, ldmatrix, cp.async and shfl.sync do, after
// the PTX manual's chapters 9.7.13 and 9.7.8 (ISA 7.0). Products are exact and their sums rounded once, which
// is closer than the hardware is; all else is bit for bit.
//
// cp.async may write at any time between its start and the end of a wait. Here it is as late as that, so that
// a missing wait shows as numbers that nobody has written, or as early, so that a buffer that is still read
// does. A misaligned address ends the process with a message.
#ifndef EL_TESTS_TENSOR_LANES_H
#define EL_TESTS_TENSOR_LANES_H

#include <stdbool.h>

// When the copies of every kernel are done from here on: when they begin, or (as it is at first) when waited
// for.
void el_tensor_copy_early(bool early);

void el_tensor_copy16(unsigned char *to, const void *from, int inside);
void el_tensor_copy_commit(void);
void el_tensor_copy_wait(int batches);

void el_tensor_load_matrices(unsigned *words, const unsigned char *row, bool transposed, const char *file,
                             int line);
float el_tensor_shuffle_xor(float x, int mask, const char *file, int line);
void el_tensor_warp_sync(const char *file, int line);

// widen: the value of a 16-bit element; NULL for tf32.
typedef float el_tensor_widen(unsigned short element);
void el_tensor_multiply_add(float *sums, const unsigned *a, const unsigned *b, el_tensor_widen *widen,
                            const char *file, int line);
unsigned el_tensor_tf32(unsigned bits); // a float's bits rounded to tf32, ties away from zero

#endif
