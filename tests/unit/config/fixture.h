// SPDX-License-Identifier: Apache-2.0
// What the tests of settings share: a fresh configuration as the test's state, and a look at what an error
// says. Include it behind cmocka.h.
#ifndef EL_TESTS_CONFIG_FIXTURE_H
#define EL_TESTS_CONFIG_FIXTURE_H

#include <string.h>

#include "base/error.h"
#include "config/config.h"

static inline int open_config(void **state) {
    static struct el_config config;
    *state = &config;
    return el_config_init(&config);
}

static inline int close_config(void **state) {
    el_config_done(*state);
    return 0;
}

static inline void assert_detail_has(const char *part) {
    if (!strstr(el_error_detail(), part)) fail_msg("\"%s\" does not say \"%s\"", el_error_detail(), part);
}

#endif
