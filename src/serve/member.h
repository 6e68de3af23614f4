// SPDX-License-Identifier: Apache-2.0
// Bodies of requests and their members, read with a fault that names what is wrong. A member that is null is
// as good as missing.
#ifndef EL_SERVE_MEMBER_H
#define EL_SERVE_MEMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/fault.h"

// The JSON object that the bytes are; `flags` of jansson beside those for duplicate keys and NULs. EL_EINVAL
// with *fault; so below.
int el_body_root(const char *bytes, size_t length, size_t flags, json_t **ret_root, struct el_fault *fault);

// The member, or NULL.
json_t *el_member(const json_t *object, const char *key);
// A string without NULs, or NULL.
int el_member_string(const json_t *object, const char *key, const char **ret_text, struct el_fault *fault);
// A whole number within the bounds, or `fallback`.
int el_member_whole(const json_t *object, const char *key, int64_t min, int64_t max, int64_t fallback,
                    int64_t *ret_number, struct el_fault *fault);
int el_member_wrong_type(struct el_fault *fault, const char *param, const char *wanted);

// True for a whole number, however it is written: 7, 7.0, 70e-1 (as JSON Schema has it).
bool el_json_is_whole(const json_t *value, int64_t *ret_number);

// For counting in JSON before it is parsed: the byte after the string whose opening quote is at `p`, or
// `end`.
const char *el_json_skip_string(const char *p, const char *end);

#endif
