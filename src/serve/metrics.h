// SPDX-License-Identifier: Apache-2.0
// Figures of the server, for /metrics. What the service counts itself is read from it when asked for.
#ifndef EL_SERVE_METRICS_H
#define EL_SERVE_METRICS_H

#include <stdint.h>

#include "base/str.h"
#include "engine/histogram.h"
#include "serve/fault.h"
#include "serve/router.h"

struct el_exchange;
struct el_server;

enum { EL_STATUS_KINDS = 16 }; // distinct HTTP statuses that are counted

struct el_metrics {
    uint64_t answers[EL_ROUTE_COUNT + 1][EL_STATUS_KINDS]; // the last route is "no such path"
    uint64_t embed[2], embed_success[2];                   // [single input, several]
    uint64_t failures[EL_FAULT_COUNT];                     // of embeddings
    struct el_histogram duration;                          // seconds, of embeddings that succeed
    int64_t started;                                       // seconds since 1970
};

void el_metrics_init(struct el_metrics *metrics);
// Counts an exchange whose reply is made.
void el_metrics_count(struct el_metrics *metrics, const struct el_exchange *exchange);

// What stands before the samples of a metric: its help and its type ("counter"). EL_ENOMEM.
int el_metrics_put_head(struct el_str *str, const char *name, const char *type, const char *help);

#endif
