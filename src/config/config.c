// SPDX-License-Identifier: Apache-2.0
// The settings table, and how a value from a file, a variable or a flag gets into struct el_config.
#include "config/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "config/settings.h"

#define ROW(name_, kind_, initial_, argument_, text_, min_, max_) \
    {.name = #name_,                                              \
     .argument = argument_,                                       \
     .text = text_,                                               \
     .initial = initial_,                                         \
     .kind = kind_,                                               \
     .offset = offsetof(struct el_config, name_),                 \
     .min = min_,                                                 \
     .max = max_},

const struct el_setting el_settings[] = {
#define SETTING_STRING(name, initial, argument, text) \
    ROW(name, EL_SETTING_STRING, initial, argument, text, 0, 0)
#define SETTING_SECRET(name, text) ROW(name, EL_SETTING_SECRET, NULL, "KEY", text, 0, 0)
#define SETTING_CHOICE(name, initial, choices, text) \
    ROW(name, EL_SETTING_CHOICE, initial, choices, text, 0, 0)
#define SETTING_LIST(name, initial, argument, text) ROW(name, EL_SETTING_LIST, initial, argument, text, 0, 0)
#define SETTING_INT(name, initial, min, max, text) ROW(name, EL_SETTING_INT, #initial, "N", text, min, max)
#define SETTING_BYTES(name, initial, min, max, text) \
    ROW(name, EL_SETTING_BYTES, #initial, "SIZE", text, min, max)
#define SETTING_BOOL(name, initial, text) ROW(name, EL_SETTING_BOOL, #initial, NULL, text, 0, 0)
#include "config/settings.def"
};
const size_t el_setting_count = EL_COUNT(el_settings);

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b)) return false;
    return *a == *b;
}

const struct el_setting *el_setting_row(const char *name) {
    for (size_t i = 0; i < el_setting_count; i++)
        if (same_name(name, el_settings[i].name)) return &el_settings[i];
    return NULL;
}

bool el_config_has(const char *name, bool *ret_is_bool) {
    const struct el_setting *setting = el_setting_row(name);
    if (setting) *ret_is_bool = setting->kind == EL_SETTING_BOOL;
    return setting != NULL;
}

bool el_setting_find(const char *name, struct el_setting_info *ret_info) {
    const struct el_setting *setting = el_setting_row(name);
    if (setting)
        *ret_info = (struct el_setting_info){.name = setting->name,
                                             .argument = setting->argument,
                                             .text = setting->text,
                                             .initial = setting->initial};
    return setting != NULL;
}

// A setting's name as a user of `source` writes it.
static void spell(const char *name, enum el_config_source source, char *text, size_t size) {
    static const char *const prefix[] = {"", "", "", "ELEANOR_", "--"};
    size_t used = 0;
    for (const char *p = prefix[source]; *p && used + 1 < size; p++)
        text[used++] = *p;
    for (const char *p = name; *p && used + 1 < size; p++) {
        if (source == EL_FROM_ENV)
            text[used++] = (char)toupper((unsigned char)*p);
        else
            text[used++] = source == EL_FROM_FLAG && *p == '_' ? '-' : *p;
    }
    text[used] = '\0';
}

int el_setting_unknown(const char *place, const char *name, enum el_config_source source) {
    enum { SPELLED = 40 };
    char spelled[EL_COUNT(el_settings)][SPELLED];
    const char *candidates[EL_COUNT(el_settings)];
    struct el_str all el_auto(el_str_done) = {0};
    int status = 0;
    for (size_t i = 0; i < el_setting_count && status == 0; i++) {
        spell(el_settings[i].name, source, spelled[i], SPELLED);
        candidates[i] = spelled[i];
        status = el_str_printf(&all, "%s%s", i ? ", " : "", spelled[i]);
    }
    if (status < 0) return status;
    const char *near = el_nearest(name, candidates, el_setting_count);
    return el_fail(EL_EINVAL, "%s: unknown setting \"%s\"%s%s%s There are: %s", place, name,
                   near ? ", did you mean " : "", near ? near : "", near ? "?" : ".", all.data);
}

static void list_done(struct el_string_list *list) {
    for (size_t i = 0; i < list->count; i++)
        el_free(list->item[i]);
    el_free(list->item);
    *list = (struct el_string_list){0};
}

