// SPDX-License-Identifier: Apache-2.0
// The log: one line on stderr per event. Library code logs at debug only; serve and cmd log once, with
// context. The level is the program's one mutable global.
#ifndef EL_BASE_LOG_H
#define EL_BASE_LOG_H

enum el_log_level { EL_LOG_ERROR, EL_LOG_WARN, EL_LOG_INFO, EL_LOG_DEBUG };

void el_log_set_level(enum el_log_level level);
// "error", "warn", "info", "debug"; EL_EINVAL otherwise.
int el_log_parse_level(const char *text, enum el_log_level *ret_level);
void el_log_set_json(int json); // lines as JSON objects instead of text

void el_log(enum el_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define el_error(...) el_log(EL_LOG_ERROR, __VA_ARGS__)
#define el_warn(...) el_log(EL_LOG_WARN, __VA_ARGS__)
#define el_info(...) el_log(EL_LOG_INFO, __VA_ARGS__)
#define el_debug(...) el_log(EL_LOG_DEBUG, __VA_ARGS__)

#endif
