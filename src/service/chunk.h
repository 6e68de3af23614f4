// SPDX-License-Identifier: Apache-2.0
// A long text in parts that a model can take whole, cut where its structure allows: as many pieces (words,
// sentences, lines) as fit, with a preference for where paragraphs, sections or blocks of code end. Where
// that can't be, the next chunk begins with the last pieces of the one before.
#ifndef EL_SERVICE_CHUNK_H
#define EL_SERVICE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "eleanor/eleanor.h"

// X(BY, name): what a text is cut by.
//   paragraph: whole paragraphs, in need sentences or lines
//   sentence:  whole sentences
//   tokens:    words, each chunk full
//   markdown:  as by paragraph within a section; before each chunk stand its headings; fenced code whole
//   code:      blocks that an empty line and a line without indentation end, in need lines
#define EL_CHUNK_LIST(X)    \
    X(PARAGRAPH, paragraph) \
    X(SENTENCE, sentence)   \
    X(TOKENS, tokens)       \
    X(MARKDOWN, markdown)   \
    X(CODE, code)

enum el_chunk_by {
#define X(by, name) EL_CHUNK_##by,
    EL_CHUNK_LIST(X)
#undef X
};
// EL_EINVAL says what there is.
int el_chunk_by_parse(const char *name, enum el_chunk_by *ret_by);

struct el_chunk_rules {
    enum el_chunk_by by;
    const char *title; // of the whole, which stands before the headings by markdown; or NULL
    int64_t tokens;    // at most in a chunk
    int64_t overlap;   // tokens, at most, that are repeated; less than `tokens`
    // The tokens of a text without those that stand around each. EL_ENOMEM.
    int (*count)(void *context, const struct el_text *text, int64_t *ret_tokens);
    void *context;
};

struct el_chunks {
    struct el_text *texts; // [count], without blanks around: parts of the text, or in the arena
    size_t count, capacity;
    struct el_arena arena;
};

// Appends the chunks of a valid UTF-8 text to *chunks: none of a text of blanks. EL_ENOMEM.
int el_chunk_text(const struct el_text *text, const struct el_chunk_rules *rules, struct el_chunks *chunks);
void el_chunks_done(struct el_chunks *chunks);

#endif
