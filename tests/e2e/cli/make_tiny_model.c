// SPDX-License-Identifier: Apache-2.0
// Writes a tiny model with random weights and prints its folder, for tests that drive the binary from
// outside.
#include <stdio.h>

#include "base/mem.h"
#include "common/tiny_model.h"

int main(void) {
    char *path = tiny_model_write(EL_F32);
    puts(path);
    el_free(path);
    return 0;
}
