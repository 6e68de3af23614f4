// SPDX-License-Identifier: Apache-2.0
// Fuzzes the header of a NumPy file: it is refused with a reason, or all of its rows lie within the bytes.
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "format/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_npy npy = {0};
    if (el_npy_parse("fuzz", data, size, &npy) < 0) {
        if (npy.data || !*el_error_detail()) abort();
        return 0;
    }
    const size_t floats = (size_t)npy.rows * (size_t)npy.columns;
    if (npy.columns < 1 || npy.data < data || floats * sizeof(float) > size - (size_t)(npy.data - data))
        abort();
    return 0;
}
