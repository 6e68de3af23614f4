// SPDX-License-Identifier: Apache-2.0
// Between the files of chunk.h: the pieces that a text is cut into before chunks are made of them.
#ifndef EL_SERVICE_CHUNK_PARTS_H
#define EL_SERVICE_CHUNK_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/chunk.h"

// How well a chunk may begin with a piece.
enum el_piece_rank {
    EL_PIECE_GOES_ON, // with what stands before it
    EL_PIECE_OPENS,   // a paragraph, or a part of a block of code
    EL_PIECE_HEADS,   // a block of code
};

// A word, a sentence or a line, with the blanks behind it.
struct el_piece {
    size_t begin, end; // bytes of the text
    int64_t tokens;
    enum el_piece_rank rank;
};

struct el_pieces {
    const struct el_text *text;
    const struct el_chunk_rules *rules;
    struct el_piece *list;
    size_t count, capacity;
};

bool el_chunk_blank(char c);
// The first byte at or behind `at`, before `end`, that is no blank; *ret_lines counts the newlines before it.
size_t el_chunk_skip(const struct el_text *text, size_t at, size_t end, int *ret_lines);

// Cuts text[begin .. end) as the rules say; by markdown as by paragraph, but for fenced code.
int el_pieces_cut(struct el_pieces *pieces, size_t begin, size_t end);

// Makes chunks of text[begin .. end), each with `head` and an empty line before it unless that is empty.
int el_chunk_part(const struct el_text *text, size_t begin, size_t end, const struct el_chunk_rules *rules,
                  const struct el_text *head, struct el_chunks *chunks);
// Adds a chunk that is there, `head` before it; the text may be empty when the head is not.
int el_chunks_put(struct el_chunks *chunks, const struct el_text *head, struct el_text text);

// Chunks of a Markdown text.
int el_chunk_markdown(const struct el_text *text, const struct el_chunk_rules *rules,
                      struct el_chunks *chunks);

// Behind the last line of the fenced code that the line at `at` opens; `at` when it opens none.
size_t el_fence_skip(const struct el_text *text, size_t at, size_t end);
// Behind the newline of the line at `at`, at most `end`.
size_t el_line_end(const struct el_text *text, size_t at, size_t end);

#endif
