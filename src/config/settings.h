// SPDX-License-Identifier: Apache-2.0
// The table behind el_config, for the files of this folder: kind, bounds and place of each row of
// settings.def.
#ifndef EL_CONFIG_SETTINGS_H
#define EL_CONFIG_SETTINGS_H

#include "config/config.h"

enum el_setting_kind {
    EL_SETTING_STRING,
    EL_SETTING_SECRET,
    EL_SETTING_CHOICE,
    EL_SETTING_LIST,
    EL_SETTING_INT,
    EL_SETTING_BYTES,
    EL_SETTING_BOOL
};

struct el_setting {
    const char *name;     // "max_body"
    const char *argument; // as in el_setting_info
    const char *text;
    const char *initial; // as a user would write it; NULL: not set
    enum el_setting_kind kind;
    size_t offset; // of the member in struct el_config
    int64_t min, max;
};

extern const struct el_setting el_settings[];
extern const size_t el_setting_count;

struct el_config_origin {
    enum el_config_source source;
    int file;    // which of the files it was, in the order of reading
    char *place; // "eleanor.yaml:12", "ELEANOR_THREADS", "--threads"; owned, NULL for a default
};

// The row of `name` (- and _ are the same), or NULL.
const struct el_setting *el_setting_row(const char *name);

// Sets `setting` to values[count] (one, unless it is a list), which came from `place`, unless a higher source
// has spoken. `append` keeps what the same source put into a list before. Errors begin with `place`.
int el_config_assign(struct el_config *config, const struct el_setting *setting, const char *const *values,
                     size_t count, enum el_config_source source, const char *place, bool append);

// A row of gpu.def or mbed.def, and what it comes to.
struct el_alias {
    const char *path;    // "gpu.async.num_streams", "batch_size"
    const char *setting; // NULL: nothing here does that yet
    double factor;       // from the alias's unit to the setting's; 0: the value stands as it is
    const char *taken;   // values, parted by |, that ask for nothing; NULL: none
    const char *text;    // without a setting: what does not exist yet
};
extern const struct el_alias el_aliases[];
extern const size_t el_alias_count;

// The alias at `path`, or NULL. True of a block: there are aliases below it.
const struct el_alias *el_alias_find(const char *path);
bool el_alias_is_block(const char *path);
// Fails for a path or a variable that is none: says the nearest.
int el_alias_unknown(const char *place, const char *path);
// Sets what `alias` comes to; as el_config_assign. EL_EUNSUPPORTED: not yet.
int el_alias_assign(struct el_config *config, const struct el_alias *alias, const char *const *values,
                    size_t count, enum el_config_source source, const char *place);

// MBED_ variables, for el_config_read_env.
int el_config_read_mbed(struct el_config *config, char *const *environment);

// Appends the value as JSON, which is YAML too; of a secret "***".
int el_setting_put_value(struct el_str *str, const struct el_config *config,
                         const struct el_setting *setting);

// Fails for a name that is no setting: says the nearest, spelled as `source` spells it, and all there are.
int el_setting_unknown(const char *place, const char *name, enum el_config_source source);

#endif
