// SPDX-License-Identifier: Apache-2.0
// Fuzzes the safetensors reader: whatever the bytes, they are refused with a reason, or each tensor lies
// whole and aligned in memory.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

volatile unsigned touched; // so that the reads are not left out

static unsigned touch(const struct el_tensor *tensor) {
    const size_t bytes = (size_t)el_tensor_count(tensor) * el_dtype_size(tensor->dtype);
    const uint8_t *byte = tensor->data;
    unsigned sum = 0;
    if ((uintptr_t)tensor->data % el_dtype_size(tensor->dtype)) abort();
    for (size_t i = 0; i < bytes; i++)
        sum += byte[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_safetensors *file = NULL;
    if (el_safetensors_parse("fuzz", data, size, &file) < 0) {
        if (file || !*el_error_detail()) abort();
        return 0;
    }
    for (int i = 0; i < el_safetensors_count(file); i++) {
        struct el_tensor tensor;
        const int status = el_safetensors_find(file, el_safetensors_name(file, i), &tensor);
        if (status == 0)
            touched = touch(&tensor);
        else if (status != EL_EUNSUPPORTED)
            abort();
    }
    el_safetensors_close(file);
    return 0;
}
