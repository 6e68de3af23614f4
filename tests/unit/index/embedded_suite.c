// SPDX-License-Identifier: Apache-2.0
// The tests of all stores are of the embedded one.
#include "suite.h"

struct suite suite = {.store = &el_embedded_store, .keeps_dead = true, .metadata = "{\"a\":1}"};

bool suite_begin(void) {
    return true;
}
