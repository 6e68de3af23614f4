// SPDX-License-Identifier: Apache-2.0
// The texts of `eleanor embed`, one after another: from --text, from files or standard input; as lines, as a
// field of JSON lines, or a file at a time. Memory is bounded by the longest text.
#ifndef EL_CMD_EMBED_INPUT_H
#define EL_CMD_EMBED_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "service/shard.h"

enum { EL_TEXT_LIMIT = 64 << 20 }; // bytes of one text

// Set the first group, zero the rest.
struct el_text_source {
    const char *const *texts; // given by --text, before all files
    size_t text_count;
    const char *const *paths; // "-" is standard input
    size_t path_count;
    const char *field;     // of JSON lines; NULL: the text is the line itself
    bool whole;            // one text per file
    struct el_shard shard; // of the texts; size 0 or 1: all of them

    uint64_t from, until; // texts that begin here, by the bytes of all files, are the share's
    uint64_t skipped;     // texts before those

    uint64_t bytes_read;
    uint64_t bytes_total; // of all files; 0: not known (a pipe)
    size_t next_text, next_path;
    bool is_open;
    int fd;
    size_t line;  // the last line read, from 1
    char *buffer; // read ahead: [begin, end)
    size_t begin, end;
};

// Sees that every path can be read, before any work is done. EL_ENOENT, EL_EIO; EL_EINVAL for a folder, and
// for a share of what is no file.
int el_text_source_open(struct el_text_source *source);
void el_text_source_close(struct el_text_source *source);

// Puts the next text into *text (cleared before). 1, 0 at the end; EL_EFORMAT and EL_ETOOBIG name file and
// line, EL_EIO, EL_ENOMEM.
int el_text_source_next(struct el_text_source *source, struct el_str *text);

// True when el_text_source_next() would wait for a slow writer: time to hand out what is there.
bool el_text_source_would_block(const struct el_text_source *source);

#endif
