// SPDX-License-Identifier: Apache-2.0
// The text of status codes, and the per-thread slot that holds the detail of the last error.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { DETAIL_SIZE = 1024 }; // bytes; a longer detail is cut

static _Thread_local char detail_slot[DETAIL_SIZE];

const char *el_status_text(int status) {
    switch (status) {
#define X(name, value, text) \
    case name:               \
        return text;
        EL_STATUS_LIST(X)
#undef X
    default:
        return "unknown status";
    }
}

const char *el_error_detail(void) {
    return detail_slot;
}

int el_fail(int status, const char *format, ...) {
    // An argument may be the old detail itself, so the new one is made beside it.
    char fresh[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    memcpy(detail_slot, fresh, sizeof fresh);
    return status;
}

int el_fail_in(int status, const char *format, ...) {
    char fresh[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used + 3 < sizeof fresh) { // room for ": " and some of the old detail
        size_t kept = EL_MIN(strlen(detail_slot), sizeof fresh - used - 3);
        memcpy(fresh + used, ": ", 2);
        memcpy(fresh + used + 2, detail_slot, kept);
        fresh[used + 2 + kept] = '\0';
    }
    memcpy(detail_slot, fresh, sizeof fresh);
    return status;
}

int el_fail_copy(int status, const char *detail) {
    return el_fail(status, "%s", detail);
}
