// SPDX-License-Identifier: Apache-2.0
// Chunks: the pieces of a text are put together again while they fit.
#include "service/chunk.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "service/chunk_parts.h"

static const char *const names[] = {
#define X(by, name) #name,
    EL_CHUNK_LIST(X)
#undef X
};

int el_chunk_by_parse(const char *name, enum el_chunk_by *ret_by) {
    struct el_str list el_auto(el_str_done) = {0};
    for (size_t i = 0; i < EL_COUNT(names); i++) {
        EL_TRY(el_str_printf(&list, "%s%s", i ? ", " : "", names[i]));
        if (!el_streq(names[i], name)) continue;
        *ret_by = (enum el_chunk_by)i;
        return 0;
    }
    return el_fail(EL_EINVAL, "\"%s\" is none of %s", name, list.data);
}

// The end of the chunk that begins with piece `first`: the last block of code that begins and does not fit;
// else, so that a paragraph stays whole, the last one behind the chunk's first half; else the first piece
// that does not fit. *ret_whole: nothing is parted there.
static size_t chunk_end(const struct el_pieces *pieces, size_t first, bool *ret_whole) {
    const int64_t most = pieces->rules->tokens;
    int64_t tokens = 0;
    size_t end = first, whole = 0, head = 0;
    for (; end < pieces->count; end++) {
        const struct el_piece *piece = &pieces->list[end];
        if (piece->rank == EL_PIECE_HEADS && end > first) head = end;
        if (piece->rank != EL_PIECE_GOES_ON && tokens >= most / 2) whole = end;
        if (end > first && tokens + piece->tokens > most) break;
        tokens += piece->tokens;
    }
    if (head) whole = head;
    *ret_whole = end == pieces->count || whole > first;
    return end < pieces->count && whole > first ? whole : end;
}

// Goes back from `end` over the pieces that are repeated, at most to `first`; the piece at `end` still fits
// then.
static size_t step_back(const struct el_pieces *pieces, size_t first, size_t end) {
    const int64_t room = pieces->rules->tokens - pieces->list[end].tokens;
    const int64_t most = EL_MIN(pieces->rules->overlap, room);
    int64_t tokens = 0;
    while (end > first && tokens + pieces->list[end - 1].tokens <= most)
        tokens += pieces->list[--end].tokens;
    return end;
}

// Puts the head before a text, in the arena.
static int put_head(const struct el_text *head, struct el_chunks *chunks, struct el_text *text) {
    static const char between[] = "\n\n";
    const size_t gap = text->length ? strlen(between) : 0;
    char *copy;
    EL_TRY(el_arena_alloc(&chunks->arena, head->length + gap + text->length, 1, &copy));
    memcpy(copy, head->data, head->length);
    memcpy(copy + head->length, between, gap);
    if (text->length) memcpy(copy + head->length + gap, text->data, text->length);
    *text = (struct el_text){copy, head->length + gap + text->length};
    return 0;
}

int el_chunks_put(struct el_chunks *chunks, const struct el_text *head, struct el_text text) {
    EL_TRY(el_grow(&chunks->texts, sizeof *chunks->texts, chunks->count, &chunks->capacity));
    if (head->length) EL_TRY(put_head(head, chunks, &text));
    chunks->texts[chunks->count++] = text;
    return 0;
}

static int put_pieces(const struct el_pieces *pieces, size_t first, size_t end, const struct el_text *head,
                      struct el_chunks *chunks) {
    const size_t begin = pieces->list[first].begin;
    size_t stop = pieces->list[end - 1].end;
    while (stop > begin && el_chunk_blank(pieces->text->data[stop - 1]))
        stop--;
    return el_chunks_put(chunks, head, (struct el_text){pieces->text->data + begin, stop - begin});
}

static int join(const struct el_pieces *pieces, const struct el_text *head, struct el_chunks *chunks) {
    for (size_t first = 0; first < pieces->count;) {
        bool whole;
        const size_t end = chunk_end(pieces, first, &whole);
        EL_TRY(put_pieces(pieces, first, end, head, chunks));
        first = whole ? end : step_back(pieces, first + 1, end);
    }
    return 0;
}

int el_chunk_part(const struct el_text *text, size_t begin, size_t end, const struct el_chunk_rules *rules,
                  const struct el_text *head, struct el_chunks *chunks) {
    struct el_pieces pieces = {.text = text, .rules = rules};
    int status = el_pieces_cut(&pieces, begin, end);
    if (status == 0) status = join(&pieces, head, chunks);
    el_free(pieces.list);
    return status;
}

int el_chunk_text(const struct el_text *text, const struct el_chunk_rules *rules, struct el_chunks *chunks) {
    if (rules->by == EL_CHUNK_MARKDOWN) return el_chunk_markdown(text, rules, chunks);
    return el_chunk_part(text, 0, text->length, rules, &(struct el_text){"", 0}, chunks);
}

void el_chunks_done(struct el_chunks *chunks) {
    el_free(chunks->texts);
    el_arena_done(&chunks->arena);
    *chunks = (struct el_chunks){0};
}
