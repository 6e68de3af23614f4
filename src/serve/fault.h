// SPDX-License-Identifier: Apache-2.0
// What went wrong with a request, as the client is told: a row of errors.def, the parameter and a sentence.
#ifndef EL_SERVE_FAULT_H
#define EL_SERVE_FAULT_H

#include <stdint.h>

#include "base/str.h"

enum el_fault_kind {
    EL_FAULT_NONE,
#define FAULT(name, status, type, code, label) EL_FAULT_##name,
#include "serve/errors.def"
#undef FAULT
    EL_FAULT_COUNT
};

struct el_fault_row {
    int status; // of HTTP
    const char *type, *code, *label;
};
extern const struct el_fault_row el_fault_rows[EL_FAULT_COUNT]; // [EL_FAULT_NONE] is empty

struct el_fault {
    enum el_fault_kind kind;
    const char *param; // a static name, or NULL
    char message[512]; // cut when longer, at a whole UTF-8 character
    int64_t retry_ms;  // when to come back, of 429 and 503; 0: not said
};

// Fills *fault and returns EL_EINVAL, so that a refusal is one line.
int el_fault_set(struct el_fault *fault, enum el_fault_kind kind, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

// The fault of a failed call: `status` decides the row, el_error_detail() is the message.
int el_fault_from_status(struct el_fault *fault, int status, const char *param);

// That a model is being loaded, by its name; NULL: whichever is wanted. Returns EL_EINVAL.
int el_fault_loading(struct el_fault *fault, const char *model);

// Appends {"error":{"message","type","param","code"}}. EL_ENOMEM.
int el_fault_write(const struct el_fault *fault, struct el_str *str);

#endif
