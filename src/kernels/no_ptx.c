// SPDX-License-Identifier: Apache-2.0
// Stands in for the generated PTX where no compiler for it was found: there is none.
#include "kernels/kernels.h"

const struct el_ptx el_ptx[] = {{0}};
const int el_ptx_count = 0;
const char *const el_ptx_compiler = "";
