// SPDX-License-Identifier: Apache-2.0
// The header of a NumPy file: a magic, a length, and a Python dict with three keys.
#include "format/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

// Finds the header's text. Version 1 has a length of two bytes, later ones of four.
static int find_header(const char *what, const uint8_t *bytes, size_t size, size_t *ret_begin,
                       size_t *ret_end) {
    static const char magic[6] = "\x93NUMPY";
    if (size < 12 || memcmp(bytes, magic, sizeof magic) != 0)
        return el_fail(EL_EFORMAT, "%s is no NumPy file", what);
    const size_t begin = bytes[6] == 1 ? 10 : 12;
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] != 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - begin) return el_fail(EL_EFORMAT, "%s is cut within its header", what);
    *ret_begin = begin;
    *ret_end = begin + length;
    return 0;
}

// What stands behind 'key': in the header, or "".
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return "";
    at += strlen(key);
    return at + strspn(at, " :");
}

// "(3, 64)"; a number that is none, or too large, is -1.
static void parse_shape(const char *text, int64_t *ret_rows, int64_t *ret_columns) {
    char *end;
    *ret_rows = *ret_columns = -1;
    if (*text != '(') return;
    const long long rows = strtoll(text + 1, &end, 10);
    if (end == text + 1 || *end != ',') return;
    const char *second = end + 1;
    const long long columns = strtoll(second, &end, 10);
    if (end == second || (*end != ')' && !el_starts_with(end, ",)"))) return;
    *ret_rows = rows;
    *ret_columns = columns;
}

static int parse_header(const char *what, const char *header, struct el_npy *npy) {
    const char *type = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    if (!el_starts_with(type, "'<f4'"))
        return el_fail(EL_EUNSUPPORTED, "%s holds %.*s, not float32 ('<f4'); save it with .astype('float32')",
                       what, (int)strcspn(type, ","), *type ? type : "no numbers");
    if (!el_starts_with(order, "False"))
        return el_fail(EL_EUNSUPPORTED, "%s is in Fortran order; save numpy.ascontiguousarray() of it", what);
    const char *shape = value_of(header, "'shape'");
    parse_shape(shape, &npy->rows, &npy->columns);
    if (npy->rows >= 0 && npy->columns >= 1) return 0;
    return el_fail(EL_EUNSUPPORTED, "%s has the shape %.40s: not a matrix with a vector a row", what, shape);
}

int el_npy_parse(const char *what, const void *bytes, size_t size, struct el_npy *ret_npy) {
    char *header el_auto_free = NULL;
    struct el_npy npy = {0};
    size_t begin = 0, end = 0, floats, needed;
    EL_TRY(find_header(what, bytes, size, &begin, &end));
    EL_TRY(el_strndup((const char *)bytes + begin, end - begin, &header));
    EL_TRY(parse_header(what, header, &npy));
    if (!el_mul_size((size_t)npy.rows, (size_t)npy.columns, &floats) ||
        !el_mul_size(floats, sizeof(float), &needed) || needed > size - end)
        return el_fail(EL_EFORMAT,
                       "%s is cut: it ends at byte %zu, %" PRId64 " x %" PRId64 " floats need more", what,
                       size, npy.rows, npy.columns);
    npy.data = (const uint8_t *)bytes + end;
    *ret_npy = npy;
    return 0;
}
