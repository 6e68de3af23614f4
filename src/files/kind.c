// SPDX-License-Identifier: Apache-2.0
// A file's kind by its bytes and its name.
#include "files/kind.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "files/html.h"
#include "files/pdf.h"
#include "files/unpack.h"

static const struct {
    const char *name, *ends;
} kinds[EL_KIND_COUNT] = {
#define X(kind, name, ends) [EL_KIND_##kind] = {name, ends},
#include "files/kind.def"
#undef X
};

const char *el_file_kind_name(enum el_file_kind kind) {
    return kinds[kind].name;
}

// True when `end`, with its dot, is one of the list.
static bool is_listed(const char *list, const char *end, size_t length) {
    while (*list) {
        const size_t item = strcspn(list, " ");
        if (item == length && strncasecmp(list, end, length) == 0) return true;
        list += item + 1;
    }
    return false;
}

enum el_file_kind el_file_kind(const char *name, const char *bytes, size_t size) {
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    if (el_is_pdf(bytes, size)) return EL_KIND_PDF;
    if (el_is_html(bytes, size)) return EL_KIND_HTML;
    const size_t length = el_unpacked_name(base);
    const char *dot = memrchr(base, '.', length);
    for (int i = 0; dot && i < EL_KIND_COUNT; i++)
        if (is_listed(kinds[i].ends, dot, length - (size_t)(dot - base))) return (enum el_file_kind)i;
    return size >= 2 && memcmp(bytes, "#!", 2) == 0 ? EL_KIND_CODE : EL_KIND_TEXT;
}
