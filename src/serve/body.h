// SPDX-License-Identifier: Apache-2.0
// The body of POST /v1/embeddings, from JSON bytes to inputs. Knows no server and no model, so that it can be
// fuzzed alone.
#ifndef EL_SERVE_BODY_H
#define EL_SERVE_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/fault.h"
#include "service/embed.h"

struct el_body_limits {
    size_t max_inputs; // texts, or arrays of token ids
    size_t max_ids;    // token ids in all
};

// May point into itself: not to be copied.
struct el_embeddings_body {
    const char *model; // NULL when not given
    const struct el_embed_input *inputs;
    size_t count;            // at least 1
    bool base64;             // encoding_format
    bool refuse_too_long;    // truncate: false
    int dimensions;          // 0: all
    const char *prompt_name; // NULL: the model's default
    // Owners of the above:
    json_t *root;
    struct el_embed_input one;
    struct el_embed_input *many;
    int32_t *ids;
};

// Reads `bytes`; members it does not know are ignored, as OpenAI's clients need. A text may hold NULs. Before
// anything is built, too many inputs or ids are refused by a scan. EL_EINVAL with *fault; *ret_body is then
// empty. EL_ENOMEM too comes as a fault.
int el_embeddings_body_parse(const char *bytes, size_t length, const struct el_body_limits *limits,
                             struct el_embeddings_body *ret_body, struct el_fault *fault);
void el_embeddings_body_done(struct el_embeddings_body *body);

#endif
