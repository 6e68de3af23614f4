// SPDX-License-Identifier: Apache-2.0
// Fuzzes the file of measured batch sizes: whatever it holds, a size in the range or an error that says why.
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "service/tuned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct el_tuned_key key = {"m", "d", "v", "p"};
    int64_t tokens = 0;
    if (el_tuned_parse("fuzz", (const char *)data, size, &key, &tokens) < 0) {
        if (tokens || !*el_error_detail()) abort();
    } else if (tokens < 1) {
        abort();
    }
    return 0;
}
