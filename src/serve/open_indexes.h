// SPDX-License-Identifier: Apache-2.0
// The indexes that are open for reading, by name, so that a query need not open one. Belongs to one thread.
#ifndef EL_SERVE_OPEN_INDEXES_H
#define EL_SERVE_OPEN_INDEXES_H

#include <stddef.h>

#include "service/search.h"
#include "vectors/searcher.h"

struct el_open_index;
struct el_open_indexes {
    char *root; // of all indexes; NULL: no variable says where they are
    struct el_open_index *open;
    size_t count;
    struct el_searcher_options kept; // beside each index's vectors
    struct el_team *team;            // that searches; NULL until needed
    int threads;                     // of the team
};

// EL_ENOMEM.
int el_open_indexes_init(struct el_open_indexes *indexes, const struct el_searcher_options *kept,
                         int threads);
void el_open_indexes_done(struct el_open_indexes *indexes);

// The index of that name, as it is on the disk now: another one that took its place is opened anew. Borrowed
// until the next call, with its searcher, which may be NULL: not asked for. The codes of el_search_open.
int el_open_indexes_find(struct el_open_indexes *indexes, const char *name, struct el_index **ret_index,
                         struct el_searcher **ret_searcher);
// The team of threads for a search. EL_ENOMEM.
int el_open_indexes_team(struct el_open_indexes *indexes, struct el_team **ret_team);

#endif
