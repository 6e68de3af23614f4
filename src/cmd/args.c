// SPDX-License-Identifier: Apache-2.0
// Walks the arguments of a verb by its table of flags; settings are flags too, spelled with - or _.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

extern char **environ;

static const struct el_flag help_flag = {"help", 'h', NULL, "print this help"};

// Flags of every verb that has settings.
static const struct el_flag file_flags[] = {
    {"config", 'c', "FILE", "read settings from this YAML file"},
    {"gpu-config", 0, "FILE", "read settings from this file over it: gpu.yaml or a preset"},
};

int el_verb_flag(const struct el_verb *verb, int index, struct el_flag *ret_flag) {
    const struct el_flag *flag = verb->flags;
    for (; flag && flag->name; flag++, index--) {
        if (index == 0) {
            *ret_flag = *flag;
            return 1;
        }
    }
    const char *const *setting = verb->settings;
    for (size_t i = 0; setting && i < EL_COUNT(file_flags); i++, index--)
        if (index == 0) {
            *ret_flag = file_flags[i];
            return 1;
        }
    for (; setting && *setting; setting++, index--) {
        struct el_setting_info info;
        if (index == 0 && el_setting_find(*setting, &info)) {
            *ret_flag = (struct el_flag){.name = info.name, .argument = info.argument, .text = info.text};
            return 1;
        }
    }
    if (index == 0) *ret_flag = help_flag;
    return index == 0;
}

static bool same_flag(const char *given, size_t length, const char *name) {
    if (strlen(name) != length) return false;
    for (size_t i = 0; i < length; i++)
        if ((given[i] == '-' ? '_' : given[i]) != (name[i] == '-' ? '_' : name[i])) return false;
    return true;
}

static int unknown_flag(const struct el_verb *verb, const char *given, size_t length) {
    enum { MOST = 64, LONGEST = 40 };
    char names[MOST][LONGEST], text[LONGEST];
    const char *candidates[MOST];
    struct el_flag flag = {0};
    size_t count = 0;
    for (; count < MOST && el_verb_flag(verb, (int)count, &flag); count++) {
        snprintf(names[count], LONGEST, "--%s", flag.name);
        for (char *p = names[count]; *p; p++)
            if (*p == '_') *p = '-';
        candidates[count] = names[count];
    }
    snprintf(text, sizeof text, "%.*s", (int)EL_MIN(length, sizeof text), given);
    const char *near = el_nearest(text, candidates, count);
    if (near) return el_fail(EL_EINVAL, "unknown flag %.*s; did you mean %s?", (int)length, given, near);
    return el_fail(EL_EINVAL, "unknown flag %.*s", (int)length, given);
}

// When the flag takes one of a few words ("jsonl|npy|f32"), `value` must be one of them. Settings check
// themselves.
static int check_choice(const struct el_flag *flag, const char *value) {
    bool is_bool;
    if (!strchr(flag->argument, '|') || el_config_has(flag->name, &is_bool)) return 0;
    size_t length = strlen(value);
    for (const char *word = flag->argument;; word++) {
        size_t word_length = strcspn(word, "|");
        if (word_length == length && memcmp(word, value, length) == 0) return 0;
        word += word_length;
        if (!*word)
            return el_fail(EL_EINVAL, "--%s: \"%s\" is not one of %s", flag->name, value, flag->argument);
    }
}

static bool is_bool_setting(const char *name) {
    bool is_bool;
    return el_config_has(name, &is_bool) && is_bool;
}

// Finds the value of `flag`: `attached` (after = or a letter), else the next argument when it takes one.
static int take_value(struct el_args *args, const struct el_flag *flag, const char *attached,
                      const char **ret_flag, const char **ret_value) {
    const char *value = attached;
    if (!flag->argument && attached && !is_bool_setting(flag->name))
        return el_fail(EL_EINVAL, "--%s takes no value", flag->name);
    if (flag->argument && !value) {
        value = args->argv[args->next];
        if (!value) return el_fail(EL_EINVAL, "--%s needs a value: %s", flag->name, flag->argument);
        args->next++;
    }
    int status = flag->argument ? check_choice(flag, value) : 0;
    if (status < 0) return status;
    *ret_flag = flag->name;
    *ret_value = value;
    return 1;
}

