// SPDX-License-Identifier: Apache-2.0
// What the benches of the HTTP server share: the server as a process of its own, requests with the answers
// that they must get, and a median.
#ifndef EL_BENCH_SERVED_H
#define EL_BENCH_SERVED_H

#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"
#include "eleanor/eleanor.h"
#include "load.h"

struct served_options {
    const char *model, *precision;
    const char *queue_tokens; // --max-queue-tokens
    int processor;            // the only one that it may use; -1: all
};

struct served {
    pid_t pid;
    int port;
};

// Starts the program `eleanor` that lies beside this one, without its cache, and waits until the model is
// loaded. EL_EIO.
int served_start(const struct served_options *options, struct served *ret_served);
void served_stop(const struct served *served);

// Lets the calling process use one processor, or all with -1. EL_EIO.
int use_processor(int processor);

// Lets the calling process, and servers that it starts, have as many connections as the system allows.
void raise_file_limit(void);

// Processor seconds of this process, and of `pid` when it is not 0.
double cpu_seconds(pid_t pid);

// A request with `count` texts, whose vectors lie end to end in `vectors`. The bytes are put into *text (the
// request) and *expected (what a right answer holds), which own them. EL_ENOMEM.
int make_request(const struct el_text *texts, size_t count, const float *vectors, size_t dim,
                 struct el_str *text, struct el_str *expected, struct load_request *ret_request);

// Fills `order` with 0 to count - 1, mixed, the same each time: the set has its short sentences first and its
// long ones last, and a measurement that ends within it is to meet its like all the same.
void shuffle(size_t *order, size_t count);

// The median; sorts `values`.
double median(double *values, size_t count);

// Answers a second with status 200.
double rate_of(const struct load_result *result);

#endif
