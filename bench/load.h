// SPDX-License-Identifier: Apache-2.0
// A load generator for the embeddings API: one thread, epoll, keep-alive connections, as little work per
// request as it takes to compare every answer with what the library gave for the same text.
#ifndef EL_BENCH_LOAD_H
#define EL_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_request {
    char *bytes; // header and body
    size_t length;
    const char *expected; // what a right answer holds: the vector in base64
    size_t expected_length;
    int64_t tokens; // what it asks to compute
};

struct load_plan {
    int port; // of 127.0.0.1
    int connections;
    double warmup_s, seconds; // the warm-up is not counted
    double rate; // requests a second, sent when due; 0: each connection sends when it has its answer
    bool
        never_sleeps; // so that no answer has to wake it, at the server's expense: for a processor of its own
    int obedient; // so many connections send when they have their answer at any rate, and after a 429 when
                  // they were told
    const struct load_request *requests; // taken in turn, again and again
    size_t request_count;
};

struct load_latency {
    double p50, p99, max; // seconds; 0 when there were none
};

struct load_result {
    double seconds;
    uint64_t accepted, refused; // answers 200 and 429
    int64_t tokens;             // of those accepted
    uint64_t wrong;             // answers 200 with another vector
    uint64_t errors;            // other statuses, and connections that broke
    uint64_t unsent;            // due, but every connection was waiting
    uint64_t came_back,
        let_in; // of the obedient: those who came when they were told; those who then had room
    struct load_latency accepted_s, refused_s;
};

// A connection to a port of 127.0.0.1 that sends at once. EL_ENET.
int load_connect(int port, int *ret_fd);

// 0, or a negative code with its detail.
int load_run(const struct load_plan *plan, struct load_result *ret_result);

#endif
