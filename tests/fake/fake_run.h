// SPDX-License-Identifier: Apache-2.0
// Small programs that run in a process of their own on the fake CUDA driver, each on a machine and with
// failures of its own, since a driver starts once in a process.
#ifndef EL_TESTS_FAKE_RUN_H
#define EL_TESTS_FAKE_RUN_H

#include <jansson.h>

struct fake_run {
    const char *machine; // of tests/machines/, or a path; NULL: h200
    const char *fail;    // EL_FAKE_FAIL
    const char *streams; // EL_FAKE_STREAMS
    const char *visible; // CUDA_VISIBLE_DEVICES
    const char *order;   // CUDA_DEVICE_ORDER
    const char *trip;    // EL_FAKE_TRIP
};

// Exit codes of a program: 0, minus a status, or one of these.
enum { RUN_WRONG = 100, RUN_BAD_CHECK = 101 };

// In a program: ends it when a condition does not hold, or a call fails.
#define RUN_CHECK(condition)                                                                \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, \
                    el_error_detail());                                                     \
            return RUN_BAD_CHECK;                                                           \
        }                                                                                   \
    } while (0)
#define RUN_TRY(call)                                         \
    do {                                                      \
        int run_status = (call);                              \
        if (run_status < 0) return run_exit_code(run_status); \
    } while (0)
int run_exit_code(int status);

// Runs it and returns its exit code (128 + the signal that it died of). ret_report: what the fake wrote at
// its end, or NULL; the caller's to json_decref. May be NULL itself.
int run_on_fake(const struct fake_run *run, int (*program)(void), json_t **ret_report);

// What a report's "left" says was left behind, all kinds together.
long run_left(const json_t *report);
// How often a report says that a driver's function was called.
long run_calls(const json_t *report, const char *function);

#endif
