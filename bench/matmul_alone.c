// SPDX-License-Identifier: Apache-2.0
// bench_matmul without a library to compare with.
#include "base/error.h"
#include "matmul_peer.h"

const char *peer_name(void) {
    return NULL;
}

int peer_open(enum el_precision precision, int64_t rows, int64_t depth, int64_t columns, int layers,
              struct peer **ret_peer) {
    (void)precision, (void)rows, (void)depth, (void)columns, (void)layers, (void)ret_peer;
    return el_fail(EL_EUNSUPPORTED, "built without oneDNN; install libdnnl-dev and build again");
}

void peer_close(struct peer *peer) {
    (void)peer;
}

void peer_threads(int threads) {
    (void)threads;
}

void peer_run(struct peer *peer, int layer) {
    (void)peer, (void)layer;
}