static int list_append(struct el_string_list *list, const char *value) {
    char *copy;
    int status = el_realloc(&list->item, list->count + 1, sizeof *list->item);
    if (status == 0) status = el_strdup(value, &copy);
    if (status == 0) list->item[list->count++] = copy;
    return status;
}

static int check_choice(const char *choices, const char *value) {
    enum { MOST = 8 };
    const char *words[MOST];
    char copy[128];
    size_t count = 0, used = 0;
    for (const char *p = choices; count < MOST;) {
        size_t length = strcspn(p, "|");
        if (used + length + 1 > sizeof copy) break;
        words[count++] = memcpy(copy + used, p, length);
        copy[used + length] = '\0';
        used += length + 1;
        if (el_streq(words[count - 1], value)) return 0;
        if (!p[length]) break;
        p += length + 1;
    }
    const char *near = el_nearest(value, words, count);
    if (near)
        return el_fail(EL_EINVAL, "\"%s\" is not one of %s; did you mean \"%s\"?", value, choices, near);
    return el_fail(EL_EINVAL, "\"%s\" is not one of %s", value, choices);
}

// One item, or several words parted by commas where the list takes words ("cuda|cpu") or numbers ("N") alone.
static int append_items(struct el_string_list *list, const char *argument, const char *value) {
    const bool words = strchr(argument, '|') != NULL, numbers = el_streq(argument, "N");
    for (const char *p = value;; p++) {
        char *item el_auto_free = NULL;
        int64_t number;
        const size_t length = words || numbers ? strcspn(p, ",") : strlen(p);
        if (length == 0) return el_fail(EL_EINVAL, "the value is empty");
        EL_TRY(el_strndup(p, length, &item));
        if (words) EL_TRY(check_choice(argument, item));
        if (numbers) EL_TRY(el_parse_i64(item, 0, INT16_MAX, &number));
        EL_TRY(list_append(list, item));
        p += length;
        if (!*p) return 0;
    }
}

static int set_list(struct el_string_list *list, const char *argument, const char *const *values,
                    size_t count, bool append) {
    struct el_string_list fresh el_auto(list_done) = {0};
    for (size_t i = 0; append && i < list->count; i++)
        EL_TRY(list_append(&fresh, list->item[i]));
    for (size_t i = 0; i < count; i++)
        EL_TRY(append_items(&fresh, argument, values[i]));
    struct el_string_list old = *list;
    *list = fresh;
    fresh = old; // freed at the end of the scope
    return 0;
}

static int set_string(char **member, const char *value) {
    char *copy = NULL;
    int status = value ? el_strdup(value, &copy) : 0;
    if (status < 0) return status;
    el_free(*member);
    *member = copy;
    return 0;
}

static int set_bytes(const struct el_setting *setting, const char *value, int64_t *member) {
    uint64_t bytes;
    int status = el_parse_bytes(value, &bytes);
    if (status < 0) return status;
    if (bytes < (uint64_t)setting->min || bytes > (uint64_t)setting->max)
        return el_fail(EL_EINVAL, "%s is not from %" PRId64 " to %" PRId64 " bytes", value, setting->min,
                       setting->max);
    *member = (int64_t)bytes;
    return 0;
}

static int set_value(struct el_config *config, const struct el_setting *setting, const char *value) {
    void *member = (char *)config + setting->offset;
    int status = 0;
    switch (setting->kind) {
    case EL_SETTING_CHOICE:
        status = check_choice(setting->argument, value);
        return status < 0 ? status : set_string(member, value);
    case EL_SETTING_STRING:
    case EL_SETTING_SECRET:
        return set_string(member, value);
    case EL_SETTING_INT:
        return el_parse_i64(value, setting->min, setting->max, member);
    case EL_SETTING_BYTES:
        return set_bytes(setting, value, member);
    case EL_SETTING_BOOL:
        return el_parse_bool(value, member);
    default:
        return el_fail(EL_EINVAL, "takes a list");
    }
}

