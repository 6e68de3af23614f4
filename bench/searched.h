// SPDX-License-Identifier: Apache-2.0
// What the benches of search share: rows and queries that are mapped from files of floats, and commands by
// lines, so that a script can take turns with the peers.
#ifndef EL_BENCH_SEARCHED_H
#define EL_BENCH_SEARCHED_H

#include <stdint.h>

#include "base/file.h"
#include "base/thread.h"
#include "vectors/exact.h"

struct searched {
    struct el_map rows_file, queries_file;
    struct el_vector_set set; // by cosine
    const float *queries;     // [query_count][set.dim]
    int query_count;
    struct el_team *team;
};

// Arguments as they come: two paths, and numbers; threads NULL: of all processors. EL_EINVAL, EL_EIO,
// EL_ENOMEM.
int searched_open(const char *rows, const char *queries, const char *dim, const char *threads,
                  struct searched *ret_searched);
void searched_close(struct searched *searched);

// Has each line of the standard input obeyed; what fails is answered by {"error": ...}.
void obey_lines(int (*obey)(void *context, const char *line), void *context);

double seconds_since(uint64_t began);

#endif
