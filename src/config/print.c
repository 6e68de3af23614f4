// SPDX-License-Identifier: Apache-2.0
// Prints what holds and where each value came from, as YAML that can be read back or as JSON.
#include <inttypes.h>
#include <string.h>

#include "config/settings.h"

static int put_string(struct el_str *str, const char *text) {
    return text ? el_str_put_json(str, text, strlen(text)) : el_str_puts(str, "null");
}

static int put_list(struct el_str *str, const struct el_string_list *list) {
    int status = el_str_putc(str, '[');
    for (size_t i = 0; i < list->count && status == 0; i++) {
        if (i) status = el_str_puts(str, ", ");
        if (status == 0) status = put_string(str, list->item[i]);
    }
    return status < 0 ? status : el_str_putc(str, ']');
}

int el_setting_put_value(struct el_str *str, const struct el_config *config,
                         const struct el_setting *setting) {
    const void *member = (const char *)config + setting->offset;
    switch (setting->kind) {
    case EL_SETTING_SECRET:
        return put_string(str, *(char *const *)member ? "***" : NULL);
    case EL_SETTING_LIST:
        return put_list(str, member);
    case EL_SETTING_INT:
    case EL_SETTING_BYTES:
        return el_str_printf(str, "%" PRId64, *(const int64_t *)member);
    case EL_SETTING_BOOL:
        return el_str_puts(str, *(const bool *)member ? "true" : "false");
    default:
        return put_string(str, *(char *const *)member);
    }
}

static int put_origin(struct el_str *str, const struct el_config_origin *origin, bool json) {
    static const char *const source_text[] = {"default", "mbed", "file", "environment", "flag"};
    if (json) {
        int status = el_str_printf(str, ", \"source\": \"%s\", \"place\": ", source_text[origin->source]);
        return status < 0 ? status : put_string(str, origin->place);
    }
    if (!origin->place) return el_str_puts(str, "  # default");
    return el_str_printf(str, "  # from %s", origin->place);
}

int el_config_print(const struct el_config *config, bool json, struct el_str *str) {
    int status = json ? el_str_puts(str, "{") : 0;
    for (size_t i = 0; i < el_setting_count && status == 0; i++) {
        const struct el_setting *setting = &el_settings[i];
        status = json ? el_str_printf(str, "%s\n  \"%s\": {\"value\": ", i ? "," : "", setting->name)
                      : el_str_printf(str, "%s: ", setting->name);
        if (status == 0) status = el_setting_put_value(str, config, setting);
        if (status == 0) status = put_origin(str, &config->origin[i], json);
        if (status == 0) status = el_str_puts(str, json ? "}" : "\n");
    }
    return status < 0 || !json ? status : el_str_puts(str, "\n}\n");
}
