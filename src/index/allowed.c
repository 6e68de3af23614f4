// SPDX-License-Identifier: Apache-2.0
// The rows that a search may find, as bits.
#include "index/allowed.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

// Bits that are all alike but for those of some rows.
struct marking {
    uint64_t *bits; // NULL: not made yet
    int64_t rows, marked;
    bool others; // the bits that are not marked
};

static int make_bits(struct marking *marking) {
    const size_t words = (size_t)(marking->rows + 63) / 64;
    EL_TRY(el_alloc(words, sizeof *marking->bits, &marking->bits));
    memset(marking->bits, marking->others ? 0xff : 0, words * sizeof *marking->bits);
    return 0;
}

static int mark(void *context, int64_t row) {
    struct marking *marking = context;
    if (!marking->bits) EL_TRY(make_bits(marking));
    if (row < 0 || row >= marking->rows) return 0;
    marking->bits[row / 64] ^= UINT64_C(1) << row % 64;
    marking->marked++;
    return 0;
}

static int mark_passing(struct el_documents *documents, const char *text, struct marking *marking) {
    struct el_arena arena el_auto(el_arena_done);
    const struct el_filter *filter = NULL;
    el_arena_init(&arena);
    EL_TRY(el_filter_parse(text, &arena, &filter));
    EL_TRY(make_bits(marking)); // also when nothing passes
    return el_documents_each_passing(documents, filter, mark, marking);
}

static int update(struct el_allowed *allowed, struct el_documents *documents, int64_t rows,
                  const char *filter) {
    struct marking marking = {.rows = rows, .others = !filter};
    char *copy = NULL;
    if (filter) EL_TRY(el_strdup(filter, &copy));
    int status = filter ? mark_passing(documents, filter, &marking)
                        : el_documents_each_dead(documents, mark, &marking);
    el_allowed_done(allowed);
    allowed->rows = marking.bits;
    allowed->filter = copy;
    allowed->all = rows;
    allowed->count = filter ? marking.marked : rows - marking.marked;
    return status;
}

int el_allowed_update(struct el_allowed *allowed, struct el_documents *documents,
                      const struct el_documents_state *state, const char *filter) {
    if (allowed->version == state->version && el_streq(allowed->filter, filter)) return 0;
    int status = update(allowed, documents, state->rows, filter);
    allowed->version = status < 0 ? -1 : state->version;
    return status;
}

bool el_allowed_has(const struct el_allowed *allowed, int64_t row) {
    if (row < 0 || row >= allowed->all) return false;
    return !allowed->rows || (allowed->rows[row / 64] >> row % 64 & 1);
}

void el_allowed_done(struct el_allowed *allowed) {
    el_free(allowed->filter);
    el_free(allowed->rows);
    *allowed = (struct el_allowed){.version = -1};
}
