// SPDX-License-Identifier: Apache-2.0
// Settings: one table (settings.def), read from a YAML file, ELEANOR_ variables and flags, in rising order of
// precedence, each value with the place it came from.
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

enum el_config_source { EL_FROM_DEFAULT, EL_FROM_FILE, EL_FROM_ENV, EL_FROM_FLAG };

// One member per row of settings.def; a string is NULL when not set.
struct el_config {
#define SETTING_STRING(name, initial, env, text) char *name;
#define SETTING_LIST(name, env, text) struct el_string_list name;
#define SETTING_INT(name, initial, min, max, env, text) int64_t name;
#define SETTING_BYTES(name, initial, min, max, env, text) int64_t name;
#define SETTING_BOOL(name, initial, env, text) bool name;
#define SETTING_CHOICE(name, initial, choices, env, text) char *name;
#include "config/settings.def"
#undef SETTING_STRING
#undef SETTING_LIST
#undef SETTING_INT
#undef SETTING_BYTES
#undef SETTING_BOOL
#undef SETTING_CHOICE
    void *origin; // per setting: source and line; owned
};

// Defaults only.
int el_config_init(struct el_config *config);
void el_config_done(struct el_config *config);

// Each overrides what is there. Errors name the place ("eleanor.yaml:12: ..."), the key or value, what is
// allowed and the nearest valid name. EL_EINVAL, EL_ENOENT, EL_EFORMAT, EL_ENOMEM.
int el_config_read_file(struct el_config *config, const char *path);
int el_config_read_env(struct el_config *config, char *const *environment);
// `name` as in settings.def, with - or _ ; a list appends (the first append by flag replaces file and env).
int el_config_set_flag(struct el_config *config, const char *name, const char *value);

// True when `name` is a setting; *ret_is_bool: its flag may stand without a value.
bool el_config_has(const char *name, bool *ret_is_bool);

// "threads: 2   # from ELEANOR_THREADS", a line per setting, valid YAML; or as JSON. Secrets never appear:
// a setting whose name ends in _key is printed as "***".
int el_config_print(const struct el_config *config, bool json, struct el_str *str);

// Flags as help text, one line each, for the settings in `names` (NULL-terminated).
int el_config_help(const char *const *names, struct el_str *str);

#endif
