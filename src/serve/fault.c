// SPDX-License-Identifier: Apache-2.0
// Faults: the table of errors.def, and OpenAI's envelope.
#include "serve/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

const struct el_fault_row el_fault_rows[EL_FAULT_COUNT] = {
#define FAULT(name, status, type, code, label) [EL_FAULT_##name] = {status, type, code, label},
#include "serve/errors.def"
#undef FAULT
};

// A cut may have gone through a character: drops its first bytes.
static void drop_half_character(char *text, size_t length) {
    size_t start = length;
    while (start > 0 && ((uint8_t)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && ((uint8_t)text[start - 1] & 0x80)) text[start - 1] = '\0';
}

int el_fault_set(struct el_fault *fault, enum el_fault_kind kind, const char *param, const char *format,
                 ...) {
    va_list args;
    va_start(args, format);
    *fault = (struct el_fault){.kind = kind, .param = param};
    int length = vsnprintf(fault->message, sizeof fault->message, format, args);
    if (length >= (int)sizeof fault->message) drop_half_character(fault->message, sizeof fault->message - 1);
    va_end(args);
    return EL_EINVAL;
}

int el_fault_from_status(struct el_fault *fault, int status, const char *param) {
    static const struct {
        int status;
        enum el_fault_kind kind;
    } rows[] = {
        {EL_EINVAL, EL_FAULT_INVALID_VALUE}, {EL_ETOOBIG, EL_FAULT_TOO_MANY_TOKENS},
        {EL_EBUSY, EL_FAULT_QUEUE_FULL},     {EL_ECANCELED, EL_FAULT_CLIENT_LEFT},
        {EL_ENOMEM, EL_FAULT_OUT_OF_MEMORY}, {EL_ESHUTDOWN, EL_FAULT_SHUTTING_DOWN},
    };
    enum el_fault_kind kind = EL_FAULT_COMPUTE_FAILED;
    for (size_t i = 0; i < EL_COUNT(rows); i++)
        if (rows[i].status == status) kind = rows[i].kind;
    const char *detail = el_error_detail();
    return el_fault_set(fault, kind, param, "%s", detail[0] ? detail : el_status_text(status));
}

int el_fault_loading(struct el_fault *fault, const char *model) {
    enum { RETRY_MS = 1000 };
    el_fault_set(fault, EL_FAULT_MODEL_LOADING, model ? "model" : NULL,
                 "%s is being loaded; try again in a second", model ? model : "the model");
    fault->retry_ms = RETRY_MS;
    return EL_EINVAL;
}

static int put_text_or_null(struct el_str *str, const char *text) {
    return text ? el_str_put_json(str, text, strlen(text)) : el_str_puts(str, "null");
}

int el_fault_write(const struct el_fault *fault, struct el_str *str) {
    const struct el_fault_row *row = &el_fault_rows[fault->kind];
    EL_TRY(el_str_puts(str, "{\"error\":{\"message\":"));
    EL_TRY(put_text_or_null(str, fault->message));
    EL_TRY(el_str_puts(str, ",\"type\":"));
    EL_TRY(put_text_or_null(str, row->type));
    EL_TRY(el_str_puts(str, ",\"param\":"));
    EL_TRY(put_text_or_null(str, fault->param));
    EL_TRY(el_str_puts(str, ",\"code\":"));
    EL_TRY(put_text_or_null(str, row->code));
    return el_str_puts(str, "}}\n");
}
