// SPDX-License-Identifier: Apache-2.0
// A text in pieces: words, sentences, or lines of code.
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "service/chunk_parts.h"

bool el_chunk_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

size_t el_chunk_skip(const struct el_text *text, size_t at, size_t end, int *ret_lines) {
    for (*ret_lines = 0; at < end && el_chunk_blank(text->data[at]); at++)
        *ret_lines += text->data[at] == '\n';
    return at;
}

size_t el_line_end(const struct el_text *text, size_t at, size_t end) {
    const char *newline = memchr(text->data + at, '\n', end - at);
    return newline ? (size_t)(newline - text->data) + 1 : end;
}

// ---- one piece ----

static bool is_within_code(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

// Where a piece that is too long is parted: behind the blank that is nearest before its middle, else at the
// code point nearest to the middle; `end` when there is but one.
static size_t middle(const struct el_text *text, size_t begin, size_t end) {
    const size_t half = begin + (end - begin) / 2;
    for (size_t at = EL_MIN(half + 1, end); at > begin + 1; at--)
        if (el_chunk_blank(text->data[at - 1])) return at;
    size_t before = half, behind = half;
    while (before > begin && is_within_code(text->data[before]))
        before--;
    while (behind < end && is_within_code(text->data[behind]))
        behind++;
    return before > begin ? before : behind;
}

static int count_tokens(const struct el_pieces *pieces, struct el_piece *piece) {
    const struct el_text part = {pieces->text->data + piece->begin, piece->end - piece->begin};
    return pieces->rules->count(pieces->rules->context, &part, &piece->tokens);
}

static int append(struct el_pieces *pieces, const struct el_piece *piece) {
    EL_TRY(el_grow(&pieces->list, sizeof *pieces->list, pieces->count, &pieces->capacity));
    pieces->list[pieces->count++] = *piece;
    return 0;
}

// Adds text[begin .. end) as a piece, in halves of halves when it is too long for a chunk.
static int add_piece(struct el_pieces *pieces, size_t begin, size_t end, enum el_piece_rank rank) {
    struct el_piece piece = {.begin = begin, .end = end, .rank = rank};
    EL_TRY(count_tokens(pieces, &piece));
    const size_t cut = piece.tokens > pieces->rules->tokens ? middle(pieces->text, begin, end) : end;
    if (cut == begin || cut == end) return append(pieces, &piece);
    EL_TRY(add_piece(pieces, begin, cut, rank));
    return add_piece(pieces, cut, end, EL_PIECE_GOES_ON);
}

// ---- fenced code ----

struct fence {
    char mark;
    size_t length; // 0: there is none
    bool is_bare;  // nothing else stands in the line
};

static struct fence fence_at(const struct el_text *text, size_t at, size_t end) {
    while (at < end && (text->data[at] == ' ' || text->data[at] == '\t'))
        at++;
    struct fence fence = {.mark = at < end ? text->data[at] : '\0'};
    size_t stop = at;
    while (stop < end && text->data[stop] == fence.mark)
        stop++;
    int lines;
    const bool is_fence = (fence.mark == '`' || fence.mark == '~') && stop - at >= 3;
    if (is_fence) fence.length = stop - at;
    const size_t next = el_line_end(text, stop, end);
    fence.is_bare = el_chunk_skip(text, stop, next, &lines) == next;
    return fence;
}

size_t el_fence_skip(const struct el_text *text, size_t at, size_t end) {
    const struct fence opens = fence_at(text, at, end);
    if (!opens.length) return at;
    size_t line = el_line_end(text, at, end);
    while (line < end) {
        const struct fence fence = fence_at(text, line, end);
        line = el_line_end(text, line, end);
        if (fence.is_bare && fence.mark == opens.mark && fence.length >= opens.length) break;
    }
    return line;
}

// Whole when it fits in a chunk, else line by line.
static int cut_fence(struct el_pieces *pieces, size_t begin, size_t end) {
    struct el_piece whole = {.begin = begin, .end = end, .rank = EL_PIECE_OPENS};
    EL_TRY(count_tokens(pieces, &whole));
    if (whole.tokens <= pieces->rules->tokens) return append(pieces, &whole);
    for (size_t at = begin; at < end;) {
        const size_t next = el_line_end(pieces->text, at, end);
        EL_TRY(add_piece(pieces, at, next, at == begin ? EL_PIECE_OPENS : EL_PIECE_GOES_ON));
        at = next;
    }
    return 0;
}

// ---- a text ----

// True when a sentence or a line ends before text[at].
static bool sentence_ends(const struct el_text *text, size_t at) {
    const char before = text->data[at - 1];
    return before == '\n' || (strchr(".!?", before) && before && el_chunk_blank(text->data[at]));
}

static bool word_ends(const struct el_text *text, size_t at) {
    return el_chunk_blank(text->data[at]);
}

static bool begins_line(const struct el_text *text, size_t at) {
    while (at > 0 && (text->data[at - 1] == ' ' || text->data[at - 1] == '\t'))
        at--;
    return at == 0 || text->data[at - 1] == '\n';
}

// Pieces with the blanks behind them. An empty line opens a paragraph, where that counts.
static int cut_pieces(struct el_pieces *pieces, size_t begin, size_t end,
                      bool (*ends)(const struct el_text *text, size_t at), bool has_paragraphs) {
    const struct el_text *text = pieces->text;
    const bool has_fences = pieces->rules->by == EL_CHUNK_MARKDOWN;
    int lines;
    size_t at = el_chunk_skip(text, begin, end, &lines);
    for (bool opens = true; at < end;) {
        size_t stop = has_fences && begins_line(text, at) ? el_fence_skip(text, at, end) : at;
        const bool is_fence = stop > at;
        if (!is_fence) stop++;
        while (!is_fence && stop < end && !ends(text, stop))
            stop++;
        const size_t next = el_chunk_skip(text, stop, end, &lines);
        lines += text->data[stop - 1] == '\n';
        const enum el_piece_rank rank = opens && has_paragraphs ? EL_PIECE_OPENS : EL_PIECE_GOES_ON;
        EL_TRY(is_fence ? cut_fence(pieces, at, next) : add_piece(pieces, at, next, rank));
        opens = lines > 1 || is_fence;
        at = next;
    }
    return 0;
}

static bool is_empty_line(const struct el_text *text, size_t at, size_t end) {
    int lines;
    return at < end && el_chunk_skip(text, at, end, &lines) >= el_line_end(text, at, end);
}

// Lines with their indentation and the empty lines behind them. Behind an empty line, a line without
// indentation heads a block unless it only closes one; another opens a part of it.
static int cut_code(struct el_pieces *pieces, size_t begin, size_t end) {
    const struct el_text *text = pieces->text;
    while (is_empty_line(text, begin, end))
        begin = el_line_end(text, begin, end);
    bool is_behind_empty = true;
    for (size_t at = begin; at < end;) {
        const bool heads = !strchr(" \t)]}", text->data[at]);
        const enum el_piece_rank rank = !is_behind_empty ? EL_PIECE_GOES_ON
                                        : heads          ? EL_PIECE_HEADS
                                                         : EL_PIECE_OPENS;
        size_t next = el_line_end(text, at, end);
        for (is_behind_empty = false; is_empty_line(text, next, end); is_behind_empty = true)
            next = el_line_end(text, next, end);
        EL_TRY(add_piece(pieces, at, next, rank));
        at = next;
    }
    return 0;
}

int el_pieces_cut(struct el_pieces *pieces, size_t begin, size_t end) {
    switch (pieces->rules->by) {
    case EL_CHUNK_CODE:
        return cut_code(pieces, begin, end);
    case EL_CHUNK_TOKENS:
        return cut_pieces(pieces, begin, end, word_ends, false);
    case EL_CHUNK_SENTENCE:
        return cut_pieces(pieces, begin, end, sentence_ends, false);
    default:
        return cut_pieces(pieces, begin, end, sentence_ends, true);
    }
}
