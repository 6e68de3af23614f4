// SPDX-License-Identifier: Apache-2.0
// The kernels of each store type; a row without a symbol ends each table.
#ifndef EL_TESTS_STORED_H
#define EL_TESTS_STORED_H

#include "lanes.h"

extern const struct el_c_kernel el_c_kernels_f32[], el_c_kernels_f16[], el_c_kernels_bf16[];

#endif