static int long_flag(struct el_args *args, const char *given, const char **ret_flag, const char **ret_value) {
    size_t length = strcspn(given + 2, "=");
    const char *attached = given[2 + length] ? given + 2 + length + 1 : NULL;
    struct el_flag flag = {0};
    for (int i = 0; el_verb_flag(args->verb, i, &flag); i++)
        if (same_flag(given + 2, length, flag.name))
            return take_value(args, &flag, attached, ret_flag, ret_value);
    return unknown_flag(args->verb, given, length + 2);
}

static int letter_flag(struct el_args *args, const char *given, const char **ret_flag,
                       const char **ret_value) {
    struct el_flag flag = {0};
    for (int i = 0; el_verb_flag(args->verb, i, &flag); i++)
        if (flag.letter == given[1])
            return take_value(args, &flag, given[2] ? given + 2 : NULL, ret_flag, ret_value);
    return unknown_flag(args->verb, given, strlen(given));
}

int el_args_next(struct el_args *args, const char **ret_flag, const char **ret_value) {
    const char *given = args->argv[args->next];
    if (!given) return 0;
    args->next++;
    if (!args->operands_only && el_streq(given, "--")) {
        args->operands_only = true;
        return el_args_next(args, ret_flag, ret_value);
    }
    if (args->operands_only || given[0] != '-' || !given[1]) { // "-" is standard input, an operand
        *ret_flag = NULL;
        *ret_value = given;
        return 1;
    }
    return given[1] == '-' ? long_flag(args, given, ret_flag, ret_value)
                           : letter_flag(args, given, ret_flag, ret_value);
}

static void warn(const char *text) {
    el_warn("%s", text);
}

static int read_flags(struct el_args args, struct el_config *config) {
    bool is_bool;
    int status = 0;
    for (const char *flag, *value; status == 0 && el_args_next(&args, &flag, &value) > 0;)
        if (flag && el_config_has(flag, &is_bool)) status = el_config_set_flag(config, flag, value);
    return status;
}

int el_args_config(const struct el_args *args, struct el_config *ret_config) {
    struct el_config config el_auto(el_config_done) = {0};
    struct el_args walk = *args;
    const char *path = getenv("ELEANOR_CONFIG"), *gpu_path = getenv("ELEANOR_GPU_CONFIG");
    for (const char *flag, *value; el_args_next(&walk, &flag, &value) > 0;) {
        if (el_streq(flag, "config")) path = value;
        if (el_streq(flag, "gpu-config")) gpu_path = value;
    }
    int status = el_config_init(&config);
    if (status == 0 && path && *path) status = el_config_read_file(&config, path);
    if (status == 0 && gpu_path && *gpu_path) status = el_config_read_file(&config, gpu_path);
    if (status == 0) status = el_config_read_env(&config, environ);
    if (status == 0) status = read_flags(*args, &config);
    if (status == 0) status = el_config_settle(&config);
    enum el_log_level level;
    if (status == 0) status = el_log_parse_level(config.log_level, &level);
    if (status < 0) return status;
    el_log_set_level(level);
    el_log_set_json(el_streq(config.log_format, "json"));
    EL_TRY(el_config_compare_mbed(&config, environ, warn));
    *ret_config = config;
    config = (struct el_config){0};
    return 0;
}

int el_cmd_failed(const struct el_args *args) {
    fprintf(stderr, "eleanor %s: %s\n", args->verb->name, el_error_detail());
    return EL_EXIT_FAILED;
}

int el_cmd_usage(const struct el_args *args) {
    fprintf(stderr, "eleanor %s: %s\nTry: eleanor %s --help\n", args->verb->name, el_error_detail(),
            args->verb->name);
    return EL_EXIT_USAGE;
}
