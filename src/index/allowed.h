// SPDX-License-Identifier: Apache-2.0
// Which rows a search may find: those that are not dead and whose documents pass its filter. What was found
// out is kept for the next search with the same filter, as most are.
#ifndef EL_INDEX_ALLOWED_H
#define EL_INDEX_ALLOWED_H

#include "index/documents.h"
#include "index/filter.h"

struct el_allowed {
    int64_t version; // of the documents; -1: nothing is known yet
    char *filter;    // as it was given, or NULL
    uint64_t *rows;  // a bit per row that counts, or NULL: all
    int64_t all;     // rows that count
    int64_t count;   // of the rows that are allowed
};

// Brings it to a state of the documents, within a transaction. EL_EINVAL: the filter is none. EL_EIO,
// EL_ENOMEM.
int el_allowed_update(struct el_allowed *allowed, struct el_documents *documents,
                      const struct el_documents_state *state, const char *filter);
// Whether the row counts and is allowed.
bool el_allowed_has(const struct el_allowed *allowed, int64_t row);
void el_allowed_done(struct el_allowed *allowed);

#endif
