// SPDX-License-Identifier: Apache-2.0
// Settings: one table (settings.def), read from MBED_ variables, YAML files, ELEANOR_ variables and flags, in
// rising order of precedence, each value with the place it came from.
#ifndef EL_CONFIG_CONFIG_H
#define EL_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct el_string_list {
    char **item; // owned
    size_t count;
};

// MBED_ variables stand below all that is said in eleanor's own places.
enum el_config_source { EL_FROM_DEFAULT, EL_FROM_MBED, EL_FROM_FILE, EL_FROM_ENV, EL_FROM_FLAG };

struct el_config_origin; // where one value came from

// One member per row of settings.def; a string is NULL when not set.
struct el_config {
#define SETTING_STRING(name, initial, argument, text) char *name;
#define SETTING_SECRET(name, text) char *name;
#define SETTING_CHOICE(name, initial, choices, text) char *name;
#define SETTING_LIST(name, initial, argument, text) struct el_string_list name;
#define SETTING_INT(name, initial, min, max, text) int64_t name;
#define SETTING_BYTES(name, initial, min, max, text) int64_t name;
#define SETTING_BOOL(name, initial, text) bool name;
#include "config/settings.def"
#undef SETTING_STRING
#undef SETTING_SECRET
#undef SETTING_CHOICE
#undef SETTING_LIST
#undef SETTING_INT
#undef SETTING_BYTES
#undef SETTING_BOOL
    struct el_config_origin *origin; // one per setting; owned
    int files;                       // that were read
};

// Defaults only. EL_ENOMEM.
int el_config_init(struct el_config *config);
void el_config_done(struct el_config *config); // takes a zeroed struct too

// Each overrides what a lower source gave, in whatever order they are called; of two files the later. Errors
// name the place ("eleanor.yaml:12: ..."), the key or value, what is allowed and the nearest valid name.
// EL_EINVAL, EL_EUNSUPPORTED (an alias of gpu.def or mbed.def whose feature does not exist yet),
// EL_ENOENT, EL_EIO, EL_EFORMAT (no YAML), EL_ETOOBIG, EL_ENOMEM.
int el_config_read_file(struct el_config *config, const char *path);
int el_config_read_yaml(struct el_config *config, const char *what, const void *bytes, size_t length);
int el_config_read_env(struct el_config *config, char *const *environment); // ELEANOR_ and MBED_
// `name` as in settings.def, with - or _ ; a list's first flag replaces what file and environment said, the
// next ones append. NULL value: true, for a bool.
int el_config_set_flag(struct el_config *config, const char *name, const char *value);

// After all were read: settings that decide others (quantize, mixed_precision, gpu_enabled, batching, ...) do
// so, and the others take over their origin. EL_EINVAL for two that contradict each other, naming both
// places.
int el_config_settle(struct el_config *config);

// Tells of each MBED_ variable that says something else than what holds, which a higher source has set.
typedef void el_config_tell_fn(const char *text);
int el_config_compare_mbed(const struct el_config *config, char *const *environment, el_config_tell_fn *tell);

// True when `name` is a setting; *ret_is_bool: its flag may stand without a value.
bool el_config_has(const char *name, bool *ret_is_bool);

// "threads: 2   # from ELEANOR_THREADS", a line per setting, valid YAML; or as a JSON object. The value of a
// secret is printed as "***".
int el_config_print(const struct el_config *config, bool json, struct el_str *str);

// What help, completions and man pages say of a setting.
struct el_setting_info {
    const char *name;     // "max_body"
    const char *argument; // "FILE", or "auto|fp32" when only these are allowed; NULL for a bool
    const char *text;     // one line, without the default
    const char *initial;  // "8080"; NULL: not set
};
// False when there is no setting `name`.
bool el_setting_find(const char *name, struct el_setting_info *ret_info);

#endif
