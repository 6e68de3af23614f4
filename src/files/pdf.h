// SPDX-License-Identifier: Apache-2.0
// PDF to text by the program pdftotext (Debian's poppler-utils), in a process of its own with limits.
#ifndef EL_FILES_PDF_H
#define EL_FILES_PDF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

bool el_is_pdf(const void *bytes, size_t size);

// Appends the text of a PDF. EL_ENOENT: there is no pdftotext; EL_EFORMAT: it can't read it, the detail being
// what it says; EL_ETOOBIG: more than `limit` bytes of text; EL_ECANCELED: it took over `seconds`; EL_EIO,
// EL_ENOMEM.
int el_pdf_text(const void *bytes, size_t size, size_t limit, int seconds, struct el_str *text);

#endif
