// SPDX-License-Identifier: Apache-2.0
// Where `eleanor index query` puts its answers: text or JSON lines on standard output, or NumPy arrays.
#ifndef EL_CMD_INDEX_QUERY_OUTPUT_H
#define EL_CMD_INDEX_QUERY_OUTPUT_H

#include <stdint.h>

#include "base/str.h"
#include "cmd/embed_output.h"
#include "cmd/index/index.h"

struct el_query_output {
    const struct el_index_wish *wish;
    size_t k;
    struct el_str text; // of an answer
    // Of --format npy:
    struct el_vector_sink ids, scores; // stream NULL: not wanted
    int64_t *id_row;                   // [k]
    float *score_row;                  // [k]
    char *prefix;                      // of all ids, "FILE:" or ""; NULL: none has come yet
};

// EL_EIO, EL_EINVAL as el_vector_sink_open; EL_ENOMEM.
int el_query_output_open(const struct el_index_wish *wish, int k, struct el_query_output *ret_output);
// The lists of an answer, in order. EL_EINVAL: ids that are no numbers, for NumPy.
int el_query_output_put(struct el_query_output *output, const struct el_index_answer *answer);
// Completes the files: only then they are good.
int el_query_output_finish(struct el_query_output *output);
void el_query_output_close(struct el_query_output *output);

#endif
