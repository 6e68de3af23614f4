// SPDX-License-Identifier: Apache-2.0
// Chunks: a text is cut into pieces of a sentence or a line, and the pieces are put together again while they
// fit.
#include "service/chunk.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

// A sentence, a line, or a part of one that is too long; with the blanks behind it.
struct piece {
    size_t begin, end; // bytes of the text
    int64_t tokens;
    bool opens; // a paragraph
};

struct pieces {
    const struct el_text *text;
    const struct el_chunk_rules *rules;
    struct piece *list;
    size_t count, capacity;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static int append(struct pieces *pieces, const struct piece *piece) {
    EL_TRY(el_grow(&pieces->list, sizeof *pieces->list, pieces->count, &pieces->capacity));
    pieces->list[pieces->count++] = *piece;
    return 0;
}

// Where a piece that is too long is parted: behind the blank that is nearest before its middle, else at the
// first code point behind the middle.
static size_t middle(const struct el_text *text, const struct piece *piece) {
    const size_t half = piece->begin + (piece->end - piece->begin) / 2;
    for (size_t at = EL_MIN(half + 1, piece->end); at > piece->begin + 1; at--)
        if (is_blank(text->data[at - 1])) return at;
    size_t at = half;
    while (at < piece->end && ((unsigned char)text->data[at] & 0xC0) == 0x80)
        at++;
    return at;
}

// Adds a piece, in halves of halves until each fits.
static int add(struct pieces *pieces, struct piece piece) {
    const struct el_text part = {pieces->text->data + piece.begin, piece.end - piece.begin};
    EL_TRY(pieces->rules->count(pieces->rules->context, &part, &piece.tokens));
    const size_t cut = piece.tokens > pieces->rules->tokens ? middle(pieces->text, &piece) : piece.end;
    if (cut <= piece.begin || cut >= piece.end) return append(pieces, &piece);
    EL_TRY(add(pieces, (struct piece){.begin = piece.begin, .end = cut, .opens = piece.opens}));
    return add(pieces, (struct piece){.begin = cut, .end = piece.end});
}

// True when a sentence or a line ends before text[at].
static bool ends_before(const struct el_text *text, size_t at) {
    const char before = text->data[at - 1];
    return before == '\n' || (strchr(".!?", before) && before && is_blank(text->data[at]));
}

// The first byte at or behind `at` that is no blank; *ret_lines counts the newlines before it.
static size_t skip_blanks(const struct el_text *text, size_t at, int *ret_lines) {
    for (*ret_lines = 0; at < text->length && is_blank(text->data[at]); at++)
        *ret_lines += text->data[at] == '\n';
    return at;
}

static int cut_pieces(struct pieces *pieces) {
    const struct el_text *text = pieces->text;
    int lines;
    size_t begin = skip_blanks(text, 0, &lines);
    for (bool opens = true; begin < text->length;) {
        size_t end = begin + 1;
        while (end < text->length && !ends_before(text, end))
            end++;
        const size_t next = skip_blanks(text, end, &lines);
        lines += text->data[end - 1] == '\n';
        EL_TRY(add(pieces, (struct piece){.begin = begin, .end = next, .opens = opens}));
        opens = lines > 1;
        begin = next;
    }
    return 0;
}

// The end of the chunk that begins with piece `first`: the first piece that does not fit or, so that a
// paragraph stays whole, the last one behind the chunk's first half that opens one. *ret_whole: it does.
static size_t chunk_end(const struct pieces *pieces, size_t first, bool *ret_whole) {
    const int64_t most = pieces->rules->tokens;
    int64_t tokens = 0;
    size_t end = first, whole = 0;
    for (; end < pieces->count; end++) {
        if (pieces->list[end].opens && tokens >= most / 2) whole = end;
        if (end > first && tokens + pieces->list[end].tokens > most) break;
        tokens += pieces->list[end].tokens;
    }
    *ret_whole = end == pieces->count || whole > first;
    return end < pieces->count && whole > first ? whole : end;
}

// Goes back from `end` over the pieces that are repeated, at most to `first`; the piece at `end` still fits
// then.
static size_t step_back(const struct pieces *pieces, size_t first, size_t end) {
    const int64_t room = pieces->rules->tokens - pieces->list[end].tokens;
    const int64_t most = EL_MIN(pieces->rules->overlap, room);
    int64_t tokens = 0;
    while (end > first && tokens + pieces->list[end - 1].tokens <= most)
        tokens += pieces->list[--end].tokens;
    return end;
}

static int put_chunk(const struct pieces *pieces, size_t first, size_t end, struct el_chunks *chunks) {
    const size_t begin = pieces->list[first].begin;
    size_t stop = pieces->list[end - 1].end;
    while (stop > begin && is_blank(pieces->text->data[stop - 1]))
        stop--;
    EL_TRY(el_grow(&chunks->texts, sizeof *chunks->texts, chunks->count, &chunks->capacity));
    chunks->texts[chunks->count++] = (struct el_text){pieces->text->data + begin, stop - begin};
    return 0;
}

static int put_chunks(const struct pieces *pieces, struct el_chunks *chunks) {
    for (size_t first = 0; first < pieces->count;) {
        bool whole;
        const size_t end = chunk_end(pieces, first, &whole);
        EL_TRY(put_chunk(pieces, first, end, chunks));
        first = whole ? end : step_back(pieces, first + 1, end);
    }
    return 0;
}

int el_chunk_text(const struct el_text *text, const struct el_chunk_rules *rules, struct el_chunks *chunks) {
    struct pieces pieces = {.text = text, .rules = rules};
    int status = cut_pieces(&pieces);
    if (status == 0) status = put_chunks(&pieces, chunks);
    el_free(pieces.list);
    return status;
}

void el_chunks_done(struct el_chunks *chunks) {
    el_free(chunks->texts);
    *chunks = (struct el_chunks){0};
}
