// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of settings files: whatever the bytes, it takes them or says what is wrong, and what it
// took and settled can be printed and read again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_config config, again;
    struct el_str text = {0};
    if (el_config_init(&config) < 0) return 0;
    int status = el_config_read_yaml(&config, "fuzz.yaml", data, size);
    if (status == 0) status = el_config_settle(&config);
    if (status < 0 && strlen(el_error_detail()) == 0) abort();
    if (status == 0 && el_config_print(&config, false, &text) == 0 && el_config_init(&again) == 0) {
        if (el_config_read_yaml(&again, "again.yaml", text.data, text.length) < 0) abort();
        el_config_done(&again);
    }
    el_str_done(&text);
    el_config_done(&config);
    return 0;
}
