// SPDX-License-Identifier: Apache-2.0
// Fuzzes the cutting of texts: the first byte says by what and how long. No chunk is empty, too long or cut
// within a code point; by all but Markdown, what lies between chunks is blank.
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "format/utf8.h"
#include "service/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// A token is a code point that is no blank, so that no text can't be parted.
static int count(void *context, const struct el_text *text, int64_t *ret_tokens) {
    int64_t tokens = 0;
    (void)context;
    for (size_t i = 0; i < text->length; i++)
        tokens += !is_blank(text->data[i]) && (text->data[i] & 0xC0) != 0x80;
    *ret_tokens = tokens;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_chunks chunks el_auto(el_chunks_done) = {0};
    if (size < 1 || size > 4096) return 0;
    const struct el_text text = {(const char *)data + 1, size - 1};
    const struct el_chunk_rules rules = {.by = (enum el_chunk_by)(data[0] % (EL_CHUNK_CODE + 1)),
                                         .title = data[0] & 128 ? "title" : NULL,
                                         .tokens = 1 + (data[0] >> 3) % 16,
                                         .overlap = (data[0] >> 3) % 16 / 4,
                                         .count = count};
    if (el_utf8_valid(text.data, text.length) != text.length) return 0;
    if (el_chunk_text(&text, &rules, &chunks) < 0) abort();
    const char *covered = text.data;
    for (size_t i = 0; i < chunks.count; i++) {
        const struct el_text *chunk = &chunks.texts[i];
        int64_t tokens;
        count(NULL, chunk, &tokens);
        if (!chunk->length || el_utf8_valid(chunk->data, chunk->length) != chunk->length) abort();
        if (rules.by == EL_CHUNK_MARKDOWN) continue;
        if (tokens > rules.tokens || tokens == 0) abort();
        for (; covered < chunk->data; covered++)
            if (!is_blank(*covered)) abort();
        if (chunk->data + chunk->length <= covered) abort();
        covered = chunk->data + chunk->length;
    }
    return 0;
}
