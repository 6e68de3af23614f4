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

// Requests of one size, and what a right answer to each holds: the library's vectors.
struct request_set {
    size_t count;
    struct load_request *request;   // [count], in mixed order, the same each time
    const struct el_text **texts;   // [count][each], in the same order: the first text of each request
    struct el_str *bytes, *answers; // [count], own the bytes
};

// One short text, one of about 170 tokens, eight short ones.
enum request_size { ONE_SHORT, ONE_LONG, EIGHT_SHORT, REQUEST_SIZES };
extern const char *const request_size_names[REQUEST_SIZES]; // as they stand in results

struct sts;
// The set of a size from sts-test.csv, as many requests as its texts give; computes the vectors. EL_ENOMEM.
int requests_of_size(struct el_embedder *embedder, const struct sts *sts, enum request_size size,
                     struct request_set *ret_set);
void requests_done(struct request_set *set);

// The median; sorts `values`.
double median(double *values, size_t count);

// Answers a second with status 200.
double rate_of(const struct load_result *result);
// Their tokens a second: what was computed of use, whichever requests were let in.
double token_rate_of(const struct load_result *result);

#endif
