// SPDX-License-Identifier: Apache-2.0
// The per-thread slot for the detail of an error: set where the error happens, printed with the code.
#ifndef EL_BASE_ERROR_H
#define EL_BASE_ERROR_H

#include "eleanor/status.h"

// Writes the detail and returns `status`, so that a failure is one line: return el_fail(EL_EIO, ...).
int el_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

// Puts "what: " before the detail that is there, and returns `status`: for callers that know more.
int el_fail_in(int status, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

// Sets the slot from text that another thread's failure left (a future hands its error over so).
int el_fail_copy(int status, const char *detail);

// For functions that only pass a failure on: returns the negative status of `call`, else goes on.
#define EL_TRY(call)                                 \
    do {                                             \
        int el_try_status = (call);                  \
        if (el_try_status < 0) return el_try_status; \
    } while (0)

#endif
