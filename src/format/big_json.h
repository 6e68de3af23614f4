// SPDX-License-Identifier: Apache-2.0
// JSON that Python wrote: whole numbers may have any number of digits there. transformers writes 10^30 for a
// tokenizer without a limit, which jansson refuses.
#ifndef EL_FORMAT_BIG_JSON_H
#define EL_FORMAT_BIG_JSON_H

#include <jansson.h>
#include <stddef.h>

// As el_json_parse, but whole numbers of 19 digits and more become reals. EL_EFORMAT, EL_ENOMEM.
int el_big_json_parse(const char *what, const char *text, size_t length, json_t **ret_root);
int el_big_json_parse_file(const char *path, size_t limit, json_t **ret_root);

#endif
