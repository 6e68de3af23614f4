// SPDX-License-Identifier: Apache-2.0
// A long text in parts that a model can take whole: as many paragraphs as fit; a paragraph that does not fit
// is parted at a sentence's end, and its next part begins with the last sentences of the one before.
#ifndef EL_SERVICE_CHUNK_H
#define EL_SERVICE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "eleanor/eleanor.h"

struct el_chunk_rules {
    int64_t tokens;  // at most in a chunk
    int64_t overlap; // tokens, at most, that are repeated; less than `tokens`
    // The tokens of a text without those that stand around each. EL_ENOMEM.
    int (*count)(void *context, const struct el_text *text, int64_t *ret_tokens);
    void *context;
};

struct el_chunks {
    struct el_text *texts; // [count], parts of the text, without blanks around
    size_t count, capacity;
};

// Appends the chunks of a valid UTF-8 text to *chunks: none of a text of blanks. EL_ENOMEM.
int el_chunk_text(const struct el_text *text, const struct el_chunk_rules *rules, struct el_chunks *chunks);
void el_chunks_done(struct el_chunks *chunks);

#endif
