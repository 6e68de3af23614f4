// SPDX-License-Identifier: Apache-2.0
// HTML to text: headings, lists and preformatted parts as Markdown has them, the rest as paragraphs.
#ifndef EL_FILES_HTML_H
#define EL_FILES_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// By its first bytes.
bool el_is_html(const char *bytes, size_t size);

enum { EL_HTML_ENCODING = 40 }; // bytes of an encoding's name
// The encoding that the page names in its first 1,024 bytes, if any.
bool el_html_encoding(const char *bytes, size_t size, char ret_name[EL_HTML_ENCODING]);

// Appends a page (valid UTF-8, whatever it says itself) to *text, without scripts, styles and what else is
// not shown; *title gets its title. EL_EFORMAT: elements nested deeper than 1,000; EL_ENOMEM.
int el_html_text(const char *bytes, size_t size, struct el_str *text, struct el_str *title);

#endif
