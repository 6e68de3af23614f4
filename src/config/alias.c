// SPDX-License-Identifier: Apache-2.0
// Aliases: the documents' own spellings of settings, nested as in gpu.yaml or flat as MBED's, and how each
// comes to a setting or is refused. MBED_ variables are read here.
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "config/settings.h"

const struct el_alias el_aliases[] = {
#define KEY(path_, setting_) {.path = path_, .setting = #setting_},
#define KEY_TIMES(path_, setting_, factor_) {.path = path_, .setting = #setting_, .factor = factor_},
#define KEY_ONLY(path_, taken_, text_) {.path = path_, .taken = taken_, .text = text_},
#define KEY_BUT(path_, setting_, taken_) {.path = path_, .setting = #setting_, .taken = taken_},
#include "config/gpu.def"
#include "config/mbed.def"
};
const size_t el_alias_count = EL_COUNT(el_aliases);

const struct el_alias *el_alias_find(const char *path) {
    for (size_t i = 0; i < el_alias_count; i++)
        if (el_streq(el_aliases[i].path, path)) return &el_aliases[i];
    return NULL;
}

bool el_alias_is_block(const char *path) {
    const size_t length = strlen(path);
    for (size_t i = 0; i < el_alias_count; i++)
        if (el_starts_with(el_aliases[i].path, path) && el_aliases[i].path[length] == '.') return true;
    return false;
}

int el_alias_unknown(const char *place, const char *path) {
    enum { SPELLED = 64 };
    const bool is_variable = el_starts_with(path, "MBED_");
    char spelled[EL_COUNT(el_aliases)][SPELLED];
    const char *candidates[EL_COUNT(el_aliases)];
    for (size_t i = 0; i < el_alias_count; i++) {
        snprintf(spelled[i], SPELLED, "%s%s", is_variable ? "MBED_" : "", el_aliases[i].path);
        for (char *p = spelled[i]; is_variable && *p; p++)
            *p = (char)toupper((unsigned char)*p);
        candidates[i] = spelled[i];
    }
    const char *near = el_nearest(path, candidates, el_alias_count);
    return el_fail(EL_EINVAL, "%s: unknown setting \"%s\"%s%s%s", place, path, near ? ", did you mean " : "",
                   near ? near : "", near ? "?" : "; docs/config.md lists gpu.yaml's keys and MBED's");
}

// Is `value` one of the words of `taken`, "a|b"? A boolean may be spelled in any way.
static bool is_taken(const char *taken, const char *value) {
    bool given;
    const bool is_true = el_streq(taken, "true");
    if ((is_true || el_streq(taken, "false")) && el_parse_bool(value, &given) == 0) return given == is_true;
    const size_t length = strlen(value);
    for (const char *word = taken; length; word++) {
        const size_t word_length = strcspn(word, "|");
        if (word_length == length && memcmp(word, value, length) == 0) return true;
        word += word_length;
        if (!*word) break;
    }
    return false;
}

static int not_yet(const struct el_alias *alias, const char *place) {
    return el_fail(EL_EUNSUPPORTED, "%s: %s: not yet supported: %s; %s%s", place, alias->path, alias->text,
                   *alias->taken ? "it may only be " : "take it out", alias->taken);
}

int el_alias_assign(struct el_config *config, const struct el_alias *alias, const char *const *values,
                    size_t count, enum el_config_source source, const char *place) {
    if (alias->taken && count == 1 && is_taken(alias->taken, values[0])) return 0;
    if (!alias->setting) return not_yet(alias, place);
    const struct el_setting *setting = el_setting_row(alias->setting);
    char scaled[32];
    const char *text = scaled;
    if (alias->factor > 0 && count == 1) {
        double value;
        int status = el_parse_f64(values[0], (double)setting->min / alias->factor,
                                  (double)setting->max / alias->factor, &value);
        if (status < 0) return el_fail_in(status, "%s: %s", place, alias->path);
        snprintf(scaled, sizeof scaled, "%" PRId64, (int64_t)llround(value * alias->factor));
        values = &text;
    }
    return el_config_assign(config, setting, values, count, source, place, false);
}

// ---- MBED_ variables ----

static const char prefix[] = "MBED_";

// `variable` is "MBED_" and the name of a flat alias in capitals, without the value.
static int read_variable(struct el_config *config, const char *variable, const char *value) {
    char name[64] = "";
    bool spelled = true;
    for (size_t i = 0; variable[strlen(prefix) + i] && i + 1 < sizeof name; i++) {
        const unsigned char c = (unsigned char)variable[strlen(prefix) + i];
        spelled &= !islower(c);
        name[i] = (char)tolower(c);
    }
    const struct el_alias *alias = spelled ? el_alias_find(name) : NULL;
    if (!alias || strchr(name, '.')) return el_alias_unknown("environment", variable);
    return el_alias_assign(config, alias, &value, 1, EL_FROM_MBED, variable);
}

int el_config_read_mbed(struct el_config *config, char *const *environment) {
    int status = 0;
    for (size_t i = 0; environment[i] && status == 0; i++) {
        const char *equals = strchr(environment[i], '=');
        if (!equals || !equals[1] || !el_starts_with(environment[i], prefix)) continue; // empty: not set
        char *variable el_auto_free = NULL;
        status = el_strndup(environment[i], (size_t)(equals - environment[i]), &variable);
        if (status == 0) status = read_variable(config, variable, equals + 1);
    }
    return status;
}

// What a setting has come to although the variables wished something else.
static int put_difference(const struct el_config *config, const struct el_config *mbed,
                          const struct el_setting *setting, struct el_str *ret_text) {
    const size_t row = (size_t)(setting - el_settings);
    struct el_str wish el_auto(el_str_done) = {0}, value el_auto(el_str_done) = {0};
    EL_TRY(el_setting_put_value(&wish, mbed, setting));
    EL_TRY(el_setting_put_value(&value, config, setting));
    if (el_streq(wish.data, value.data)) return 0;
    return el_str_printf(ret_text, "%s is passed over: %s is %s (%s)", mbed->origin[row].place, setting->name,
                         value.data, config->origin[row].place);
}

int el_config_compare_mbed(const struct el_config *config, char *const *environment,
                           el_config_tell_fn *tell) {
    struct el_config mbed el_auto(el_config_done) = {0};
    const char *told = NULL; // the variable; a setting that it decides may follow
    EL_TRY(el_config_init(&mbed));
    EL_TRY(el_config_read_mbed(&mbed, environment));
    EL_TRY(el_config_settle(&mbed));
    for (size_t i = 0; i < el_setting_count; i++) {
        struct el_str text el_auto(el_str_done) = {0};
        const struct el_config_origin *wished = &mbed.origin[i];
        if (wished->source != EL_FROM_MBED || config->origin[i].source <= EL_FROM_MBED) continue;
        if (el_streq(wished->place, told)) continue;
        EL_TRY(put_difference(config, &mbed, &el_settings[i], &text));
        if (!text.length) continue;
        tell(text.data);
        told = wished->place;
    }
    return 0;
}
