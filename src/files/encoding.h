// SPDX-License-Identifier: Apache-2.0
// Bytes of a text in some encoding, to UTF-8.
#ifndef EL_FILES_ENCODING_H
#define EL_FILES_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// Appends the text without its byte order mark. In this order: a mark; UTF-16 by its zeros; valid UTF-8;
// `named` (what the file says of itself, or NULL); UTF-8 with damaged places, which become U+FFFD; what
// uchardet finds; Windows-1252. *ret_converted: the bytes are no longer the same. EL_EFORMAT: the bytes are
// no text, as their zeros and control characters show. EL_ENOMEM.
int el_text_decode(const void *data, size_t size, const char *named, struct el_str *text,
                   bool *ret_converted);

#endif
