// SPDX-License-Identifier: Apache-2.0
// The matrix library that bench_matmul measures itself against: oneDNN where it is installed
// (matmul_onednn.c), else nothing (matmul_alone.c).
#ifndef EL_BENCH_MATMUL_PEER_H
#define EL_BENCH_MATMUL_PEER_H

#include <stdint.h>

#include "ops/ops.h"

// out [rows][columns] = in [rows][depth] W for `layers` different W, each laid out as the library likes best.
// The input is already in the precision's own type: converting it is not counted against the library.
struct peer;

const char *peer_name(void); // NULL where there is none
int peer_open(enum el_precision precision, int64_t rows, int64_t depth, int64_t columns, int layers,
              struct peer **ret_peer);
void peer_close(struct peer *peer);
void peer_threads(int threads);
void peer_run(struct peer *peer, int layer);

#endif
