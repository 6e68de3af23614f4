// SPDX-License-Identifier: Apache-2.0
// Files that were read, on their way into the index: what it has already with the same content is left alone,
// the rest goes in by batches, each of which is there for good when the next begins.
#ifndef EL_CMD_INDEX_BATCH_H
#define EL_CMD_INDEX_BATCH_H

#include "cmd/index/add.h"
#include "cmd/model.h"

enum { EL_ADD_BATCH_FILES = 256 };

struct el_add_batch {
    const struct el_config *config;
    const struct el_index_wish *wish;
    struct el_index_target *target;
    struct el_add_summary *summary;
    struct el_cmd_model model; // opened when there is something to embed
    const char *path[EL_ADD_BATCH_FILES];
    struct el_file_text file[EL_ADD_BATCH_FILES];
    struct el_hash128 hash[EL_ADD_BATCH_FILES];
    size_t count, bytes; // files, and their text
    size_t wanted;       // files at the beginning that the index is known not to have
};

// The document that a file makes; it borrows both.
struct el_search_document el_add_document(const struct el_index_wish *wish, const char *path,
                                          const struct el_file_text *file);

// Takes the file over, leaving *file empty; the path is borrowed until the flush.
int el_add_batch_put(struct el_add_batch *batch, const char *path, struct el_file_text *file,
                     const struct el_hash128 *hash);
int el_add_batch_flush(struct el_add_batch *batch);
// Drops what was not flushed, and closes the model.
void el_add_batch_done(struct el_add_batch *batch);

#endif
