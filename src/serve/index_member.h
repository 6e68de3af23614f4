// SPDX-License-Identifier: Apache-2.0
// What the bodies of requests to /v1/indexes have in common. All of these that return int: 0, or EL_EINVAL
// with *fault.
#ifndef EL_SERVE_INDEX_MEMBER_H
#define EL_SERVE_INDEX_MEMBER_H

#include <jansson.h>
#include <stddef.h>

#include "base/str.h"
#include "index/filter.h"
#include "serve/fault.h"

int el_index_body_root(const char *bytes, size_t length, json_t **ret_root, struct el_fault *fault);

// Refuses bytes that would be more JSON values than `most`, before they are parsed; `param` is what there is
// too much of, in the plural.
int el_index_body_check_values(const char *bytes, size_t length, size_t most, const char *param,
                               struct el_fault *fault);
int el_index_body_check_count(size_t count, size_t most, const char *param, struct el_fault *fault);

// An array of `dim` numbers; `what` stands for it in messages.
int el_index_body_vector(const json_t *value, const char *param, const char *what, int dim, float *ret_vector,
                         struct el_fault *fault);
// "recall": above 0, up to 1; 0 where none is given.
int el_index_body_recall(const json_t *root, double *ret_recall, struct el_fault *fault);

// "filter": its text, in which nothing is wrong; nothing where none is given. `check` may refuse what it
// says, or be NULL.
int el_index_body_filter(const json_t *root, int (*check)(const struct el_filter *filter),
                         struct el_str *ret_text, struct el_fault *fault);

int el_index_body_missing(struct el_fault *fault, const char *key);
// The fault of a status that may be EL_ENOMEM.
int el_index_body_memory(struct el_fault *fault, int status);
// For json_dump_callback: into a struct el_str.
int el_index_body_append(const char *bytes, size_t length, void *str);

#endif
