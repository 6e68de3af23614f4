// SPDX-License-Identifier: Apache-2.0
// Traces of texts that are asked for, and the share of them that a cache finds: by S3-FIFO, as the product
// has it, and by LRU, for comparison.
#ifndef EL_BENCH_TRACE_H
#define EL_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

// Text k of `texts` is asked for with a probability in proportion to 1 / k^skew (Zipf); `once`, a share of
// the trace, is texts that come a single time, as bulk work brings them.
struct trace_plan {
    uint32_t texts;
    double skew, once;
    size_t length;
};

struct trace {
    uint32_t *text; // [length]
    size_t length;
    uint32_t texts; // all are below it
};

int trace_open(const struct trace_plan *plan, struct trace *ret_trace);
void trace_done(struct trace *trace);

// The share that is found in a cache of `places` texts, empty at first.
int trace_replay_s3fifo(const struct trace *trace, uint32_t places, double *ret_share);
int trace_replay_lru(const struct trace *trace, uint32_t places, double *ret_share);

#endif
