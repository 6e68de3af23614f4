// SPDX-License-Identifier: Apache-2.0
// Code point classes: the generated ranges spread into blocks at init (a range search per character would
// take longer than all else that is done with it), and mappings by utf8proc.
#include "format/char_class.h"

#include <stdbool.h>
#include <stddef.h>
#include <utf8proc.h>

#include "base/error.h"
#include "base/mem.h"

enum { CLASS_BITS = 9, CLASS_COUNT = 1 << CLASS_BITS, NO_BLOCK = 0xFFFF };

// First code point << CLASS_BITS | classes, up to the next one's.
static const uint32_t ranges[] = {
#define RANGE(packed) packed,
#define LOWER(first, last, lower)
#include "format/char_class.def"
#undef RANGE
#undef LOWER
};

static const struct {
    uint32_t first, last, lower; // lower case of `first`; the others follow in step
} lowers[] = {
#define RANGE(packed)
#define LOWER(first, last, lower) {first, last, lower},
#include "format/char_class.def"
#undef RANGE
#undef LOWER
};

// Whether the range after the i-th has begun by code point `c`.
static bool next_begun(size_t i, uint32_t c) {
    return i + 1 < EL_COUNT(ranges) && ranges[i + 1] >> CLASS_BITS <= c;
}

// Fills one block from range `i` on, and returns the range that holds the block's last code point.
static size_t fill_block(uint16_t *block, uint32_t first, size_t i) {
    for (uint32_t c = first; c < first + EL_CHAR_BLOCK; c++) {
        if (next_begun(i, c)) i++;
        block[c - first] = (uint16_t)(ranges[i] & (CLASS_COUNT - 1));
    }
    return i;
}

// Gives each block of code points its number; with `blocks` NULL only counts the blocks that are needed.
static size_t spread(struct el_char_table *table, uint16_t (*blocks)[EL_CHAR_BLOCK]) {
    uint16_t uniform[CLASS_COUNT]; // the block that is all of one class
    size_t used = 0, range = 0;
    for (int i = 0; i < CLASS_COUNT; i++)
        uniform[i] = NO_BLOCK;
    for (uint32_t number = 0; number < EL_CHAR_BLOCKS; number++) {
        uint32_t first = number * EL_CHAR_BLOCK;
        while (next_begun(range, first))
            range++;
        bool same = !next_begun(range, first + EL_CHAR_BLOCK - 1);
        uint16_t *shared = &uniform[ranges[range] & (CLASS_COUNT - 1)];
        if (same && *shared != NO_BLOCK) {
            table->block[number] = *shared;
            continue;
        }
        if (same) *shared = (uint16_t)used;
        if (blocks) range = fill_block(blocks[used], first, range);
        table->block[number] = (uint16_t)used++;
    }
    return used;
}

int el_char_table_init(struct el_char_table *table) {
    EL_TRY(el_alloc(spread(table, NULL), sizeof *table->blocks, &table->blocks));
    spread(table, table->blocks);
    return 0;
}

void el_char_table_done(struct el_char_table *table) {
    el_free(table->blocks);
    table->blocks = NULL;
}

int el_char_lower(uint32_t c, uint32_t ret_mapped[EL_CHAR_MAX_MAPPED]) {
    if (c == 0x130) { // the one character whose lower case, on its own, is two: i and a dot above
        ret_mapped[0] = 'i';
        ret_mapped[1] = 0x307;
        return 2;
    }
    ret_mapped[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    for (size_t i = 0; i < EL_COUNT(lowers); i++)
        if (c >= lowers[i].first && c <= lowers[i].last)
            ret_mapped[0] = lowers[i].lower + (c - lowers[i].first);
    return 1;
}

int el_char_decompose(uint32_t c, uint32_t ret_mapped[EL_CHAR_MAX_MAPPED]) {
    utf8proc_int32_t mapped[EL_CHAR_MAX_MAPPED];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, mapped, EL_CHAR_MAX_MAPPED,
                                                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
    if (count < 1 || count > EL_CHAR_MAX_MAPPED) { // a utf8proc that does not know the character
        ret_mapped[0] = c;
        return 1;
    }
    for (int i = 0; i < count; i++)
        ret_mapped[i] = (uint32_t)mapped[i];
    return (int)count;
}

int el_char_combining(uint32_t c) {
    return utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}
