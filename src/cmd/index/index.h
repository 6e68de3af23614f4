// SPDX-License-Identifier: Apache-2.0
// The parts of `eleanor index`: each does one thing with an index and prints what came of it.
#ifndef EL_CMD_INDEX_INDEX_H
#define EL_CMD_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "config/config.h"
#include "service/search.h"
#include "service/shard.h"

struct el_index_wish {
    const char *action, *name; // name NULL: none was given
    const char **operands;     // behind the name; owned
    size_t operand_count;
    const char **ids; // --document; owned
    size_t id_count;
    const char *metric, *kind, *model, *store, *vectors, *lines, *output, *scores, *shard,
        *filter; // as given, or NULL
    enum el_query_mode mode;
    double recall;     // 0: not given
    int64_t dim, top;  // 0: not given
    uint64_t max_file; // bytes
    int64_t workers;   // 0: as many as will do
    bool chunk_auto;   // by the kind of each file, else by chunk_by
    enum el_chunk_by chunk_by;
    int64_t chunk_tokens, chunk_overlap; // 0: as el_search_document says
    struct el_str include, exclude;      // lines as in a .gitignore; owned
    bool update, dry_run, hidden, no_ignore, json, npy;
    char *root; // of all indexes; owned
};

// What `index add` writes to: the index, or this process's part of it when a launcher has started several.
struct el_index_target {
    struct el_shard shard;
    struct el_index *whole; // for reading, or NULL: `index` is the whole
    struct el_index *index; // for writing
};
// EL_EINVAL: of several, none can remove what is gone (--update).
int el_index_target_open(const struct el_index_wish *wish, struct el_index_target *ret_target);
void el_index_target_close(struct el_index_target *target);
// As el_index_find_all, in both: what `index` does not have is looked for in `whole`.
int el_index_target_find_all(const struct el_index_target *target, const struct el_index_document *documents,
                             size_t count, struct el_index_known *inout_known);
// As el_index_find_all and el_index_drop_known.
int el_index_target_drop_known(const struct el_index_target *target, struct el_index_document *documents,
                               size_t *inout_count, float *vectors);
// EL_EINVAL: the rows of --vectors are not of the index's dimensions.
struct el_npy;
int el_index_check_columns(const struct el_index_wish *wish, const struct el_npy *npy,
                           const struct el_index *index);
// Joins the parts.
int el_index_merge_parts(const struct el_index_wish *wish);

int el_index_make(const struct el_config *config, const struct el_index_wish *wish);
int el_index_show(const struct el_index_wish *wish);
int el_index_show_all(const struct el_index_wish *wish);
// Files and folders into the index; *ret_failed: some file could not be read, which was told.
int el_index_add_files(const struct el_config *config, const struct el_index_wish *wish, bool *ret_failed);
// The rows of a NumPy file, as the documents FILE:ROW.
int el_index_add_vectors(const struct el_index_wish *wish);
// The same as the documents of --lines.
int el_index_add_lines(const struct el_index_wish *wish);
// Vectors and documents into files that the former takes.
int el_index_export(const struct el_index_wish *wish);
int el_index_query(const struct el_config *config, const struct el_index_wish *wish);

#endif