int el_config_assign(struct el_config *config, const struct el_setting *setting, const char *const *values,
                     size_t count, enum el_config_source source, const char *place, bool append) {
    struct el_config_origin *origin = &config->origin[setting - el_settings];
    if (origin->source > source) return 0;
    char *place_copy = NULL;
    int status = place ? el_strdup(place, &place_copy) : 0;
    if (status < 0) return status;
    if (setting->kind == EL_SETTING_LIST)
        status = set_list((void *)((char *)config + setting->offset), setting->argument, values, count,
                          append && origin->source == source);
    else if (count == 1)
        status = set_value(config, setting, values[0]);
    else
        status = el_fail(EL_EINVAL, "takes one value, not a list");
    if (status < 0) {
        el_free(place_copy);
        return el_fail_in(status, "%s: %s", place ? place : "default", setting->name);
    }
    el_free(origin->place);
    *origin = (struct el_config_origin){.source = source, .file = config->files, .place = place_copy};
    return 0;
}

int el_config_init(struct el_config *config) {
    *config = (struct el_config){0};
    int status = el_zalloc(el_setting_count, sizeof *config->origin, &config->origin);
    for (size_t i = 0; i < el_setting_count && status == 0; i++) {
        const char *initial = el_settings[i].initial;
        if (initial)
            status = el_config_assign(config, &el_settings[i], &initial, 1, EL_FROM_DEFAULT, NULL, false);
    }
    if (status < 0) el_config_done(config);
    return status;
}

static void value_done(struct el_config *config, const struct el_setting *setting) {
    void *member = (char *)config + setting->offset;
    if (setting->kind == EL_SETTING_LIST)
        list_done(member);
    else if (setting->kind == EL_SETTING_STRING || setting->kind == EL_SETTING_SECRET ||
             setting->kind == EL_SETTING_CHOICE)
        el_free(*(char **)member);
}

void el_config_done(struct el_config *config) {
    for (size_t i = 0; i < el_setting_count; i++) {
        value_done(config, &el_settings[i]);
        if (config->origin) el_free(config->origin[i].place);
    }
    el_free(config->origin);
    *config = (struct el_config){0};
}

int el_config_set_flag(struct el_config *config, const char *name, const char *value) {
    char place[64] = "command line";
    const struct el_setting *setting = el_setting_row(name);
    if (!setting) return el_setting_unknown(place, name, EL_FROM_FLAG);
    spell(setting->name, EL_FROM_FLAG, place, sizeof place);
    if (!value && setting->kind != EL_SETTING_BOOL) return el_fail(EL_EINVAL, "%s: needs a value", place);
    if (!value) value = "true";
    return el_config_assign(config, setting, &value, 1, EL_FROM_FLAG, place, true);
}

// ELEANOR_ variables that other parts read: the store, the choice of SIMD, the command line, the tests.
static const char *const foreign_variables[] = {"ELEANOR_HOME", "ELEANOR_SIMD", "ELEANOR_CONFIG",
                                                "ELEANOR_GPU_CONFIG"};

static bool is_foreign(const char *variable) {
    for (size_t i = 0; i < EL_COUNT(foreign_variables); i++)
        if (el_streq(variable, foreign_variables[i])) return true;
    return el_starts_with(variable, "ELEANOR_TEST_");
}

// `variable` is "ELEANOR_" and the rest, without the value.
static int read_variable(struct el_config *config, const char *variable, const char *value) {
    char name[64] = "", spelled[80];
    const char *rest = variable + strlen("ELEANOR_");
    for (size_t i = 0; rest[i] && i + 1 < sizeof name; i++)
        name[i] = (char)tolower((unsigned char)rest[i]);
    const struct el_setting *setting = el_setting_row(name);
    if (setting) {
        spell(setting->name, EL_FROM_ENV, spelled, sizeof spelled);
        if (!el_streq(spelled, variable)) setting = NULL; // ELEANOR_threads, ELEANOR_MAX-BODY
    }
    if (!setting) return el_setting_unknown("environment", variable, EL_FROM_ENV);
    return el_config_assign(config, setting, &value, 1, EL_FROM_ENV, variable, false);
}

int el_config_read_env(struct el_config *config, char *const *environment) {
    int status = el_config_read_mbed(config, environment);
    for (size_t i = 0; environment[i] && status == 0; i++) {
        const char *equals = strchr(environment[i], '=');
        if (!equals || !equals[1] || !el_starts_with(environment[i], "ELEANOR_")) continue; // empty: not set
        char *variable el_auto_free = NULL;
        status = el_strndup(environment[i], (size_t)(equals - environment[i]), &variable);
        if (status == 0 && !is_foreign(variable)) status = read_variable(config, variable, equals + 1);
    }
    return status;
}
