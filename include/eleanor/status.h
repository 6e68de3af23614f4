// SPDX-License-Identifier: Apache-2.0
// Status codes: every function of eleanor that can fail returns 0 or one of these negative codes.
#ifndef ELEANOR_STATUS_H
#define ELEANOR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

// X(name, value, what a user reads)
#define EL_STATUS_LIST(X)                                      \
    X(EL_OK, 0, "success")                                     \
    X(EL_EINVAL, -1, "invalid argument or input")              \
    X(EL_ENOMEM, -2, "out of memory (may be retried smaller)") \
    X(EL_ELOST, -3, "device lost")                             \
    X(EL_EIO, -4, "input/output error")                        \
    X(EL_ENOENT, -5, "not found")                              \
    X(EL_EFORMAT, -6, "malformed data")                        \
    X(EL_EUNSUPPORTED, -7, "not supported")                    \
    X(EL_EBUSY, -8, "queue is full, try again later")          \
    X(EL_ECANCELED, -9, "canceled")                            \
    X(EL_ETOOBIG, -10, "over a limit")                         \
    X(EL_ECHECKSUM, -11, "checksum mismatch")                  \
    X(EL_ENET, -12, "network error")                           \
    X(EL_ESHUTDOWN, -13, "shutting down")

enum el_status {
#define X(name, value, text) name = (value),
    EL_STATUS_LIST(X)
#undef X
};

// The text of the list above; "unknown status" for a code that is not in it. Any thread.
const char *el_status_text(int status);

// What exactly went wrong in the last failed call of this thread ("" when nothing did). Valid until
// the thread's next failure. Print it after el_status_text().
const char *el_error_detail(void);

#ifdef __cplusplus
}
#endif
#endif
