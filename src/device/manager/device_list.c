// SPDX-License-Identifier: Apache-2.0
// Reads what --device says.
#include "device/manager/device_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "eleanor/status.h"

static const char *const kinds[] = {"cuda", "opencl", "mps", "cpu"};

const char *el_device_kind(const char *name, size_t length) {
    for (size_t i = 0; i < EL_COUNT(kinds); i++)
        if (strlen(kinds[i]) == length && memcmp(kinds[i], name, length) == 0) return kinds[i];
    return NULL;
}

bool el_is_auto(const struct el_manager_options *options) {
    return !options->devices || el_streq(options->devices, "auto");
}

static int bad_item(const char *item, size_t length) {
    return el_fail(
        EL_EINVAL,
        "\"%.*s\" names no device; devices are auto, or a list of cuda, cuda:N, opencl:N, cpu, cpu=PARTS",
        (int)length, item);
}

static int parse_item(const char *item, size_t length, struct el_device_wish *ret_wish) {
    struct el_device_wish wish = {.index = -1};
    size_t name = 0;
    while (name < length && item[name] != ':' && item[name] != '=')
        name++;
    wish.kind = el_device_kind(item, name);
    if (!wish.kind) return bad_item(item, length);
    if (name < length) {
        char *end;
        const long number = strtol(item + name + 1, &end, 10);
        const bool is_parts = item[name] == '=';
        if (end != item + length || end == item + name + 1 || number < 0 || number > INT32_MAX)
            return bad_item(item, length);
        if (is_parts && (!el_streq(wish.kind, "cpu") || number < 1 || number > EL_MANAGER_DEVICES))
            return el_fail(EL_EINVAL, "\"%.*s\": cpu alone can be split, into 1 to %d devices", (int)length,
                           item, EL_MANAGER_DEVICES);
        *(is_parts ? &wish.parts : &wish.index) = (int)number;
    }
    *ret_wish = wish;
    return 0;
}

int el_parse_devices(const char *text, struct el_device_wish *ret_wishes, int *ret_count) {
    int count = 0;
    for (const char *item = text;; item++) {
        const size_t length = strcspn(item, ",");
        if (count == EL_MANAGER_DEVICES)
            return el_fail(EL_ETOOBIG, "\"%s\" names more than %d devices", text, EL_MANAGER_DEVICES);
        EL_TRY(parse_item(item, length, &ret_wishes[count++]));
        item += length;
        if (!*item) break;
    }
    *ret_count = count;
    return 0;
}
