// SPDX-License-Identifier: Apache-2.0
// The log on stderr: each event is one write, so that lines of different threads do not mix.
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

static atomic_int threshold = EL_LOG_INFO;
static atomic_int as_json;

static const char *const level_text[] = {"error", "warn", "info", "debug"};

void el_log_set_level(enum el_log_level level) {
    threshold = (int)level;
}

void el_log_set_json(int json) {
    as_json = json;
}

int el_log_parse_level(const char *text, enum el_log_level *ret_level) {
    for (int i = 0; i < 4; i++) {
        if (el_streq(text, level_text[i])) {
            *ret_level = (enum el_log_level)i;
            return 0;
        }
    }
    return el_fail(EL_EINVAL, "\"%s\" is no log level: error, warn, info or debug", text);
}

void el_log(enum el_log_level level, const char *format, ...) {
    if ((int)level > threshold) return;
    char message[2048], stamp[40];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + used, sizeof stamp - used, ".%03ldZ", now.tv_nsec / 1000000);

    struct el_str line = {0};
    int status;
    if (as_json) {
        status =
            el_str_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", stamp, level_text[level]);
        if (status == 0) status = el_str_put_json(&line, message, __builtin_strlen(message));
        if (status == 0) status = el_str_puts(&line, "}\n");
    } else {
        status = el_str_printf(&line, "%s %-5s %s\n", stamp, level_text[level], message);
    }
    // With no memory for the line, the bare message still goes out.
    if (status == 0) {
        if (write(STDERR_FILENO, line.data, line.length) < 0) {
        } // nowhere left to complain
    } else {
        fprintf(stderr, "%s\n", message);
    }
    el_str_done(&line);
}
