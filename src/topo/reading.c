// SPDX-License-Identifier: Apache-2.0
// Names and texts of what a GPU tells of itself.
#include "topo/reading.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

const struct el_gpu_field_info el_gpu_fields[EL_GPU_FIELD_COUNT] = {
#define X(field, name, unit, what) {name, unit, what},
    EL_GPU_FIELD_LIST(X)
#undef X
};

int el_gpu_reading_put_json(const struct el_gpu_reading *reading, struct el_str *json) {
    EL_TRY(el_str_printf(json, "{\"lost\": %s", reading->is_lost ? "true" : "false"));
    for (int field = 0; field < EL_GPU_FIELD_COUNT; field++) {
        EL_TRY(el_str_printf(json, ", \"%s\": ", el_gpu_fields[field].name));
        EL_TRY(el_gpu_knows(reading, (enum el_gpu_field)field)
                   ? el_str_printf(json, "%" PRIu64, reading->value[field])
                   : el_str_puts(json, "null"));
    }
    return el_str_putc(json, '}');
}

void el_throttle_text(uint64_t reasons, char *ret_text, int size) {
    static const struct {
        uint64_t bit;
        const char *text;
    } all[] = {
        {0x2, "application clocks"}, {0x4, "power cap"}, {0x8, "hardware slowdown"},
        {0x10, "sync boost"},        {0x20, "thermal"},  {0x40, "hardware thermal"},
        {0x80, "power brake"},       {0x100, "display"},
    };
    int length = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < EL_COUNT(all) && length < size; i++)
        if (reasons & all[i].bit)
            length +=
                snprintf(ret_text + length, (size_t)(size - length), "%s%s", length ? ", " : "", all[i].text);
}
