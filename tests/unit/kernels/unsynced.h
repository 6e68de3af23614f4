// SPDX-License-Identifier: Apache-2.0
// Kernels whose SYNC asks the test first.
#ifndef EL_TESTS_UNSYNCED_H
#define EL_TESTS_UNSYNCED_H

#include "lanes.h"

extern const struct el_c_kernel unsynced_kernels[]; // a row without a symbol ends it
void unsynced_sync(const char *file, int line);

#endif
